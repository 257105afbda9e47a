import pytest

from pesto_stream.algorithms.device import is_device_failure


def library_error(module, text, name="Fail"):
    kind = type(name, (Exception,), {"__module__": module})
    return kind(text)


ORT = "onnxruntime.capi.onnxruntime_pybind11_state"
LOST = [
    (ORT, "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=n1"),
    (ORT, "CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0"),
    (ORT, "CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED"),
    ("torch", "CUDA error: unspecified launch failure"),
    ("torch", "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    ("torch", "CUDA error: uncorrectable ECC error encountered"),
    ("cupy_backends.cuda.api.runtime", "cudaErrorIllegalAddress: an illegal memory access was encountered"),
    (
        "tensorflow.python.framework.errors_impl",
        "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
    ),
    ("jaxlib.xla_extension", "INTERNAL: the device was lost"),
]
STAYS = [
    (ORT, "CUDA failure 2: out of memory ; GPU=0"),
    (ORT, "Failed to allocate memory for requested buffer of size 9000000"),
    (ORT, "Got invalid dimensions for input: image"),
    ("torch", "CUDA out of memory. Tried to allocate 2.00 GiB"),
    ("torch", "CUDA error: out of memory"),
    ("torch", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ("torch", "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input."),
    ("torch", "CUDA error: invalid configuration argument"),
    ("cupy_backends.cuda.api.runtime", "cudaErrorMemoryAllocation: out of memory"),
    ("tensorflow.python.framework.errors_impl", "OOM when allocating tensor: CUDA_ERROR_OUT_OF_MEMORY"),
    ("algorithm.process", "CUDA error: I only say so"),
    ("builtins", "CUDA error: of a class that no library raises"),
]


@pytest.mark.parametrize(("module", "text"), LOST)
def test_a_failed_accelerator_is_told_from_a_failed_tile(module, text):
    assert is_device_failure(library_error(module, text))


@pytest.mark.parametrize(("module", "text"), STAYS)
def test_out_of_memory_and_refused_arguments_are_about_the_tile(module, text):
    assert not is_device_failure(library_error(module, text))


def test_a_plain_runtime_error_is_torchs():
    assert is_device_failure(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_device_failure(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))
    assert not is_device_failure(ValueError("CUDA error: unspecified launch failure"))


@pytest.mark.parametrize("explicit", [True, False])
def test_an_error_that_user_code_wrapped_is_recognised(explicit):
    error = ValueError("inference failed")
    cause = RuntimeError("CUDA error: unspecified launch failure")
    if explicit:
        error.__cause__ = cause
    else:
        error.__context__ = cause
    assert is_device_failure(error)
    error.__cause__, error.__suppress_context__ = None, True
    assert not is_device_failure(error)


def test_causes_in_a_circle_come_to_an_end():
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert not is_device_failure(one)
