"""Pixel values as a model was trained on them, by numbers that came with the model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Array = np.ndarray[Any, Any]

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_FORMS = "{'mean', 'std'}, {'scale', 'offset'}, {'low', 'high'} or two percentiles such as {'p2', 'p98'}, each a number or one per band"
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Normalisation:
    """`(pixels - subtract) / divide`, kept within 0 and 1 where `clip`; both have shape (1, 1, 1) or (C, 1, 1)."""

    subtract: Array
    divide: Array
    clip: bool = False

    @property
    def bands(self) -> int | None:
        """The bands that the numbers are for; None where they are for any."""
        longest = max(len(self.subtract), len(self.divide))
        return None if longest == 1 else longest

    def apply(self, pixels: Array) -> Array:
        """`pixels` (C, H, W) as float32."""
        done = (pixels.astype(np.float32) - self.subtract) / self.divide
        return np.clip(done, 0, 1, out=done) if self.clip else done


def normalisation_of(declared: Any, find: Callable[[str], Path]) -> Normalisation | None:
    """What the class attribute `normalisation` says: None, the numbers themselves, or a JSON file that has them (`stats.json`, or
    `stats.json#/a/b` for a place inside, RFC 6901). `find` gives the file's path or raises. Raises ProjectError.
    """
    if declared is None:
        return None
    if not isinstance(declared, str):
        return _from_numbers(declared, "'normalisation' of class Process")
    file, _, pointer = declared.partition("#")
    shown = f"'{declared}' (normalisation of class Process)"
    try:
        document = json.loads(find(file).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"cannot read {shown}: {error}") from None
    return _from_numbers(_at(document, pointer, shown), shown)


def _at(document: Any, pointer: str, shown: str) -> Any:
    place = document
    for part in pointer.strip("/").split("/") if pointer.strip("/") else []:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and step in place:
            place = place[step]
        elif isinstance(place, list) and step.isdecimal() and int(step) < len(place):
            place = place[int(step)]
        else:
            raise ProjectError(f"{shown} has nothing at '{step}'; expected a place of the file, as in 'stats.json#/statistics'")
    return place


def _from_numbers(value: Any, shown: str) -> Normalisation:
    if isinstance(value, (list, tuple)) and len(value) == _PAIR:
        value = {"mean": value[0], "std": value[1]}
    if not isinstance(value, dict):
        raise ProjectError(f"{shown} is no normalisation; expected {_FORMS}")
    if {"mean", "std"} <= value.keys():
        return _checked(_column(value["mean"], shown), _column(value["std"], shown), shown)
    if "scale" in value:
        divide = 1 / _not_zero(_column(value["scale"], shown), shown)
        return _checked(-_column(value.get("offset", 0), shown) * divide, divide, shown)
    low, high = _bounds(value, shown)
    return _checked(low, high - low, shown, clip=True)


def _bounds(value: Mapping[str, Any], shown: str) -> tuple[Array, Array]:
    if {"low", "high"} <= value.keys():
        return _column(value["low"], shown), _column(value["high"], shown)
    percentiles = sorted((float(found[1]), key) for key in value if (found := _PERCENTILE.fullmatch(key)))
    if len(percentiles) != _PAIR:
        raise ProjectError(f"{shown} has the keys {', '.join(repr(key) for key in value)}; expected {_FORMS}")
    return _column(value[percentiles[0][1]], shown), _column(value[percentiles[1][1]], shown)


def _column(value: Any, shown: str) -> Array:
    try:
        numbers = np.atleast_1d(np.asarray(value, np.float32))
    except (TypeError, ValueError):
        raise ProjectError(f"{shown} holds what is no number; expected {_FORMS}") from None
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise ProjectError(f"{shown} holds {value!r}; expected finite numbers, one or one per band")
    return numbers.reshape(-1, 1, 1)


def _not_zero(numbers: Array, shown: str) -> Array:
    if (numbers == 0).any():
        raise ProjectError(f"{shown} would divide by zero; expected a std, scale or range that is not 0")
    return numbers


def _checked(subtract: Array, divide: Array, shown: str, *, clip: bool = False) -> Normalisation:
    lengths = {len(subtract), len(divide)} - {1}
    if len(lengths) > 1:
        raise ProjectError(f"{shown} has numbers for {len(subtract)} and for {len(divide)} bands; expected as many of both")
    return Normalisation(subtract, _not_zero(divide, shown), clip)
