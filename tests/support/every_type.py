"""A project that declares every type as input and as output, all but one optional, and gives back what it is given."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from support import hostile
from support.builders import a_tile
from support.payloads import raster
from support.projects import INTEGER, METADATAS, POLYGONS, STRING, a_project

if TYPE_CHECKING:
    from pathlib import Path

    from pesto_stream.model.tile import Tile

PROPERTIES: dict[str, Any] = {
    **{name: schema for name, schema in hostile.INPUTS.items() if name != "options"},
    "areas": POLYGONS,
    "infos": METADATAS,
    "level": {"type": "integer", "enum": [1, 2, 4]},
    "words": {"type": "array", "items": STRING},
    "grid": {"type": "array", "items": {"type": "array", "items": INTEGER}},
    "options": {**hostile.INPUTS["options"], "required": []},
    "sensors": {"type": "array", "items": {"$ref": "#/definitions/Sensor"}},
}
ECHO = """
    from pesto_stream import TileContext


    class Process:
        def process(self, context: TileContext, **inputs):
            context.output_nodata = context.nodata
            return {name: value for name, value in inputs.items() if value is not None}
"""
PLAIN: dict[str, Any] = {
    "area": hostile.SQUARE,
    "areas": [hostile.SQUARE, {**hostile.SQUARE, "bbox": [0, 0, 1, 1]}],
    "info": {"a": {"b": [1, None, "é"]}},
    "infos": [{}, {"x": 1.5}],
    "gain": 2.25,
    "count": -3,
    "level": 4,
    "label": "Zürich \u2603",
    "flag": False,
    "mode": "slow",
    "weights": [0.5, 1.0],
    "words": ["a", ""],
    "grid": [[1, 2], [], [3]],
    "sensor": {"name": "s", "bands": 4},
    "sensors": [{"name": "a", "bands": 1}, {"name": "b"}],
}
"""A value for each input without an image, as JSON and as what comes back."""
NODATA = {"uint8": 255, "uint16": 65535, "int16": -32768, "float32": -9999.5, "float64": 1e-300}
DTYPES = tuple(NODATA)
BANDS = (1, 3, 5)


def the_project(folder: Path) -> Path:
    return a_project(
        folder,
        process=ECHO,
        inputs=PROPERTIES,
        outputs=PROPERTIES,
        required=["image"],
        required_outputs=["image"],
        definitions=hostile.DEFINITIONS,
        name="every-type",
    )


def tiles() -> dict[str, Tile]:
    """A georeferenced tile with nodata for each dtype and number of bands."""
    return {f"{dtype}-{bands}": a_tile(dtype, bands, nodata=NODATA[dtype]) for dtype in DTYPES for bands in BANDS}


def text_of(tile: Tile) -> str:
    return base64.b64encode(encode_image(tile, "image/tiff")).decode()


def json_request(tile: Tile) -> dict[str, Any]:
    """All inputs, with the same image at each place of one."""
    text = text_of(tile)
    return {**PLAIN, "image": text, "images": [text, text], "options": {"limit": 7, "mask": text, "tags": ["t"]}}


def avro_request(tile: Tile) -> dict[str, Any]:
    """The same as the derived Avro schema takes it: free-form values as JSON text, the image as raw samples."""
    free = {"area", "info", "areas", "infos", "sensors"}
    values = {name: value for name, value in PLAIN.items() if name not in free}
    values |= {name: json.dumps(PLAIN[name]) for name in ("area", "info")}
    values |= {name: [json.dumps(one) for one in PLAIN[name]] for name in ("areas", "infos")}
    values["sensors"] = [{"bands": None, **one} for one in PLAIN["sensors"]]
    image = raster(tile)
    return {**values, "image": image, "images": [image, image], "options": {"limit": 7, "mask": image, "tags": ["t"]}}


def decoded(text: str) -> Tile:
    return decode_image(base64.b64decode(text), None, Limits())[0]
