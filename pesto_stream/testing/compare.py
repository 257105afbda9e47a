"""Outputs against the expected ones: JSON exactly but for floats, images by `images`. Pure but for the files that are expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.testing.answer import Picture
from pesto_stream.testing.difference import Difference, shown
from pesto_stream.testing.images import compare_image
from pesto_stream.testing.resources import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pesto_stream.converters.limits import Limits
    from pesto_stream.testing.difference import Path, Tolerance


def compare(expected: Mapping[str, Any], actual: Mapping[str, Any], tolerance: Tolerance, limits: Limits) -> list[Difference]:
    """All differences between the outputs, in the order of the keys. Raises ProjectError for an expected image that cannot be read."""
    return list(_Comparison(tolerance, limits).objects((), expected, actual))


class _Comparison:
    def __init__(self, tolerance: Tolerance, limits: Limits) -> None:
        self._tolerance = tolerance
        self._limits = limits

    def objects(self, path: Path, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[Difference]:
        for key in sorted(expected.keys() | actual.keys()):
            place = (*path, key)
            if key not in actual:
                yield Difference(place, "missing from the result", "missing", summary(expected[key]))
            elif key not in expected:
                yield Difference(place, f"not expected: {_said(actual[key])}", "unexpected", actual=summary(actual[key]))
            else:
                yield from self.values(place, expected[key], actual[key])

    def values(self, path: Path, expected: Any, actual: Any) -> Iterator[Difference]:
        if isinstance(expected, File) and isinstance(actual, Picture):
            yield from compare_image(path, expected, actual, self._tolerance, self._limits)
        elif isinstance(expected, dict) and isinstance(actual, dict):
            yield from self.objects(path, expected, actual)
        elif isinstance(expected, list) and isinstance(actual, list):
            yield from self._arrays(path, expected, actual)
        elif not self._same(expected, actual):
            text = f"{_said(actual)}, expected {_said(expected)}{self._off(expected, actual)}"
            yield Difference(path, text, expected=summary(expected), actual=summary(actual))

    def _arrays(self, path: Path, expected: list[Any], actual: list[Any]) -> Iterator[Difference]:
        if len(expected) != len(actual):
            text = f"{_count(len(actual))}, expected {len(expected)}"
            yield Difference(path, text, expected=summary(expected), actual=summary(actual))
            return
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from self.values((*path, index), one, other)

    def _same(self, expected: Any, actual: Any) -> bool:
        if _is_number(expected) and _is_number(actual):
            return self._close(expected, actual)
        return type(expected) is type(actual) and bool(expected == actual)

    def _close(self, expected: float, actual: float) -> bool:
        if isinstance(expected, int) and isinstance(actual, int):
            return expected == actual
        off = abs(expected - actual)
        return off <= max(self._tolerance.absolute, self._tolerance.relative * abs(expected))

    def _off(self, expected: Any, actual: Any) -> str:
        floats = _is_number(expected) and _is_number(actual) and float in (type(expected), type(actual))
        return f" (off by {abs(expected - actual):.3g})" if floats else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(number: int) -> str:
    return f"{number} element" if number == 1 else f"{number} elements"


def _said(value: Any) -> str:
    if isinstance(value, File):
        return f"an image ('{value.path.name}')" if value.is_image else f"the file '{value.path.name}'"
    if isinstance(value, Picture):
        bands, height, width = value.tile.array.shape
        return f"an image of {bands} x {height} x {width} {value.tile.array.dtype}"
    return shown(value)


def summary(value: Any) -> Any:
    """A value as results.json holds it: JSON as it is, an image in words."""
    if isinstance(value, (File, Picture)):
        return _said(value)
    if isinstance(value, dict):
        return {key: summary(one) for key, one in value.items()}
    return [summary(one) for one in value] if isinstance(value, list) else value
