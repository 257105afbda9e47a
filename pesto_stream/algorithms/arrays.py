"""What user code may do with the arrays it is given."""

from __future__ import annotations

from typing import Any

import numpy as np


def writable(value: Any) -> Any:
    """`value`, arrays that cannot be written to replaced by copies (in lists and objects too). PESTO's algorithms may write into inputs."""
    return _mapped(value, lambda array: array if array.flags.writeable else array.copy())


def read_only(value: Any) -> Any:
    """`value`, arrays replaced by views that cannot be written to, so that an algorithm sees the same whatever the payload was."""
    return _mapped(value, _frozen)


def _frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, list) and any(isinstance(item, np.ndarray | list | dict) for item in value):
        return [_mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    return value
