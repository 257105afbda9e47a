"""An onnxruntime session on the device that the profile asks for. The only module that imports onnxruntime, when a model is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.compat.profile import Pesto
from pesto_stream.errors import ConfigurationError, ProjectError
from pesto_stream.log import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from pesto_stream.algorithms.base import WithoutGpu

GPU_PROFILE = "gpu"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
_EXTRA = {True: "pesto-stream[gpu]", False: "pesto-stream[onnx]"}
_ERRORS_ONLY = 3

_log = get_logger(__name__)


def open_session(model: Path, threads: int | None, without_gpu: WithoutGpu) -> Any:
    """An `onnxruntime.InferenceSession`. With profile `gpu` it is on CUDA, or `without_gpu` says what happens.

    Raises ProjectError for a model that cannot be read or where onnxruntime is missing, ConfigurationError where there is no GPU.
    """
    wants_gpu = Pesto.is_profile_active(GPU_PROFILE)
    ort = _imported(model, wants_gpu=wants_gpu)
    if not wants_gpu:
        return _opened(ort, model, threads, [CPU])
    session, reason = _on_gpu(ort, model, threads)
    if session is not None:
        return session
    if without_gpu == "error":
        raise ConfigurationError(
            f"profile '{GPU_PROFILE}' is active, but {reason}; give the process a GPU, leave the profile out, or set algorithm.without_gpu "
            "to 'cpu' to run on the CPU all the same"
        )
    _log.warning("model_on_cpu", model=model.name, reason=reason)
    return _opened(ort, model, threads, [CPU])


def _imported(model: Path, *, wants_gpu: bool) -> Any:
    try:
        import onnxruntime as ort  # noqa: PLC0415 - heavy, and only projects with a model have it
    except ImportError as error:
        raise ProjectError(
            f"cannot run model '{model.name}': onnxruntime cannot be imported ({error}); install '{_EXTRA[wants_gpu]}'"
        ) from None
    return ort


def _on_gpu(ort: Any, model: Path, threads: int | None) -> tuple[Any, str]:
    """(session, "") or (None, why not). onnxruntime itself goes on with the CPU in silence where CUDA does not start."""
    if CUDA not in ort.get_available_providers():
        return None, f"this onnxruntime has no {CUDA} (it is in '{_EXTRA[True]}')"
    preload = getattr(ort, "preload_dlls", None)
    if preload is not None:
        preload()  # CUDA's libraries from their wheels
    try:
        session = _opened(ort, model, threads, [CUDA, CPU])
    except ProjectError as error:
        return None, str(error)
    if session.get_providers()[0] != CUDA:
        return None, "CUDA does not start on this machine (no GPU, no driver, or CUDA libraries that are missing)"
    return session, ""


def _opened(ort: Any, model: Path, threads: int | None, providers: list[str]) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    try:
        return ort.InferenceSession(str(model), sess_options=options, providers=providers)
    except Exception as error:  # a boundary to foreign code: its classes are made at run time
        raise ProjectError(f"cannot open model '{model.name}': {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
