"""A model that takes images and gives images, whatever its axes, dtype and batch size are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pesto_stream.errors import ProjectError
from pesto_stream.onnx import pixels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Array = np.ndarray[Any, Any]

_DTYPES = {
    "float": np.float32,
    "float16": np.float16,
    "double": np.float64,
    **{f"{sign}int{bits}": np.dtype(f"{sign}int{bits}").type for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_BATCHED_IMAGE = 4
_BATCHED_MASK = 3
_AXES = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2)}


class Network:
    """`session` is an onnxruntime session. Its first input takes the images and its first output is the answer.

    Raises ProjectError where the model's axes are not those of images, or it takes another number of bands than `bands` (None: any).
    """

    def __init__(self, session: Any, layout: str, name: str, bands: int | None) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != _BATCHED_IMAGE:
            shapes = ", ".join(f"'{each.name}' {each.shape}" for each in inputs)
            raise ProjectError(f"model '{name}' has the inputs {shapes}; expected one with the axes {layout}")
        self._session = session
        self._last = layout == "NHWC"
        self._input = inputs[0].name
        self._output = session.get_outputs()[0].name
        self._dtype = _dtype(inputs[0].type, name)
        shape = [side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape]
        self._batch = shape[0]
        self._bands, self._height, self._width = (shape[axis] for axis in _AXES[layout])
        if bands is not None and self._bands not in (None, bands):
            raise ProjectError(
                f"model '{name}' takes {self._bands} bands ({layout} {inputs[0].shape}), and class Process in 'algorithm/process.py' gives "
                f"it {bands}; correct 'bands' or 'layout'"
            )

    def size_for(self, size: tuple[int, ...], multiple: int) -> tuple[int, int]:
        """The (height, width) that an image of `size` has to be padded to."""
        return pixels.up_to(size[0], multiple, self._height), pixels.up_to(size[1], multiple, self._width)

    def run(self, images: Sequence[Array]) -> list[Array]:
        """The answers (C, H, W) to images (C, H, W), those of one shape together."""
        answers: dict[int, Array] = {}
        for group in _by_shape(images):
            for start in range(0, len(group), self._batch or len(group)):
                part = group[start : start + (self._batch or len(group))]
                answers.update(zip(part, self._run([images[index] for index in part]), strict=False))
        return [answers[index] for index in range(len(images))]

    def _run(self, images: list[Array]) -> Array:
        if self._bands not in (None, len(images[0])):
            raise ValueError(f"the image gives the model {len(images[0])} bands, and it takes {self._bands}; set 'bands'")
        missing = (self._batch or len(images)) - len(images)
        stack = np.stack([*images, *images[-1:] * missing]).astype(self._dtype, copy=False)
        fed = np.ascontiguousarray(np.moveaxis(stack, 1, 3)) if self._last else stack
        answer = np.asarray(self._session.run([self._output], {self._input: fed})[0])
        return self._as_images(answer)

    def _as_images(self, answer: Array) -> Array:
        if answer.ndim == _BATCHED_MASK:
            return answer[:, np.newaxis]
        if answer.ndim != _BATCHED_IMAGE:
            raise ValueError(f"the model's answer has the shape {answer.shape}; expected a batch of images")
        return np.moveaxis(answer, 3, 1) if self._last else answer


def _dtype(declared: str, name: str) -> Any:
    kind = declared.removeprefix("tensor(").removesuffix(")")
    if kind not in _DTYPES:
        raise ProjectError(f"model '{name}' takes '{declared}'; expected a tensor of numbers")
    return _DTYPES[kind]


def _by_shape(images: Sequence[Array]) -> Iterator[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    yield from groups.values()
