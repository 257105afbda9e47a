"""The class attributes of an `OnnxAlgorithm`, checked before a model is opened. All functions raise ProjectError."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pesto_stream.errors import ProjectError
from pesto_stream.model.spec import IMAGE_REF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pesto_stream.model.spec import AlgorithmSpec, Schema

_WHERE = "of class Process in 'algorithm/process.py'"
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "layout": ("NCHW", "NHWC"),
    "activation": ("sigmoid", "softmax", None),
    "padding": ("edge", "reflect", "zero"),
}


def check_attributes(process: Any) -> None:
    """The attributes by themselves."""
    model = getattr(process, "model", None)
    if not isinstance(model, (str, Path)) or not str(model):
        raise ProjectError(
            "class Process in 'algorithm/process.py' has no 'model'; write model = \"models/a.onnx\", the file's place"
        )
    for name, choices in _CHOICES.items():
        _check(process, name, getattr(process, name) in choices, "one of " + ", ".join(repr(choice) for choice in choices))
    decision = process.decision
    _check(process, "decision", decision in ("argmax", None) or _is_number(decision), "'argmax', a threshold, or None")
    for name in ("multiple", "threads"):
        value = getattr(process, name)
        _check(process, name, _is_count(value) or (value is None and name == "threads"), "an integer from 1")
    _check(process, "dtype", process.dtype is None or _is_dtype(process.dtype), "a dtype of numbers, such as 'uint8', or None")
    _check(process, "bands", process.bands is None or _are_bands(process.bands), "indexes from 0 on, or names")


def check_interface(process: Any, spec: AlgorithmSpec, *, checks_output: bool) -> None:
    """Input and output against the schemas of the project."""
    for name, attribute, properties, file in (
        (process.image, "image", spec.input.properties, "pesto/api/input_schema.json"),
        (process.output, "output", spec.output.properties, "pesto/api/output_schema.json"),
    ):
        if attribute == "image" or checks_output:
            _check_declared(name, attribute, properties, file)


def found(name: str, folders: Sequence[Path]) -> Path:
    """The file of that name below the first folder that has it."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ProjectError(
        f"class Process in 'algorithm/process.py' names the file '{name}', which is not in the project; put it there"
    )


def _check_declared(name: Any, attribute: str, properties: Mapping[str, Schema], file: str) -> None:
    images = [each for each, schema in properties.items() if schema.get("$ref") == IMAGE_REF]
    if name not in images:
        known = ", ".join(f"'{each}'" for each in images) or "none"
        raise ProjectError(
            f"'{attribute}' {_WHERE} is '{name}', which '{file}' does not declare as an image; images there: {known}"
        )


def _check(process: Any, name: str, fits: bool, expected: str) -> None:  # noqa: FBT001 - one of a row of checks
    if not fits:
        raise ProjectError(f"'{name}' {_WHERE} is {getattr(process, name)!r}; expected {expected}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_dtype(value: Any) -> bool:
    try:
        return np.dtype(value).kind in "biuf"
    except TypeError:
        return False


def _are_bands(bands: Any) -> bool:
    if isinstance(bands, str) or not isinstance(bands, (list, tuple)) or not bands:
        return False
    return all(isinstance(band, str) for band in bands) or all(
        isinstance(band, int) and not isinstance(band, bool) and band >= 0 for band in bands
    )
