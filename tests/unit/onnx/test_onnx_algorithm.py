"""A model as an algorithm: through the project, its schemas and onnxruntime itself."""

import json
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest
from support.onnx_models import FLOAT, UINT8, model, node, pointwise
from support.projects import IMAGE, NUMBER, a_loaded_project, an_invocation

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.errors import AlgorithmError, ConfigurationError, DeviceLost, ProjectError
from pesto_stream.model.invocation import TileContext

WEIGHTS = [[1, 0], [0, 1], [-1, -1]]
"""Three classes of two bands."""
IMAGE_2 = np.array([[[5, 1, -9], [2, 2, 0]], [[1, 5, -9], [1, 3, 0.5]]], np.float32)
"""(2, 2, 3): class 0 where the first band is larger, 1 where the second is, 2 where both are negative."""
CLASSES = [[0, 1, 2], [0, 1, 1]]


def process_of(attributes, methods=""):
    lines = "\n".join(f"    {line}" for line in ('model = "models/a.onnx"', *attributes))
    return f"from pesto_stream.onnx import OnnxAlgorithm\n\n\nclass Process(OnnxAlgorithm):\n{lines}\n{methods}"


def loaded(tmp_path, *attributes, network=None, methods="", profiles=(), without_gpu="error", files=None, started=True, **parts):
    given = {"models/a.onnx": pointwise(WEIGHTS) if network is None else network, **(files or {})}
    parts = {"inputs": {"image": IMAGE, "gain": NUMBER}, "outputs": {"mask": IMAGE}, "required_outputs": [], **parts}
    project = a_loaded_project(tmp_path, process=process_of(attributes, methods), files=given, profiles=profiles, **parts)
    algorithm = load_algorithm(project, without_gpu=without_gpu)
    if started:
        algorithm.on_start()
    return algorithm


def mask_of(algorithm, image=IMAGE_2, **context):
    return algorithm.process(an_invocation(TileContext(**context), image=image, gain=None))["mask"]


def refusal(tmp_path, *attributes, error=ProjectError, **parts):
    with pytest.raises(error) as caught:
        loaded(tmp_path, *attributes, **parts)
    return str(caught.value)


# what a model's answer becomes


def test_a_model_file_is_all_that_it_takes(tmp_path):
    scores = mask_of(loaded(tmp_path))
    np.testing.assert_allclose(scores, np.einsum("kc,chw->khw", WEIGHTS, IMAGE_2))
    assert scores.dtype == np.float32


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_argmax_gives_class_numbers_whatever_the_layout(tmp_path, layout):
    network = pointwise(WEIGHTS, layout=layout)
    mask = mask_of(loaded(tmp_path, f"layout = {layout!r}", 'decision = "argmax"', network=network))
    assert mask.tolist() == CLASSES
    assert mask.dtype == np.uint8


def test_sigmoid_and_a_threshold_give_a_mask(tmp_path):
    image = np.array([[[-1000.0, -1, 0, 1, 1000]]], np.float32)
    parts = {"network": pointwise([[1]])}
    soft = mask_of(loaded(tmp_path, 'activation = "sigmoid"', name="soft", **parts), image)
    np.testing.assert_allclose(soft, 1 / (1 + np.exp(-image.astype(float)[0].clip(-80, 80))), atol=1e-6)
    hard = mask_of(loaded(tmp_path, 'activation = "sigmoid"', "decision = 0.5", 'dtype = "int16"', name="hard", **parts), image)
    assert hard.tolist() == [[0, 0, 0, 1, 1]]
    assert hard.dtype == np.int16


def test_softmax_gives_probabilities_that_sum_to_one(tmp_path):
    mask = mask_of(loaded(tmp_path, 'activation = "softmax"'), IMAGE_2 * 1000)
    np.testing.assert_allclose(mask.sum(axis=0), 1, atol=1e-6)
    assert np.isfinite(mask).all()


