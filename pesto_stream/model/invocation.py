"""One call of the algorithm: what it is given, what it gave, and what is known about the tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.stdlib import BoundLogger

    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.tile import Tile, Transform, Window

_LOGGED_ATTRIBUTES = ("id", "correlationid", "sceneid", "tileindex")


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known about one image input beside its pixels; `height` and `width` in pixels, the rest as in `TileContext`."""

    height: int
    width: int
    crs: str | None = None
    transform: Transform | None = None
    nodata: float | None = None
    band_names: tuple[str | None, ...] = ()


@dataclass(slots=True)
class TileContext:
    """What an algorithm may know beside its declared inputs, and the one thing it may say about its output.

    `crs`, `transform`, `nodata`, `band_names` are those of the first image input, None (for names: empty) where it has none; `height`
    and `width` are its pixels. `attributes` are the event's CloudEvents attributes. `output_nodata` is the algorithm's to set; it
    becomes the nodata of its image outputs. `images` are all image inputs, by name (`before`, `images[0]`, `pair.left`).
    """

    crs: str | None = None
    transform: Transform | None = None
    nodata: float | None = None
    height: int | None = None
    width: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    output_nodata: float | None = None
    band_names: tuple[str | None, ...] = ()
    images: Mapping[str, ImageInfo] = field(default_factory=dict)

    @property
    def logger(self) -> BoundLogger:
        """A logger of the runtime's log that knows the tile: `context.logger.info("clouds_found", pixels=n)`, or as the standard
        library's, `context.logger.info("%d pixels", n)`.
        """
        from pesto_stream.log import get_logger  # noqa: PLC0415 - for the algorithms that log; this module is everybody's

        known = {name: self.attributes[name] for name in _LOGGED_ATTRIBUTES if name in self.attributes}
        return get_logger("algorithm").bind(**known)


@dataclass(frozen=True, slots=True)
class Cut:
    """The margin around a region of interest, to be taken off the outputs `names`.

    `height`, `width`, `crs`, `transform` are those of the images as read, the margin included; `inner` is the region in them.
    """

    names: frozenset[str]
    height: int
    width: int
    inner: Window
    crs: str | None = None
    transform: Transform | None = None


@dataclass(slots=True)
class Invocation:
    """A decoded request. `inputs` holds every declared input (None where the request leaves it out); images are arrays
    (C, H, W). `tiles` are the decoded images in the order of their declaration; `decoded_bytes` what they take in memory.
    `image_media_types` are the media types that the images came in (`raster` for an Avro raster). `cut` is there for a request with a
    region of interest.
    """

    envelope: Envelope
    inputs: dict[str, Any]
    context: TileContext
    tiles: tuple[Tile, ...] = ()
    decoded_bytes: int = 0
    image_media_types: tuple[str, ...] = ()
    payload_schema: str | None = None
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class EncodedPayload:
    """A result ready for an envelope: the value, its content type, and headers of its own (`pesto_<name>`)."""

    value: bytes
    content_type: str
    headers: tuple[tuple[str, bytes], ...] = ()
