"""How an Avro datum says which schema wrote it.

Single-object encoding (Avro specification, "Single-object encoding"): C3 01, the CRC-64-AVRO fingerprint of the writer schema's
Parsing Canonical Form in 8 little-endian bytes, the datum. Confluent's wire format: 0, the registry's schema id in 4 big-endian
bytes, the datum. The first byte tells which.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from fastavro.schema import fingerprint as _hex_fingerprint
from fastavro.schema import to_parsing_canonical_form

from pesto_stream.errors import DecodeError

if TYPE_CHECKING:
    from pesto_stream.serde.avro_schema import AvroSchema

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
_SINGLE_OBJECT_HEADER = 10
_CONFLUENT_HEADER = 5


class Framed(NamedTuple):
    """Exactly one of `fingerprint` (64 bits) and `schema_id` is set; the datum starts at `start`."""

    start: int
    fingerprint: int | None = None
    schema_id: int | None = None


def fingerprint(schema: AvroSchema) -> int:
    """CRC-64-AVRO of the schema's Parsing Canonical Form, as the number whose hexadecimal digits tools show."""
    canonical: Any = to_parsing_canonical_form(schema)
    digits = _hex_fingerprint(canonical, "CRC-64-AVRO")
    return int.from_bytes(bytes.fromhex(digits), "little")


def single_object_header(schema_fingerprint: int) -> bytes:
    return SINGLE_OBJECT + struct.pack("<Q", schema_fingerprint)


def confluent_header(schema_id: int) -> bytes:
    return CONFLUENT + struct.pack(">I", schema_id)


def unframe(data: bytes) -> Framed:
    """Raises DecodeError for bytes that start like neither framing."""
    if data[:2] == SINGLE_OBJECT and len(data) >= _SINGLE_OBJECT_HEADER:
        return Framed(_SINGLE_OBJECT_HEADER, fingerprint=struct.unpack_from("<Q", data, 2)[0])
    if data[:1] == CONFLUENT and len(data) >= _CONFLUENT_HEADER:
        return Framed(_CONFLUENT_HEADER, schema_id=struct.unpack_from(">I", data, 1)[0])
    raise DecodeError(
        f"cannot read Avro payload of {len(data)} bytes that starts with '{data[:10].hex(' ')}': expected single-object encoding "
        "(c3 01 and 8 bytes of fingerprint) or Confluent framing (00 and 4 bytes of schema id)"
    )