def test_more_outputs_are_a_method_of_the_project(tmp_path):
    methods = """
    def results(self, prediction, inputs, context):
        return {"classes": prediction, "gain": inputs["gain"], "share": float((prediction == 1).mean())}
"""
    outputs = {"classes": IMAGE, "gain": NUMBER, "share": NUMBER}
    algorithm = loaded(tmp_path, 'decision = "argmax"', methods=methods, outputs=outputs)
    found = algorithm.process(an_invocation(image=IMAGE_2, gain=4.0))
    assert found["gain"] == 4.0
    assert found["share"] == 0.5


def test_a_process_of_the_projects_own_may_use_the_model(tmp_path):
    methods = """
    def process(self, image, gain=None):
        from pesto_stream import TileContext
        return {"mask": self.predict([image], [TileContext()])[0] + 1}
"""
    algorithm = loaded(tmp_path, 'decision = "argmax"', methods=methods)
    assert not algorithm.takes_batches, "the base class's batch would go past the project's process"
    assert (mask_of(algorithm) - 1).tolist() == CLASSES


# bands


@pytest.mark.parametrize(
    ("bands", "context"),
    [
        ("bands = (3, 1)", {}),
        ('bands = ("red", "nir")', {"band_names": ("blue", "nir", None, "red")}),
        ('bands = ("red", "nir")\n    image_bands = ("blue", "nir", "green", "red")', {}),
    ],
)
def test_bands_are_chosen_and_ordered_by_index_or_name(tmp_path, bands, context):
    image = np.stack([np.zeros((2, 3)), IMAGE_2[1], np.zeros((2, 3)), IMAGE_2[0]]).astype(np.float32)
    assert mask_of(loaded(tmp_path, bands, 'decision = "argmax"'), image, **context).tolist() == CLASSES


@pytest.mark.parametrize(
    ("attributes", "context", "message"),
    [
        (("bands = (0, 7)",), {}, "the image has 2 bands, so none of index 7"),
        (('bands = ("red", "nir")',), {"band_names": ("red", "blue")}, "no band named 'nir' (named are: 'red', 'blue')"),
        (('bands = ("red", "nir")',), {}, "no band named 'red' (named are: none); set 'image_bands'"),
    ],
)
def test_a_band_that_the_image_has_not_is_the_tiles_error(tmp_path, attributes, context, message):
    with pytest.raises(AlgorithmError) as caught:
        mask_of(loaded(tmp_path, *attributes), **context)
    assert message in str(caught.value)


def test_an_image_with_more_bands_than_the_model_takes_is_the_tiles_error(tmp_path):
    with pytest.raises(AlgorithmError, match=r"gives the model 3 bands, and it takes 2; set 'bands'"):
        mask_of(loaded(tmp_path), np.zeros((3, 4, 4), np.uint8))


def test_a_request_without_the_image_is_the_tiles_error(tmp_path):
    with pytest.raises(AlgorithmError, match="has no image 'image'"):
        mask_of(loaded(tmp_path), None)


# normalisation


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"mean": [1, 2], "std": [2, 4]}, lambda image: (image - [[[1]], [[2]]]) / [[[2]], [[4]]]),
        ([[1, 2], [2, 4]], lambda image: (image - [[[1]], [[2]]]) / [[[2]], [[4]]]),
        ({"scale": 0.5, "offset": [1, -1]}, lambda image: image * 0.5 + [[[1]], [[-1]]]),
        ({"scale": [1e-4, 2e-4]}, lambda image: image * [[[1e-4]], [[2e-4]]]),
        ({"low": 0, "high": [4, 10]}, lambda image: (image / [[[4]], [[10]]]).clip(0, 1)),
        ({"p98": [4, 10], "p2": [0, 0], "note": "of the training set"}, lambda image: (image / [[[4]], [[10]]]).clip(0, 1)),
    ],
)
def test_pixels_are_normalised_by_the_numbers_of_a_file(tmp_path, numbers, expected):
    files = {"models/stats.json": {"data": {"a/b": [None, numbers]}}}
    identity = pointwise([[1, 0], [0, 1]])
    algorithm = loaded(tmp_path, 'normalisation = "models/stats.json#/data/a~1b/1"', files=files, network=identity)
    np.testing.assert_allclose(mask_of(algorithm), expected(IMAGE_2.astype(float)), rtol=1e-6, atol=1e-7)


