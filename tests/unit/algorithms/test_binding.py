import sys
import types

import numpy as np
import pytest
from support.projects import (
    IMAGE,
    IMAGES,
    INTEGER,
    METADATA,
    NUMBER,
    STRING,
    a_loaded_project,
    an_algorithm,
    an_image,
    an_invocation,
    body,
)

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.errors import AlgorithmError, DeviceLost, ProjectError, StoreUnavailable
from pesto_stream.model.invocation import TileContext

INPUT_OUTPUT = """
    from dataclasses import dataclass
    import numpy as np
    from pesto.cli.fields import Definition, definition, field

    @dataclass
    class Input:
        image: np.ndarray = definition(Definition.Image, required=True, description="what is seen")
        gain: float = field("factor", default=2.0)
        names: dict = definition(Definition.Metadata, default_factory=dict)
        note: str = field(default=None)

    @dataclass
    class Output:
        image: np.ndarray = definition(Definition.Image)
        total: float = field()
"""
INPUTS = {"image": IMAGE, "gain": NUMBER, "names": METADATA, "note": STRING}
OUTPUTS = {"image": IMAGE, "total": NUMBER}
WHOLE = """
    from algorithm.input_output import Input, Output

    class Process:
        def process(self, input: Input) -> Output:
            assert input.note is None and input.names == {}
            return Output(image=input.image * input.gain, total=input.gain)
"""
SHOW = "return {'seen': repr([a, b, c])}"
WHOLE_PARTS = {"inputs": INPUTS, "outputs": OUTPUTS, "input_output": INPUT_OUTPUT}


def refusal(tmp_path, **parts):
    with pytest.raises(ProjectError) as caught:
        an_algorithm(tmp_path, **parts)
    return str(caught.value)


def failure(tmp_path, statements, imports="", **parts):
    algorithm = an_algorithm(tmp_path, process=body(statements, imports=imports), inputs={"image": IMAGE}, **parts)
    with pytest.raises(AlgorithmError) as caught:
        algorithm.process(an_invocation(image=an_image()))
    return str(caught.value)


# the two shapes


def test_separate_parameters_take_the_inputs_and_give_a_dict(tmp_path):
    image = an_image()
    outputs = an_algorithm(tmp_path).process(an_invocation(image=image, threshold=3.0))
    assert np.array_equal(outputs["mask"], image[0] > 3)


def test_an_input_class_takes_them_in_one_object_and_an_output_class_gives_them_by_field(tmp_path):
    algorithm = an_algorithm(tmp_path, process=WHOLE, **WHOLE_PARTS)
    outputs = algorithm.process(an_invocation(image=an_image(), gain=3.0, names=None, note=None))
    assert outputs["total"] == 3.0
    assert np.array_equal(outputs["image"], an_image() * 3.0)


@pytest.mark.parametrize(
    "annotation",
    ["Input", "'Input'", "input_output.Input", "Input | None", "'algorithm.input_output.Input'"],
)
def test_the_input_class_is_recognised_however_it_is_written(tmp_path, annotation):
    process = f"""
        import algorithm.input_output
        from algorithm import input_output
        from algorithm.input_output import Input

        class Process:
            def process(self, whole: {annotation}):
                return {{"image": whole.image, "total": whole.gain}}
    """
    assert an_algorithm(tmp_path, process=process, **WHOLE_PARTS).process(an_invocation(image=an_image()))["total"] == 2.0


