"""Avro as somebody else writes and reads it: the schemas that `pesto-stream schema` prints, and fastavro."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro


def schemas_of(project: Path) -> dict[str, Any]:
    """`{"input": ..., "output": ...}`."""
    command = [sys.executable, "-m", "pesto_stream", "schema", str(project), "--avro"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout))


def datum(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def single_object(schema: Any, value: Any) -> bytes:
    digits = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return b"\xc3\x01" + bytes.fromhex(digits) + datum(schema, value)


def read_single_object(schema: Any, data: bytes) -> Any:
    """Records inside of unions come as (name, fields)."""
    assert data[:2] == b"\xc3\x01"
    return fastavro.schemaless_reader(io.BytesIO(data[10:]), fastavro.parse_schema(schema), None, return_record_name=True)