def test_the_numbers_may_stand_in_the_class(tmp_path):
    algorithm = loaded(tmp_path, 'normalisation = {"scale": 2}', network=pointwise([[1, 0]]))
    np.testing.assert_allclose(mask_of(algorithm, IMAGE_2.astype(np.int16)), 2.0 * IMAGE_2[0].astype(np.int16))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"mean": [1, 2], "std": [0, 1]}, "would divide by zero"),
        ({"low": 3, "high": 3}, "would divide by zero"),
        ({"scale": 0}, "would divide by zero"),
        ({"mean": [1, 2], "std": [1, 1, 1]}, "numbers for 2 and for 3 bands"),
        ({"mean": [1, "x"], "std": 1}, "holds what is no number"),
        ({"mean": [[1], [2]], "std": 1}, "expected finite numbers"),
        ({"means": 1}, "has the keys 'means'"),
        ("x", "is no normalisation"),
    ],
)
def test_numbers_that_normalise_nothing_are_refused_at_the_start(tmp_path, numbers, message):
    found = refusal(tmp_path, 'normalisation = "stats.json"', files={"stats.json": json.dumps(numbers)}, started=False)
    assert "'stats.json' (normalisation of class Process)" in found
    assert message in found


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("stats.json", "which is not in the project"),
        ("bad.json", "cannot read 'bad.json'"),
        ("good.json#/there", "has nothing at 'there'"),
    ],
)
def test_a_file_that_has_no_numbers_is_refused_at_the_start(tmp_path, declared, message):
    files = {"bad.json": "{", "good.json": "{}"}
    assert message in refusal(tmp_path, f"normalisation = {declared!r}", files=files, started=False)


def test_numbers_for_other_bands_than_the_tiles_are_the_tiles_error(tmp_path):
    algorithm = loaded(tmp_path, 'normalisation = {"mean": [1, 2], "std": 1}')
    with pytest.raises(AlgorithmError, match="gives the model 3 bands, and its normalisation is for 2"):
        mask_of(algorithm, np.zeros((3, 2, 2), np.uint8))


# sizes


def strided():
    """A model that only takes even sides and halves them: the mean of 2 x 2 pixels."""
    weights = np.full((1, 1, 2, 2), 0.25)
    nodes = [node("Conv", ["x", "weights"], ["y"], kernel_shape=[2, 2], strides=[2, 2])]
    return model(nodes, {"x": ("n", 1, "h", "w")}, {"y": ("n", 1, "i", "j")}, {"weights": weights})


def test_images_are_padded_for_the_model_and_its_answer_cropped_back(tmp_path):
    image = np.arange(2 * 5 * 7, dtype=np.float32).reshape(2, 5, 7)
    seen = pointwise([[1, 0], [0, 1]], height=8, width=8)
    for padding in ("edge", "reflect", "zero"):
        algorithm = loaded(tmp_path, f'padding = "{padding}"', network=seen, name=padding)
        np.testing.assert_array_equal(mask_of(algorithm, image), image)


def test_a_multiple_is_padded_to_with_the_edge(tmp_path):
    algorithm = loaded(tmp_path, "multiple = 4", network=strided())
    image = np.full((1, 5, 7), 3, np.uint8)
    answer = mask_of(algorithm, image)
    assert answer.shape == (3, 4), "half of 5 x 7, rounded up"
    assert (answer == 3).all(), "an edge of zeros would show"


def test_an_image_larger_than_a_fixed_model_is_the_tiles_error(tmp_path):
    algorithm = loaded(tmp_path, network=pointwise(WEIGHTS, height=4, width=4))
    with pytest.raises(AlgorithmError, match="a side of 5 pixels, and the model takes 4 at most"):
        mask_of(algorithm, np.zeros((2, 4, 5), np.uint8))


# batches


