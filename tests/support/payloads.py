"""Payloads of each kind, as a foreign producer makes them: with the field's libraries, not with ours."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import fastavro
import numpy as np

from pesto_stream.converters.image import encode_image
from pesto_stream.model.envelope import AVRO, JSON
from pesto_stream.serde.avro_schema import avro_schemas
from support.builders import an_envelope

if TYPE_CHECKING:
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.spec import AlgorithmSpec
    from pesto_stream.model.tile import Tile


class NoSource:
    """An image source that nothing may ask."""

    def read(self, url: str, window: object = None) -> Any:
        raise AssertionError(f"'{url}' was read")


def base64_of(tile: Tile, media_type: str = "image/tiff") -> str:
    return base64.b64encode(encode_image(tile, media_type)).decode()


def json_envelope(values: Any, **more: Any) -> Envelope:
    return an_envelope(content_type=JSON, payload=json.dumps(values).encode(), **more)


def raster(tile: Tile, **changes: Any) -> tuple[str, dict[str, Any]]:
    record = {
        "dtype": tile.array.dtype.name,
        "shape": list(tile.array.shape),
        "data": tile.array.astype(tile.array.dtype.newbyteorder("<")).tobytes(),
        "crs": tile.crs,
        "transform": None if tile.transform is None else list(tile.transform),
        "nodata": tile.nodata,
    }
    return "pesto.Raster", {**record, **changes}


def encoded(tile: Tile, media_type: str = "image/tiff") -> tuple[str, dict[str, Any]]:
    return "pesto.EncodedImage", {"data": encode_image(tile, media_type), "media_type": media_type}


def avro_bytes(spec: AlgorithmSpec, datum: dict[str, Any]) -> bytes:
    """Single-object encoding."""
    schema = avro_schemas(spec)["input"]
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    header = b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    stream = io.BytesIO(header)
    stream.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), datum)
    return stream.getvalue()


def avro_envelope(spec: AlgorithmSpec, datum: dict[str, Any], **more: Any) -> Envelope:
    return an_envelope(content_type=AVRO, payload=avro_bytes(spec, datum), **more)


def avro_output(spec: AlgorithmSpec, value: bytes) -> dict[str, Any]:
    """The output record of a single-object payload."""
    stream = io.BytesIO(value)
    stream.seek(10)
    datum: Any = fastavro.schemaless_reader(stream, fastavro.parse_schema(avro_schemas(spec)["output"]), None)
    assert stream.tell() == len(value)
    return dict(datum)


def pixels_of(record: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The array of a raster record."""
    return np.frombuffer(record["data"], np.dtype(record["dtype"]).newbyteorder("<")).reshape(record["shape"])
