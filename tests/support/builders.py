"""Values for tests: sane defaults, any part by keyword."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pesto_stream.model.envelope import JSON, Envelope
from pesto_stream.model.record import ConsumerRecord
from pesto_stream.model.spec import AlgorithmSpec, Interface
from pesto_stream.model.tile import Tile

IMAGE = {"$ref": "#/definitions/Image"}
IMAGES = {"$ref": "#/definitions/Images"}
DEFINITIONS: dict[str, Any] = {
    "Image": {"type": "string"},
    "Images": {"type": "array", "items": IMAGE},
    "Polygon": {
        "type": "object",
        "required": ["type", "coordinates"],
        "properties": {"type": {"enum": ["Polygon"]}, "coordinates": {}},
    },
    "Polygons": {"type": "array", "items": {"$ref": "#/definitions/Polygon"}},
    "Metadata": {"type": "object"},
    "Metadatas": {"type": "array", "items": {"$ref": "#/definitions/Metadata"}},
}
CRS = "EPSG:32631"
TRANSFORM = (10.0, 0.0, 300000.0, 0.0, -10.0, 4900020.0)


def headers(**values: str | bytes | None) -> tuple[tuple[str, bytes | None], ...]:
    """Record headers; `_` in `content_type` and `traceparent`-like plain names is kept, except `content_type` -> `content-type`."""
    named = {"content-type" if name == "content_type" else name: value for name, value in values.items()}
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in named.items())


def an_event(**extra: str | bytes | None) -> tuple[tuple[str, bytes | None], ...]:
    """Headers of a valid CloudEvent with a JSON payload."""
    base: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_id": "event-1",
        "ce_source": "/sensor",
        "ce_type": "tile",
        "content_type": JSON,
    }
    return headers(**{name: value for name, value in {**base, **extra}.items() if value is not None})


def a_record(**changes: Any) -> ConsumerRecord:
    base = ConsumerRecord("tiles", 2, 41, b"key", b"{}", an_event(), 1_700_000_000_000)
    return base._replace(**changes)


def an_envelope(**changes: Any) -> Envelope:
    base = Envelope(id="event-1", source="/sensor", type="tile", content_type=JSON, payload=b"{}", is_cloud_event=True)
    return replace(base, **changes)


def a_tile(
    dtype: str = "uint8",
    bands: int = 3,
    height: int = 4,
    width: int = 5,
    *,
    georeferenced: bool = True,
    nodata: float | None = None,
) -> Tile:
    """Pixels that differ from each other as far as the dtype allows; floats are no whole numbers."""
    count = bands * height * width
    values = np.arange(count) * (1.5 if np.dtype(dtype).kind == "f" else 1) % 251 - (100 if np.dtype(dtype).kind in "if" else 0)
    array = values.astype(dtype).reshape(bands, height, width)
    return Tile(array, CRS if georeferenced else None, TRANSFORM if georeferenced else None, nodata)


def an_interface(*, required: Any = None, definitions: dict[str, Any] | None = None, **properties: Any) -> Interface:
    """`an_interface(image=IMAGE, threshold={"type": "number"})`; all required unless `required` says which."""
    names = properties if required is None else required
    return Interface(properties, frozenset(names), {**DEFINITIONS, **(definitions or {})})


def a_spec(
    input: Interface | None = None,  # noqa: A002 - the field's name
    output: Interface | None = None,
    name: str = "cloud-detection",
    version: str = "1.2.0",
) -> AlgorithmSpec:
    return AlgorithmSpec(name, version, input or an_interface(image=IMAGE), output or an_interface(mask=IMAGE))