@pytest.mark.parametrize("batch", ["n", 1, 2, 3])
def test_tiles_of_several_shapes_come_back_in_their_order_whatever_batch_the_model_takes(tmp_path, batch):
    algorithm = loaded(tmp_path, 'decision = "argmax"', network=pointwise(WEIGHTS, batch=batch))
    images = [np.roll(IMAGE_2, turn, axis=2)[:, :, : 3 - turn % 2] for turn in range(5)]
    found = algorithm.process_batch([an_invocation(image=image, gain=None) for image in images])
    alone = [mask_of(algorithm, image) for image in images]
    assert algorithm.takes_batches
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one["mask"], other)


def test_tiles_of_one_shape_are_one_call_of_the_model(tmp_path):
    algorithm = loaded(tmp_path)
    network = algorithm._instance._network
    calls = []
    session = network._session
    network._session = SimpleNamespace(run=lambda names, feed: calls.append(feed["x"].shape) or session.run(names, feed))
    algorithm.process_batch([an_invocation(image=IMAGE_2, gain=None) for _ in range(4)])
    assert calls == [(4, 2, 2, 3)]


def test_a_model_of_bytes_is_given_bytes(tmp_path):
    nodes = [node("Cast", ["x"], ["y"], to=FLOAT)]
    network = model(nodes, {"x": ("n", 1, "h", "w")}, {"y": ("n", 1, "h", "w")}, kind=UINT8)
    image = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    np.testing.assert_array_equal(mask_of(loaded(tmp_path, network=network), image), image[0])


# what is refused at the start


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (["model = None"], "class Process in 'algorithm/process.py' has no 'model'"),
        (['model = "b.onnx"'], "names the file 'b.onnx', which is not in the project"),
        (['layout = "CHW"'], "'layout' of class Process in 'algorithm/process.py' is 'CHW'; expected one of 'NCHW', 'NHWC'"),
        (['activation = "relu"'], "'activation' of class Process in 'algorithm/process.py' is 'relu'"),
        (['padding = "wrap"'], "'padding' of class"),
        (
            ['decision = "max"'],
            "'decision' of class Process in 'algorithm/process.py' is 'max'; expected 'argmax', a threshold, or None",
        ),
        (["decision = True"], "'decision' of class"),
        (["multiple = 0"], "'multiple' of class Process in 'algorithm/process.py' is 0; expected an integer from 1"),
        (["threads = 0"], "'threads' of class"),
        (['dtype = "unit8"'], "'dtype' of class"),
        (["bands = (-1,)"], "'bands' of class"),
        (['bands = "red"'], "'bands' of class"),
        (['bands = ("red", 1)'], "'bands' of class"),
        (["bands = ()"], "'bands' of class"),
        (
            ['image = "imag"'],
            "'image' of class Process in 'algorithm/process.py' is 'imag', which 'pesto/api/input_schema.json' does not",
        ),
        (['image = "gain"'], "does not declare as an image; images there: 'image'"),
        (
            ['output = "clouds"'],
            "'output' of class Process in 'algorithm/process.py' is 'clouds', which 'pesto/api/output_schema.json'",
        ),
    ],
)
def test_an_attribute_that_makes_no_sense_is_refused_by_name(tmp_path, attributes, message):
    assert message in refusal(tmp_path, *attributes, started=False)


