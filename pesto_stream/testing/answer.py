"""What an algorithm answered: the JSON of its result, with each image decoded."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pesto_stream.converters.image import decode_image
from pesto_stream.converters.values import mapped
from pesto_stream.errors import DecodeError
from pesto_stream.serde import json_text
from pesto_stream.serde.shapes import shape_of

if TYPE_CHECKING:
    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.spec import AlgorithmSpec
    from pesto_stream.model.tile import Tile


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a result: its file as it came, and what is in it."""

    data: bytes = field(repr=False)
    media_type: str
    tile: Tile


def answer_of(payload: bytes, spec: AlgorithmSpec, limits: Limits) -> dict[str, Any]:
    """Outputs by name; a `Picture` where the output schema has an image. Raises DecodeError and its children."""
    value = json_text.loads(payload, "result", max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)
    if not isinstance(value, dict):
        raise DecodeError("the result is no JSON object of outputs by name")

    def picture(path: str, text: Any) -> Any:
        try:
            data = base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise DecodeError(f"output '{path}' of the result is no image in base64") from error
        tile, media_type = decode_image(data, None, limits)
        return Picture(data, media_type, tile)

    answer: dict[str, Any] = mapped(shape_of(spec.output, "output"), value, "", picture, lambda _path, _shape, plain: plain)
    return answer
