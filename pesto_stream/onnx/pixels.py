"""What happens to arrays before and after a model. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

Padding = Literal["edge", "reflect", "zero"]
Activation = Literal["sigmoid", "softmax"]
Decision = Literal["argmax"] | float

_PAD_MODES: dict[str, Any] = {"edge": "edge", "reflect": "symmetric", "zero": "constant"}


def selected(image: Array, bands: Sequence[int | str] | None, names: Sequence[str | None]) -> Array:
    """The bands of `image` (C, H, W) in the order asked for: indexes as numpy's (0 is the first), or names among `names`.

    Raises ValueError for a band that the image has not.
    """
    if bands is None:
        return image
    indexes = [band if isinstance(band, int) else _index(band, names) for band in bands]
    missing = [index for index in indexes if not 0 <= index < len(image)]
    if missing:
        raise ValueError(f"the image has {len(image)} bands, so none of index {missing[0]} (the first is 0)")
    chosen: Array = image if indexes == list(range(len(image))) else image[indexes]
    return chosen


def _index(band: str, names: Sequence[str | None]) -> int:
    if band not in names:
        known = ", ".join(f"'{name}'" for name in names if name) or "none"
        raise ValueError(
            f"the image has no band named '{band}' (named are: {known}); set 'image_bands' to the names in their order"
        )
    return names.index(band)


def padded(image: Array, size: tuple[int, int], mode: Padding) -> Array:
    """`image` (C, H, W) with rows below and columns to the right until it has `size` (H, W)."""
    rows, columns = size[0] - image.shape[1], size[1] - image.shape[2]
    if rows == 0 and columns == 0:
        return image
    return np.pad(image, ((0, 0), (0, rows), (0, columns)), mode=_PAD_MODES[mode])


def up_to(length: int, multiple: int, fixed: int | None) -> int:
    """The length to pad to: the model's own where it is fixed, else the next multiple. Raises ValueError where it is too long."""
    if fixed is None:
        return -(-length // multiple) * multiple
    if length > fixed:
        raise ValueError(f"the image has a side of {length} pixels, and the model takes {fixed} at most; send smaller tiles")
    return fixed


def cropped(scores: Array, given: tuple[int, int], was: tuple[int, int]) -> Array:
    """`scores` (C, H, W) of an input of size `given`, less what comes from padding it from size `was`. Works for models that give
    another resolution than they take.
    """
    height, width = (-(-out * side // full) for out, side, full in zip(scores.shape[1:], was, given, strict=True))
    return scores[:, :height, :width]


def activated(scores: Array, activation: Activation | None) -> Array:
    """Scores (C, H, W) as probabilities. softmax is over the bands."""
    if activation == "sigmoid":
        half: Array = np.tanh(scores * np.float32(0.5))  # the same function, without an overflow for large negative scores
        probability: Array = half * np.float32(0.5) + np.float32(0.5)
        return probability
    if activation == "softmax":
        raised: Array = np.exp(scores - scores.max(axis=0, keepdims=True))
        raised /= raised.sum(axis=0, keepdims=True)
        return raised
    return scores


def decided(scores: Array, decision: Decision | None) -> Array:
    """Class numbers (H, W) by `argmax`, 0 and 1 (C, H, W) by a threshold (1 is above it), or the scores as they are."""
    if decision is None:
        return scores
    if decision == "argmax":
        classes: Array = scores.argmax(axis=0)
        return classes.astype(np.uint8 if len(scores) <= 256 else np.uint16)  # noqa: PLR2004 - what uint8 can count
    above: Array = scores > decision
    return above.astype(np.uint8)
