"""Image outputs as the bytes of a file, in the format that is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pesto_stream.converters.image import choose_format, encode_image
from pesto_stream.errors import EncodeError
from pesto_stream.model.envelope import RASTER

if TYPE_CHECKING:
    from pesto_stream.model.tile import Tile

ImageFormat = Literal["auto", "tiff", "png", "npy"]


def image_file(path: str, tile: Tile, image_format: ImageFormat, request_media_types: tuple[str, ...]) -> tuple[bytes, str]:
    """(bytes, media type) for a payload that has no rasters: for a request of rasters the format is chosen as for a tile without one.

    Raises EncodeError naming the output where the format cannot hold the image.
    """
    files_only = tuple(one for one in request_media_types if one != RASTER)
    media_type = choose_format(image_format, files_only, tile)
    try:
        return encode_image(tile, media_type), media_type
    except EncodeError as error:
        raise EncodeError(f"output '{path}': {error}") from error
