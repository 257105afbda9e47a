"""One call of the algorithm: what it is given, what it gave, and what is known about the tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.tile import Tile, Transform


@dataclass(slots=True)
class TileContext:
    """What an algorithm may know beside its declared inputs, and the one thing it may say about its output.

    `crs`, `transform`, `nodata` are those of the first image input, None where it has none. `attributes` are the event's
    CloudEvents attributes. `output_nodata` is the algorithm's to set; it becomes the nodata of its image outputs.
    """

    crs: str | None = None
    transform: Transform | None = None
    nodata: float | None = None
    height: int | None = None
    width: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    output_nodata: float | None = None


@dataclass(slots=True)
class Invocation:
    """A decoded request. `inputs` holds every declared input (None where the request leaves it out); images are arrays
    (C, H, W). `tiles` are the decoded images in the order of their declaration; `decoded_bytes` what they take in memory.
    `image_media_types` are the media types that the images came in (`raster` for an Avro raster).
    """

    envelope: Envelope
    inputs: dict[str, Any]
    context: TileContext
    tiles: tuple[Tile, ...] = ()
    decoded_bytes: int = 0
    image_media_types: tuple[str, ...] = ()
    payload_schema: str | None = None


@dataclass(frozen=True, slots=True)
class EncodedPayload:
    """A result ready for an envelope: the value, its content type, and headers of its own (`pesto_<name>`)."""

    value: bytes
    content_type: str
    headers: tuple[tuple[str, bytes], ...] = ()
