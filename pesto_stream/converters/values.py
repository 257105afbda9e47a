"""What images are on their way in, and the walk that finds them in a value along its shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pesto_stream.serde.shapes import ArrayShape, FreeShape, ImageShape, RecordShape, ScalarShape, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.model.tile import Transform, Window


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """The bytes of an image file. `media_type` None: by its signature. `crs` and `transform` stand in where the file has none."""

    data: bytes
    media_type: str | None = None
    crs: str | None = None
    transform: Transform | None = None


@dataclass(frozen=True, slots=True)
class ImageReference:
    url: str
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class RasterImage:
    """A `pesto.Raster` as read."""

    record: dict[str, Any] = field(repr=False)


IMAGE_VALUES = (str, EncodedImage, ImageReference, RasterImage)
"""What may stand at the place of an input image; a text is JSON's URL or base64."""


def mapped(
    shape: Shape,
    value: Any,
    path: str,
    image: Callable[[str, Any], Any],
    other: Callable[[str, Shape, Any], Any],
) -> Any:
    """`value` with each image replaced by `image(path, it)`; each scalar, list of scalars and free-form part by `other(path, shape, it)`.

    Paths are written `options.masks[2]`. Null where a field may be left out and does not allow null is left out. A part that does not
    have the form its shape promises goes to `other` as it is.
    """
    match shape:
        case ImageShape():
            return image(path, value)
        case ArrayShape(items) if isinstance(value, (list, tuple)) and not isinstance(items, (ScalarShape, FreeShape)):
            return [mapped(items, one, f"{path}[{index}]", image, other) for index, one in enumerate(value)]
        case RecordShape() if isinstance(value, dict):
            return _record(shape, value, path, image, other)
        case ArrayShape() | RecordShape() | ScalarShape() | FreeShape():
            return other(path, shape, value)


def _record(
    shape: RecordShape,
    value: dict[str, Any],
    path: str,
    image: Callable[[str, Any], Any],
    other: Callable[[str, Shape, Any], Any],
) -> dict[str, Any]:
    done = {}
    for name, inner in value.items():
        field_shape = shape.fields.get(name)
        inner_path = f"{path}.{name}" if path else name
        if field_shape is None:
            done[name] = other(inner_path, FreeShape(), inner)
        elif inner is not None:
            done[name] = mapped(field_shape.shape, inner, inner_path, image, other)
        elif field_shape.nullable or not field_shape.optional:
            done[name] = None
    return done
