"""The images of one request: each is counted, fetched or decoded, and kept with what the context needs of it."""

from __future__ import annotations

import binascii
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pesto_stream.converters.image import Whole, decode_image, read_image
from pesto_stream.converters.raster import tile_of
from pesto_stream.converters.values import EncodedImage, ImageReference, RasterImage
from pesto_stream.converters.words import shortened
from pesto_stream.errors import DecodeError, ImageError
from pesto_stream.model.envelope import RASTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from pesto_stream.converters.base import ImageSource
    from pesto_stream.converters.limits import Limits
    from pesto_stream.converters.roi import RegionOfInterest
    from pesto_stream.model.tile import Region, Tile

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(slots=True)
class ImageLoader:
    """Loads what `mapped` finds. `limits.max_decoded_bytes` holds for all images of the request together.

    `regions` are the images of `roi`, with the paths of their inputs; `paths` those of `tiles`.
    """

    limits: Limits
    source: ImageSource
    roi: RegionOfInterest | None = None
    regions: list[tuple[str, Tile]] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    media_types: list[str] = field(default_factory=list)
    decoded_bytes: int = 0

    def load(self, path: str, value: Any) -> np.ndarray[Any, Any]:
        """The pixels (C, H, W). Raises ImageError, FetchRefused, DecodeError naming the input; StoreUnavailable."""
        if len(self.tiles) >= self.limits.max_images:
            raise DecodeError(
                f"input '{path}' is image {len(self.tiles) + 1} of the request: expected at most {self.limits.max_images}"
            )
        region = self._region(path)
        with _named(path):
            tile, media_type = self._tile(value, region)
            self.decoded_bytes += tile.array.nbytes
            if self.decoded_bytes > self.limits.max_decoded_bytes:
                raise ImageError(
                    f"the images of the request take {self.decoded_bytes} bytes: expected at most {self.limits.max_decoded_bytes}"
                )
        if region is not None:
            self.regions.append((path, tile))
        self.tiles.append(tile)
        self.paths.append(path)
        self.media_types.append(media_type)
        return tile.array

    def _region(self, path: str) -> Region | None:
        if self.roi is None or path.partition("[")[0] not in self.roi.target_in:
            return None
        return self.roi.region

    def _tile(self, value: Any, region: Region | None) -> tuple[Tile, str]:
        match value:
            case RasterImage(record):
                return tile_of(record, self._remaining()), RASTER
            case ImageReference(url, window):
                return self.source.read(url, window)
            case EncodedImage():
                return self._decoded(value, region)
            case str() if _URL.match(value):
                return self.source.read(value, region)
            case _:
                return self._decoded(EncodedImage(_from_base64(value, self.limits)), region)

    def _decoded(self, image: EncodedImage, region: Region | None) -> tuple[Tile, str]:
        if len(image.data) > self.limits.max_encoded_bytes:
            raise _too_large(len(image.data), self.limits)
        if region is not None:
            return read_image(Whole(image.data), image.media_type, self._remaining(), region)
        tile, media_type = decode_image(image.data, image.media_type, self._remaining())
        if not tile.georeferenced and image.transform is not None:
            tile = replace(tile, crs=image.crs, transform=image.transform)
        return tile, media_type

    def _remaining(self) -> Limits:
        return replace(self.limits, max_decoded_bytes=self.limits.max_decoded_bytes - self.decoded_bytes)


@contextmanager
def _named(path: str) -> Iterator[None]:
    try:
        yield
    except DecodeError as error:
        raise type(error)(f"input '{path}': {error}") from error


def _from_base64(text: str, limits: Limits) -> bytes:
    if len(text) // 4 * 3 > limits.max_encoded_bytes + 2:
        raise _too_large(len(text) // 4 * 3, limits)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ImageError(
            f"{shortened(text)} is neither a URL (scheme://...) nor an image in base64 (standard alphabet, padded, one line): {error}"
        ) from None


def _too_large(size: int, limits: Limits) -> ImageError:
    return ImageError(f"encoded image has {size} bytes: expected at most {limits.max_encoded_bytes}")
