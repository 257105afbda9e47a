"""`OnnxAlgorithm`: a base class for `Process` around an ONNX model.

A project says what its model needs in class attributes, and has nothing else to write::

    class Process(OnnxAlgorithm):
        model = "models/clouds.onnx"
        bands = (2, 1, 0, 3)
        normalisation = "models/clouds.json"
        activation = "softmax"
        decision = "argmax"
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from pesto_stream.onnx import pixels
from pesto_stream.onnx.declared import check_attributes, check_interface, found
from pesto_stream.onnx.network import Network
from pesto_stream.onnx.normalisation import Normalisation, normalisation_of
from pesto_stream.onnx.session import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pesto_stream.algorithms.base import WithoutGpu
    from pesto_stream.model.invocation import TileContext
    from pesto_stream.model.spec import AlgorithmSpec

    Array = np.ndarray[Any, Any]


class OnnxAlgorithm:
    """See the module. Only `model` must be set; everything is checked when the project is loaded.

    With profile `gpu` the model runs on CUDA, else on the CPU; `algorithm.without_gpu` says what happens where there is no GPU. Tiles of
    one shape are run as one batch. Overriding `results` adds outputs; overriding `process` gives the inputs another shape, and
    `predict` does the rest.
    """

    model: ClassVar[str | Path]
    """The model's file, relative to the project, or to a folder that a requirement of type `python` brings."""
    image: ClassVar[str] = "image"
    """The input that is the image."""
    output: ClassVar[str] = "mask"
    """The output that the model's answer becomes."""
    bands: ClassVar[Sequence[int] | Sequence[str] | None] = None
    """Bands for the model, in its order: indexes (0 is the first) or names. None: all, as they come."""
    image_bands: ClassVar[Sequence[str]] = ()
    """Names of the image's bands in their order, for images that do not name them themselves."""
    normalisation: ClassVar[str | Mapping[str, Any] | None] = None
    """A JSON file (`stats.json`, `stats.json#/place/inside`) or the numbers: mean and std, scale and offset, or low and high."""
    activation: ClassVar[pixels.Activation | None] = None
    decision: ClassVar[pixels.Decision | None] = None
    """`"argmax"` over the classes, or a threshold. None: the scores themselves."""
    dtype: ClassVar[str | None] = None
    """The output's dtype; None: uint8 for a decision (uint16 over 256 classes), else the model's."""
    layout: ClassVar[Literal["NCHW", "NHWC"]] = "NCHW"
    """The order of the axes that the model takes and gives."""
    multiple: ClassVar[int] = 1
    """Images are padded to a multiple of this many pixels, and the answer is cropped back."""
    padding: ClassVar[pixels.Padding] = "edge"
    threads: ClassVar[int | None] = None
    """Threads of one call on the CPU; None: onnxruntime's choice, which is all cores."""

    _folders: Sequence[Path] = ()
    _without_gpu: WithoutGpu = "error"
    _normalisation: Normalisation | None = None
    _network: Network | None = None

    def bound_to(self, spec: AlgorithmSpec, folders: Sequence[Path], without_gpu: WithoutGpu) -> None:
        """Called when the project is loaded, before `on_start`. Raises ProjectError."""
        self._folders, self._without_gpu = folders, without_gpu
        check_attributes(self)
        check_interface(self, spec, checks_output=type(self).results is OnnxAlgorithm.results)
        self._find(str(self.model))
        normalisation_of(self.normalisation, self._find)

    def on_start(self) -> None:
        """Open the model. Raises ProjectError where it cannot be read or is none of images, ConfigurationError where there is no GPU."""
        session = open_session(self._find(str(self.model)), self.threads, self._without_gpu)
        self._normalisation = normalisation_of(self.normalisation, self._find)
        given = len(self.bands) if self.bands is not None else self._normalisation.bands if self._normalisation else None
        self._network = Network(session, self.layout, str(self.model), given)

    def process(self, tile_context: TileContext, **inputs: Any) -> dict[str, Any]:
        """The outputs of one tile."""
        return self.process_batch([inputs], [tile_context])[0]

    def process_batch(self, inputs: list[dict[str, Any]], contexts: list[TileContext]) -> list[dict[str, Any]]:
        """The outputs of several tiles, in their order."""
        predictions = self.predict([one.get(self.image) for one in inputs], contexts)
        together = zip(predictions, inputs, contexts, strict=True)
        return [self.results(prediction, one, context) for prediction, one, context in together]

    def results(self, prediction: Array, inputs: Mapping[str, Any], context: TileContext) -> dict[str, Any]:  # noqa: ARG002 - for overriding
        """The outputs by name: of the model's answer alone, unless a project adds some."""
        return {self.output: prediction}

    def predict(self, images: Sequence[Array | None], contexts: Sequence[TileContext]) -> list[Array]:
        """The model's answer, decided, for each image (C, H, W): (H, W) for class numbers and for one band, else (C, H, W).

        Raises ValueError for an image that the model cannot take; what onnxruntime raises.
        """
        if self._network is None:
            raise RuntimeError("the model is not open: 'on_start' was not called (call super().on_start() where you override it)")
        prepared = [self._prepared(image, context) for image, context in zip(images, contexts, strict=True)]
        sizes = [self._network.size_for(one.shape[1:], self.multiple) for one in prepared]
        stacked = [pixels.padded(one, size, self.padding) for one, size in zip(prepared, sizes, strict=True)]
        answers = self._network.run(stacked)
        return [
            self._finished(pixels.cropped(answer, size, one.shape[1:]))
            for answer, size, one in zip(answers, sizes, prepared, strict=True)
        ]

    def _prepared(self, image: Array | None, context: TileContext) -> Array:
        if image is None:
            raise ValueError(f"the request has no image '{self.image}', which the model needs")
        chosen = pixels.selected(image, self.bands, context.band_names or self.image_bands)
        if self._normalisation is None:
            return chosen
        if self._normalisation.bands not in (None, len(chosen)):
            raise ValueError(
                f"the image gives the model {len(chosen)} bands, and its normalisation is for {self._normalisation.bands}"
            )
        return self._normalisation.apply(chosen)

    def _finished(self, scores: Array) -> Array:
        done = pixels.decided(pixels.activated(scores, self.activation), self.decision)
        single = done[0] if done.ndim == 3 and len(done) == 1 else done  # noqa: PLR2004 - (C, H, W)
        return np.ascontiguousarray(single if self.dtype is None else single.astype(self.dtype))

    def _find(self, name: str) -> Path:
        """Outside of the runtime (a project's own tests) the project is two folders above algorithm/process.py."""
        return found(name, self._folders or (Path(inspect.getfile(type(self))).parents[1],))