@pytest.mark.parametrize(
    ("network", "attributes", "message"),
    [
        (b"no model", [], "cannot open model 'a.onnx'"),
        (pointwise(WEIGHTS), ["bands = (0, 1, 2)"], "takes 2 bands (NCHW ['n', 2, 'h', 'w']), and class Process"),
        (pointwise(WEIGHTS), ['normalisation = {"mean": [1, 2, 3], "std": 1}'], "gives it 3; correct 'bands' or 'layout'"),
        (model([node("Identity", ["x"], ["y"])], {"x": ("n", 4)}, {"y": ("n", 4)}), [], "has the inputs 'x' ['n', 4]"),
        (
            model([node("Add", ["x", "z"], ["y"])], {"x": (1, 1, 2, 2), "z": (1, 1, 2, 2)}, {"y": (1, 1, 2, 2)}),
            [],
            "expected one with the axes NCHW",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_at_the_start(tmp_path, network, attributes, message):
    assert message in refusal(tmp_path, *attributes, network=network)


def test_without_onnxruntime_the_extra_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "install 'pesto-stream[onnx]'" in refusal(tmp_path)


def test_the_base_class_needs_no_onnxruntime_to_be_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert loaded(tmp_path, started=False).takes_batches


# devices


class _Session:
    """A session of a GPU build, which goes on with the CPU where CUDA does not start."""

    def __init__(self, path, sess_options, providers):
        self.providers = providers
        _Session.last = self

    def get_providers(self):
        return self.providers if _Session.cuda_works else self.providers[-1:]

    def get_inputs(self):
        return [SimpleNamespace(name="x", shape=["n", 2, "h", "w"], type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name="y")]

    def run(self, names, feed):
        raise _Session.failure


class Fail(Exception):
    pass


Fail.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"


@pytest.fixture
def gpu_build(monkeypatch):
    module = types.ModuleType("onnxruntime")
    module.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    module.SessionOptions = SimpleNamespace
    module.InferenceSession = _Session
    module.preload_dlls = lambda: None
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    _Session.cuda_works = True
    return module


GPU = {"profiles": ["gpu"], "files": {"pesto/build/requirements.gpu.json": {}}}


def test_profile_gpu_without_cuda_in_onnxruntime_stops_and_says_what_to_do(tmp_path):
    message = refusal(tmp_path, error=ConfigurationError, **GPU)
    assert "profile 'gpu' is active, but this onnxruntime has no CUDAExecutionProvider" in message
    assert "set algorithm.without_gpu to 'cpu'" in message


def test_profile_gpu_runs_on_the_cpu_where_the_setting_allows_it(tmp_path):
    algorithm = loaded(tmp_path, 'decision = "argmax"', without_gpu="cpu", **GPU)
    assert mask_of(algorithm).tolist() == CLASSES


def test_profile_gpu_takes_cuda(tmp_path, gpu_build):
    loaded(tmp_path, **GPU)
    assert _Session.last.providers == ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_without_the_profile_the_cpu_is_taken_though_there_is_a_gpu(tmp_path, gpu_build):
    loaded(tmp_path)
    assert _Session.last.providers == ["CPUExecutionProvider"]


def test_a_cuda_that_does_not_start_is_not_taken_for_one_that_does(tmp_path, gpu_build):
    _Session.cuda_works = False
    assert "CUDA does not start on this machine" in refusal(tmp_path, error=ConfigurationError, **GPU)


def test_a_device_that_fails_stops_the_runtime_and_a_tile_that_is_too_large_does_not(tmp_path, gpu_build):
    algorithm = loaded(tmp_path, **GPU)
    _Session.failure = Fail("CUDA failure 700: an illegal memory access was encountered ; GPU=0")
    with pytest.raises(DeviceLost):
        mask_of(algorithm)
    with pytest.raises(DeviceLost):
        algorithm.process_batch([an_invocation(image=IMAGE_2, gain=None)])
    _Session.failure = Fail("BFCArena::AllocateRawInternal Available memory is smaller: out of memory")
    with pytest.raises(AlgorithmError):
        mask_of(algorithm)


def test_threads_are_those_of_the_class(tmp_path, gpu_build, monkeypatch):
    seen = []
    monkeypatch.setattr(
        gpu_build,
        "InferenceSession",
        lambda path, sess_options, providers: seen.append(sess_options) or _Session(path, sess_options, providers),
    )
    loaded(tmp_path, "threads = 2")
    assert seen[0].intra_op_num_threads == 2


def test_a_project_can_use_its_class_in_tests_of_its_own(tmp_path):
    algorithm = loaded(tmp_path, started=False)
    alone = type(algorithm._instance)()
    with pytest.raises(RuntimeError, match="super"):
        alone.process(TileContext(), image=IMAGE_2)
    alone.on_start()
    assert alone.process(TileContext(), image=IMAGE_2)["mask"].shape == (3, 2, 3)
