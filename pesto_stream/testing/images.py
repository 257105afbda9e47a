"""An image of a result against the file that is expected: shape, dtype, georeference, nodata, pixels.

A TIFF that has a CRS, a transform or a nodata value is taken at its word, all three: the result must have the same; so is a JPEG 2000
file, which holds no nodata. One that has none of them (PESTO loses them) says nothing about them, nor does a PNG, JPEG or NPY file.
A JPEG is lossy: it is compared by how far its levels are off on average, see `JPEG_MEAN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pesto_stream.converters.image import decode_image
from pesto_stream.errors import ImageError, ProjectError
from pesto_stream.model import envelope
from pesto_stream.testing.difference import Difference
from pesto_stream.testing.drawing import drawing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.tile import Tile, Transform
    from pesto_stream.testing.answer import Picture
    from pesto_stream.testing.difference import Path, Tolerance
    from pesto_stream.testing.resources import File

JPEG_MEAN: Final = 4.0
"""Levels of 255 that the pixels of an expected JPEG file may be off on average."""
JPEG_FAR: Final = 48
"""Levels off that count as far for a JPEG: its blocks blur edges by less."""
JPEG_FAR_SHARE: Final = 0.01
"""Most pixels, as a share, that may be far off an expected JPEG file."""
_TRANSFORM_RELATIVE: Final = 1e-9

Array = np.ndarray[Any, Any]


def compare_image(path: Path, expected: File, actual: Picture, tolerance: Tolerance, limits: Limits) -> Iterator[Difference]:
    """Raises ProjectError where the expected file is no image that can be read."""
    try:
        wanted, media_type = decode_image(expected.path.read_bytes(), None, limits)
    except OSError as error:
        raise ProjectError(f"cannot read '{expected.path}': {error.strerror}") from error
    except ImageError as error:
        raise ProjectError(f"cannot compare with '{expected.path}': {error}") from error
    problems = list(_problems(wanted, media_type, actual.tile))
    pixels = _pixels(wanted.array, actual.tile.array, tolerance, lossy=media_type == envelope.JPEG)
    if pixels is not None:
        problems.append(pixels.message)
    if problems:
        yield Difference(
            path,
            "; ".join(problems),
            expected=_summary(expected.path.name, wanted),
            actual=_summary(actual.media_type, actual.tile),
            drawing=None if pixels is None else drawing(wanted.array, actual.tile.array, pixels.off),
        )


def _problems(wanted: Tile, media_type: str, got: Tile) -> Iterator[str]:
    if got.array.shape != wanted.array.shape:
        yield f"shape {_shape(got.array)}, expected {_shape(wanted.array)} (bands x height x width)"
    if got.array.dtype != wanted.array.dtype:
        yield f"dtype {got.array.dtype}, expected {wanted.array.dtype}"
    has_nodata = media_type == envelope.TIFF and wanted.nodata is not None
    if wanted.crs is None and wanted.transform is None and not has_nodata:
        return
    yield from _place(wanted, got)
    if media_type == envelope.TIFF and not _same_number(wanted.nodata, got.nodata):
        yield f"nodata {_word(got.nodata)}, expected {_word(wanted.nodata)}"


def _place(wanted: Tile, got: Tile) -> Iterator[str]:
    if got.crs != wanted.crs:
        yield f"CRS {_short(got.crs)}, expected {_short(wanted.crs)}"
    if not _same_transform(wanted.transform, got.transform):
        yield f"transform {_numbers(got.transform)}, expected {_numbers(wanted.transform)}"


@dataclass(frozen=True, slots=True)
class _Pixels:
    """`off` is (H, W): how far the worst band of each pixel is off, 0 where it is as expected."""

    message: str
    off: Array


def _pixels(wanted: Array, got: Array, tolerance: Tolerance, *, lossy: bool) -> _Pixels | None:
    """None where the pixels are as expected, or cannot be compared because the shapes differ."""
    if wanted.shape != got.shape:
        return None
    off = _distance(wanted, got)
    allowed = np.float64(0) if lossy else _allowed(wanted, got, tolerance)
    if lossy and off.mean() <= JPEG_MEAN and np.mean(off > JPEG_FAR) <= JPEG_FAR_SHARE:
        return None
    wrong = ~(off <= allowed)
    if not wrong.any():
        return None
    return _Pixels(_count(wrong, off, allowed, lossy=lossy), np.where(wrong, off, 0).max(axis=0))


def _distance(wanted: Array, got: Array) -> Array:
    """|got - wanted| as float64; 0 for NaN and NaN and for equal infinities, infinity where only one of them is."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
    integers = wanted.dtype.kind in "ui" and got.dtype.kind in "ui"
    same = (wanted == got) if integers else (wanted == got) | (np.isnan(wanted) & np.isnan(got))
    off[same] = 0
    off[~same & (off == 0)] = 1  # 64-bit integers beyond what a float64 tells apart
    off[np.isnan(off)] = np.inf
    return off


def _allowed(wanted: Array, got: Array, tolerance: Tolerance) -> Array | np.float64:
    if wanted.dtype.kind in "ui" and got.dtype.kind in "ui":
        return np.float64(tolerance.pixels)
    size = np.nan_to_num(np.abs(wanted.astype(np.float64)), nan=0.0, posinf=0.0)
    return np.maximum(tolerance.absolute, tolerance.relative * size)


def _count(wrong: Array, off: Array, allowed: Any, *, lossy: bool) -> str:
    pixels = int(wrong.any(axis=0).sum())
    all_pixels = wrong.shape[1] * wrong.shape[2]
    finite = off[wrong][np.isfinite(off[wrong])]
    text = f"{pixels} of {all_pixels} pixels differ ({_share(pixels, all_pixels)})"
    if finite.size:
        text += f", by at most {finite.max():.6g}, on average {finite.mean():.6g}"
    if finite.size < np.count_nonzero(wrong):
        text += f", {np.count_nonzero(wrong) - finite.size} values are NaN or infinite on one side only"
    if lossy:
        text += (
            f" (the expected JPEG allows {JPEG_MEAN:g} of 255 on average, and {JPEG_FAR_SHARE:.0%} further off than {JPEG_FAR})"
        )
    elif np.ndim(allowed) == 0 and allowed > 0:
        text += f" ({float(allowed):g} is allowed)"
    return text


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.1f} %" if percent >= 0.1 else "less than 0.1 %"  # noqa: PLR2004 - what one digit shows


def _same_number(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (np.isnan(one) and np.isnan(other))


def _same_transform(one: Transform | None, other: Transform | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose(other, one, rtol=_TRANSFORM_RELATIVE, atol=1e-12))


def _shape(array: Array) -> str:
    return " x ".join(map(str, array.shape))


def _word(number: float | None) -> str:
    return "none" if number is None else f"{number:g}"


def _short(crs: str | None) -> str:
    if crs is None:
        return "none"
    return crs if len(crs) <= 40 else f"{crs[:40]}..."  # noqa: PLR2004 - characters of WKT that tell which it is


def _numbers(transform: Transform | None) -> str:
    return "none" if transform is None else "(" + ", ".join(f"{number:.12g}" for number in transform) + ")"


def _summary(name: str, tile: Tile) -> dict[str, Any]:
    return {
        "image": name,
        "shape": list(tile.array.shape),
        "dtype": str(tile.array.dtype),
        "crs": tile.crs,
        "transform": tile.transform,
        "nodata": None if tile.nodata is None else _word(tile.nodata),
    }