def test_annotations_that_are_only_text_are_recognised(tmp_path):
    process = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from algorithm.input_output import Input
        if TYPE_CHECKING:
            from pesto_stream import TileContext

        class Process:
            def process(self, input: Input, context: TileContext | None = None):
                return {"image": input.image, "total": context.nodata}
    """
    algorithm = an_algorithm(tmp_path, process=process, **WHOLE_PARTS)
    assert algorithm.process(an_invocation(TileContext(nodata=7.0), image=an_image()))["total"] == 7.0


def test_an_input_that_is_left_out_is_the_default_or_none(tmp_path):
    algorithm = an_algorithm(
        tmp_path, process=body(SHOW, "a, b, c=3"), inputs={"a": NUMBER, "b": NUMBER, "c": NUMBER}, outputs={"seen": STRING}
    )
    assert algorithm.process(an_invocation(a=1, b=None, c=None)) == {"seen": "[1, None, 3]"}
    assert algorithm.process(an_invocation(a=1, b=2, c=0)) == {"seen": "[1, 2, 0]"}


def test_a_default_of_the_input_class_applies_as_well(tmp_path):
    algorithm = an_algorithm(tmp_path, process=WHOLE, **WHOLE_PARTS)
    assert algorithm.process(an_invocation(image=an_image(), gain=None, names=None, note=None))["total"] == 2.0


def test_any_parameters_take_all_inputs(tmp_path):
    algorithm = an_algorithm(
        tmp_path, process=body("return {'n': sorted(all_of_them)}", "**all_of_them"), outputs={"n": METADATA}
    )
    assert algorithm.process(an_invocation(image=1, threshold=None)) == {"n": ["image", "threshold"]}


def test_a_parameter_with_a_default_needs_no_input(tmp_path):
    algorithm = an_algorithm(tmp_path, process=body("return {'n': debug}", "image, threshold, debug=5"), outputs={"n": INTEGER})
    assert algorithm.process(an_invocation(image=1, threshold=None)) == {"n": 5}


def test_the_context_is_given_where_it_is_asked_for_and_may_be_written_to(tmp_path):
    process = body(
        "context.output_nodata = 9\nreturn {'crs': context.crs}",
        "context: pesto_stream.TileContext, image",
        "import pesto_stream",
    )
    algorithm = an_algorithm(tmp_path, process=process, inputs={"image": IMAGE}, outputs={"crs": STRING})
    context = TileContext(crs="EPSG:32631")
    assert algorithm.process(an_invocation(context, image=an_image())) == {"crs": "EPSG:32631"}
    assert context.output_nodata == 9


def test_on_start_and_on_stop_are_called_and_may_be_missing(tmp_path):
    process = """
        class Process:
            calls = []
            def on_start(self): self.calls.append("start")
            def on_stop(self): self.calls.append("stop")
            def process(self, image, threshold): return {"calls": self.calls}
    """
    algorithm = an_algorithm(tmp_path, process=process, outputs={"calls": METADATA})
    algorithm.on_stop()
    assert algorithm.process(an_invocation(image=None, threshold=None)) == {"calls": ["start", "stop"]}
    an_algorithm(tmp_path).on_stop()


def test_helper_modules_of_the_project_and_of_its_requirements_are_found(tmp_path):
    (tmp_path / "lib" / "a_requirement").mkdir(parents=True)
    (tmp_path / "lib" / "a_requirement" / "__init__.py").write_text("TEN = 10")
    requirement = {"from": f"file://{tmp_path}/lib", "to": "/nowhere/lib", "type": "python"}
    process = body(
        "return {'n': TEN + ONE + TWO}",
        imports="from algorithm.parts.one import ONE\nfrom beside import TWO\nfrom a_requirement import TEN",
    )
    files = {
        "algorithm/parts/one.py": "ONE = 1",
        "beside.py": "TWO = 2",
        "pesto/build/requirements.json": {"requirements": {"lib": requirement}},
    }
    algorithm = an_algorithm(tmp_path, process=process, inputs={"image": IMAGE}, outputs={"n": INTEGER}, files=files)
    assert algorithm.process(an_invocation(image=None)) == {"n": 13}


def test_the_next_project_in_the_process_gets_its_own_modules(tmp_path):
    parts = {
        "inputs": {"image": IMAGE},
        "outputs": {"n": INTEGER},
        "process": body("return {'n': N}", imports="from beside import N"),
    }
    first = an_algorithm(tmp_path, name="first", files={"beside.py": "N = 1"}, **parts)
    second = an_algorithm(tmp_path, name="second", files={"beside.py": "N = 2"}, **parts)
    assert [each.process(an_invocation(image=None))["n"] for each in (first, second)] == [1, 2]
    assert sum(entry.startswith(str(tmp_path)) for entry in sys.path) == 1


def test_algorithm_path_says_where_the_package_is(tmp_path):
    files = {
        "algorithm/process.py": None,
        "pesto/build/build.json": {"algorithm_path": "code"},
        "code/algorithm/process.py": body("return {'n': 4}"),
    }
    algorithm = an_algorithm(tmp_path, inputs={"image": IMAGE}, outputs={"n": INTEGER}, files=files)
    assert algorithm.process(an_invocation(image=None)) == {"n": 4}


# arrays


def test_an_algorithm_may_write_into_its_inputs_whatever_they_came_in(tmp_path):
    process = body("image[:] = 1\nimages[0][:] = 2\nreturn {'image': image}", "image, images")
    algorithm = an_algorithm(tmp_path, process=process, inputs={"image": IMAGE, "images": IMAGES}, outputs={"image": IMAGE})
    frozen = np.frombuffer(bytes(20), np.uint8).reshape(1, 4, 5)
    outputs = algorithm.process(an_invocation(image=frozen, images=[frozen]))
    assert outputs["image"].all()
    assert not frozen.any()


def test_a_writable_array_is_not_copied(tmp_path):
    algorithm = an_algorithm(tmp_path, process=body("return {'image': image}"), inputs={"image": IMAGE}, outputs={"image": IMAGE})
    image = an_image()
    assert algorithm.process(an_invocation(image=image))["image"] is image


def test_an_algorithm_that_only_reads_is_given_views_without_a_copy(tmp_path):
    process = body("return {'image': image}") + "    read_only_inputs = True\n"
    algorithm = an_algorithm(tmp_path, process=process, inputs={"image": IMAGE}, outputs={"image": IMAGE})
    image = an_image()
    seen = algorithm.process(an_invocation(image=image))["image"]
    assert np.shares_memory(seen, image)
    assert not seen.flags.writeable
    assert image.flags.writeable


# what the algorithm may cap


@pytest.mark.parametrize(("line", "cap"), [("", None), ("max_concurrency = None", None), ("max_concurrency = 3", 3)])
def test_max_concurrency_is_the_class_attribute(tmp_path, line, cap):
    algorithm = an_algorithm(tmp_path, process=body("return {}") + f"    {line}\n", inputs={"image": IMAGE})
    assert algorithm.max_concurrency == cap


@pytest.mark.parametrize("value", ["0", "-1", "True", "2.0", "'2'"])
def test_a_max_concurrency_that_is_no_count_is_refused(tmp_path, value):
    message = refusal(tmp_path, process=body("return {}") + f"    max_concurrency = {value}\n", inputs={"image": IMAGE})
    assert "'max_concurrency'" in message
    assert "integer from 1" in message


# what is refused at the start


def test_a_project_without_a_process_file_is_refused(tmp_path):
    assert "no file 'algorithm/process.py'" in refusal(tmp_path, files={"algorithm/process.py": None})


def test_a_process_file_without_the_class_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refusal(tmp_path, process="class Proces: pass")
    assert "no class 'Process'" in message
    assert "did you mean 'Proces'?" in message


def test_a_class_without_the_method_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refusal(tmp_path, process="class Process:\n    def proces(self, image): pass")
    assert "no method 'process'" in message
    assert "did you mean 'proces'?" in message


def test_a_process_that_cannot_be_called_is_refused(tmp_path):
    assert "'process' of class Process" in refusal(tmp_path, process="class Process:\n    process = 3")


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_a_hook_that_cannot_be_called_is_refused(tmp_path, hook):
    message = refusal(tmp_path, process=body("return {}") + f"    {hook} = 3\n", inputs={"image": IMAGE})
    assert f"'{hook}'" in message


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("    async def process(self, image): pass", "a coroutine function"),
        ("    def process(self, image): yield 1", "a generator function"),
        ("    async def process(self, image): yield 1", "an asynchronous generator function"),
    ],
)
def test_a_process_that_is_no_plain_function_is_refused(tmp_path, code, shown):
    assert shown in refusal(tmp_path, process=f"class Process:\n{code}", inputs={"image": IMAGE})


def test_a_declared_input_without_a_parameter_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refusal(tmp_path, process=body("return {}", "image, treshold=None"))
    assert "'pesto/api/input_schema.json' declares 'threshold'" in message
    assert "'algorithm/process.py'" in message
    assert "did you mean 'treshold'?" in message


def test_a_parameter_without_an_input_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refusal(tmp_path, process=body("return {}", "image, treshold"))
    assert "'treshold'" in message
    assert "'pesto/api/input_schema.json' does not declare" in message
    assert "did you mean 'threshold'?" in message


def test_a_single_parameter_that_was_meant_as_the_whole_input_is_told_so(tmp_path):
    message = refusal(tmp_path, process=body("return {}", "input"), **WHOLE_PARTS)
    assert "write 'input: Input'" in message


def test_a_field_of_the_input_class_without_an_input_is_refused(tmp_path):
    message = refusal(tmp_path, process=WHOLE, inputs={"imagge": IMAGE}, outputs=OUTPUTS, input_output=INPUT_OUTPUT)
    assert "class Input of 'algorithm/input_output.py' has a field 'image'" in message
    assert "did you mean 'imagge'?" in message


def test_an_input_without_a_field_in_the_input_class_is_refused(tmp_path):
    message = refusal(tmp_path, process=WHOLE, inputs={**INPUTS, "gainn": NUMBER}, outputs=OUTPUTS, input_output=INPUT_OUTPUT)
    assert "declares 'gainn'" in message
    assert "class Input of 'algorithm/input_output.py' has no field" in message


def test_a_required_output_that_the_output_class_lacks_is_refused(tmp_path):
    message = refusal(tmp_path, process=WHOLE, inputs=INPUTS, outputs={**OUTPUTS, "totall": NUMBER}, input_output=INPUT_OUTPUT)
    assert "'pesto/api/output_schema.json' requires 'totall'" in message
    assert "did you mean 'total'?" in message


def test_a_second_parameter_beside_the_input_class_is_refused_with_the_remedy(tmp_path):
    process = body("return {}", "input: Input, gain", "from algorithm.input_output import Input")
    message = refusal(tmp_path, process=process, **WHOLE_PARTS)
    assert "'gain' beside 'input: Input'" in message
    assert "pesto_stream.TileContext" in message


def test_parameters_that_cannot_be_named_are_refused(tmp_path):
    assert "before '/'" in refusal(tmp_path, process=body("return {}", "image, threshold, /"))


def test_an_import_that_fails_is_told_in_the_users_own_lines(tmp_path):
    with pytest.raises(ProjectError) as caught:
        an_algorithm(
            tmp_path,
            process="from algorithm.deep import thing",
            files={"algorithm/deep.py": "import json\n\n\njson.loads('{')"},
        )
    assert "'algorithm/process.py'" in str(caught.value)
    assert "JSONDecodeError" in str(caught.value)
    assert str(caught.value).endswith("(deep.py:4 in <module>, from process.py:1 in <module>)")
    assert caught.value.__notes__ == [
        "  process.py:1 in <module>\n    from algorithm.deep import thing\n  deep.py:4 in <module>\n    json.loads('{')"
    ]


def test_a_missing_library_comes_with_the_remedy(tmp_path):
    message = refusal(tmp_path, process="import no_such_library.part")
    assert "install 'no_such_library', or add it to pesto/build/requirements.json" in message


def test_a_syntax_error_is_told_with_its_line(tmp_path):
    message = refusal(tmp_path, process="class Process:\n    def process(self, image:\n        return {}")
    assert "SyntaxError" in message
    assert "(process.py:2)" in message


def test_a_process_file_that_exits_is_refused(tmp_path):
    assert "SystemExit: 3" in refusal(tmp_path, process="raise SystemExit(3)")


def test_a_constructor_that_fails_is_refused(tmp_path):
    message = refusal(tmp_path, process="class Process:\n    def __init__(self):\n        {}['model']")
    assert "KeyError: 'model' (process.py:3 in __init__)" in message


def test_a_foreign_module_named_algorithm_is_refused_with_its_place(tmp_path, monkeypatch):
    foreign = types.ModuleType("algorithm")
    foreign.__file__ = "/elsewhere/algorithm.py"
    monkeypatch.setitem(sys.modules, "algorithm", foreign)
    message = refusal(tmp_path)
    assert "'/elsewhere/algorithm.py'" in message
    assert sys.modules["algorithm"] is foreign


def test_an_on_start_that_fails_is_told_in_the_users_own_lines(tmp_path):
    process = body("return {}") + "    def on_start(self):\n        open('/no/such/model.onnx')\n"
    with pytest.raises(ProjectError) as caught:
        an_algorithm(tmp_path, process=process, inputs={"image": IMAGE})
    assert "on_start of project 'an-algorithm' failed: FileNotFoundError" in str(caught.value)
    assert "(process.py:6 in on_start)" in str(caught.value)
    assert caught.value.__notes__ == ["  process.py:6 in on_start\n    open('/no/such/model.onnx')"]


def test_an_on_stop_that_fails_is_told_too(tmp_path):
    process = body("return {}") + "    def on_stop(self):\n        raise OSError('gone')\n"
    algorithm = an_algorithm(tmp_path, process=process, inputs={"image": IMAGE})
    with pytest.raises(ProjectError, match="on_stop of project 'an-algorithm' failed: OSError: gone"):
        algorithm.on_stop()


# what fails on a tile


def test_an_exception_names_the_users_line_and_nothing_of_this_machine(tmp_path):
    message = failure(tmp_path, "x = 1\nreturn {'n': x / 0}")
    assert message == "ZeroDivisionError: division by zero (process.py:5 in process)"


def test_library_frames_are_left_out_and_callers_are_named(tmp_path):
    files = {
        "algorithm/parts/net.py": "import json\n\ndef forward(text):\n    return json.loads(text)\n",
        "algorithm/parts/__init__.py": "",
    }
    message = failure(tmp_path, "return forward('{')", imports="from algorithm.parts.net import forward", files=files)
    assert message.endswith("(parts/net.py:4 in forward, from process.py:5 in process)")


def test_an_environment_inside_the_project_is_not_the_users_code(tmp_path, monkeypatch):
    files = {".venv/lib/site-packages/a_library.py": "def divide(x):\n    return x / 0\n"}
    monkeypatch.syspath_prepend(tmp_path / "an-algorithm" / ".venv" / "lib" / "site-packages")
    imports = "from a_library import divide"
    assert failure(tmp_path, "return divide(1)", imports=imports, files=files).endswith("zero (process.py:5 in process)")


def test_paths_of_the_project_do_not_leave_it_in_messages(tmp_path):
    message = failure(tmp_path, "open(__file__ + '.missing')")
    assert str(tmp_path) not in message
    assert "'process.py.missing'" in message


def test_a_long_text_of_many_lines_becomes_a_short_one(tmp_path):
    message = failure(tmp_path, "raise ValueError('line\\n' * 1000)")
    assert "\n" not in message
    assert len(message) < 600


def test_an_exception_that_cannot_be_shown_is_still_told(tmp_path):
    imports = "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError"
    assert failure(tmp_path, "raise Odd()", imports=imports).startswith("Odd: <its text cannot be shown>")


@pytest.mark.parametrize("raised", ["SystemExit(1)", "GeneratorExit", "BaseException('b')", "MemoryError", "RecursionError"])
def test_no_exit_of_the_users_stops_the_fleet(tmp_path, raised):
    assert raised.partition("(")[0] in failure(tmp_path, f"raise {raised}")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, StoreUnavailable])
def test_an_interrupt_and_trouble_outside_pass(tmp_path, raised):
    process = body(f"raise {raised.__name__}", imports="from pesto_stream.errors import StoreUnavailable")
    algorithm = an_algorithm(tmp_path, process=process, inputs={"image": IMAGE})
    with pytest.raises(raised):
        algorithm.process(an_invocation(image=None))


def test_a_lost_device_is_no_fault_of_the_tile(tmp_path):
    text = "CUDA error: an illegal memory access was encountered"
    algorithm = an_algorithm(tmp_path, process=body(f"raise RuntimeError('{text}')"), inputs={"image": IMAGE})
    with pytest.raises(DeviceLost, match=f"{text} .process.py:4 in process."):
        algorithm.process(an_invocation(image=None))


def test_a_device_lost_at_the_start_is_told_as_such(tmp_path):
    process = (
        body("return {}")
        + "    def on_start(self):\n        raise RuntimeError('CUDA error: no CUDA-capable device is detected')\n"
    )
    with pytest.raises(DeviceLost, match="on_start"):
        an_algorithm(tmp_path, process=process, inputs={"image": IMAGE})


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ("None", "process returned None"),
        ("[1]", "a value of type 'list'"),
        ("image", "a value of type 'ndarray'"),
        ("{1: 2}", "a key of type 'int'"),
        ("Process", "a value of type 'type'"),
    ],
)
def test_what_may_not_be_returned_is_named(tmp_path, returned, shown):
    assert shown in failure(tmp_path, f"return {returned}")


def test_an_input_class_that_refuses_its_values_fails_the_tile(tmp_path):
    refuse = "\n\n        def __post_init__(self):\n            raise ValueError('not like that')"
    strict = INPUT_OUTPUT.replace("note: str = field(default=None)", f"note: str = field(default=None){refuse}")
    algorithm = an_algorithm(tmp_path, process=WHOLE, inputs=INPUTS, outputs=OUTPUTS, input_output=strict)
    with pytest.raises(AlgorithmError, match=r"ValueError: not like that \(input_output\.py:14 in __post_init__"):
        algorithm.process(an_invocation(image=None))


def test_the_port_is_kept(tmp_path):
    project = a_loaded_project(tmp_path)
    algorithm = load_algorithm(project)
    assert algorithm.spec is project.spec
    algorithm.on_start()
    assert set(algorithm.process(an_invocation(image=an_image(), threshold=None))) == {"mask", "coverage"}
    algorithm.on_stop()
