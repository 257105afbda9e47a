"""Which exceptions of deep-learning libraries mean that the accelerator is gone, whatever tile was on it.

After such an error CUDA's context is unusable in this process ("sticky" errors of the CUDA runtime API), or there is no usable device
at all; every further tile would fail. Out of memory and refused arguments are about one tile, and leave the device usable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pesto_stream.algorithms.blame import said

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARIES = frozenset({"onnxruntime", "torch", "cupy", "cupy_backends", "tensorflow", "jaxlib", "jax", "numba", "pycuda"})

_DEVICE = re.compile(
    r"\bCUDA (?:error|failure|driver error)\b|\bcudaError\w*|\bCUDA_ERROR_\w+|\bCUDNN_STATUS_\w+|\bCUBLAS_STATUS_\w+"
    r"|\bcuDNN (?:error|failure)\b|\bCUBLAS failure\b|\bdevice (?:is |was )?lost\b|\bGPU is lost\b|\bhipError\w*|\bHIP error\b",
    re.IGNORECASE,
)
"""How these libraries name a failure of CUDA, cuDNN, cuBLAS or their equals on other accelerators."""

_ABOUT_ONE_TILE = re.compile(
    r"out of memory|OUT_OF_MEMORY|MemoryAllocation|ALLOC_FAILED|OUTOFMEMORY"
    r"|invalid (?:configuration )?argument|invalid value|InvalidValue|InvalidConfiguration|INVALID_VALUE|BAD_PARAM|NOT_SUPPORTED",
    re.IGNORECASE,
)
"""Failures of one call, after which the device works on."""

_LONGEST_CHAIN = 8


def is_device_failure(error: BaseException) -> bool:
    """Whether the accelerator failed. Looks at the causes of `error` too, because user code wraps exceptions."""
    return any(_shows_device_failure(link) for link in _chain(error))


def _shows_device_failure(error: BaseException) -> bool:
    text = said(error)
    return _is_from_library(error) and _DEVICE.search(text) is not None and _ABOUT_ONE_TILE.search(text) is None


def _is_from_library(error: BaseException) -> bool:
    """Whether a deep-learning library raised it: torch raises plain RuntimeErrors for CUDA, the others have classes of their own."""
    kind = type(error)
    return kind is RuntimeError or any(base.__module__.partition(".")[0] in _LIBRARIES for base in kind.__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
