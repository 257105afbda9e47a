"""`process_batch`: bound and checked at the start, and the same as `process` for whoever calls it."""

import io
import json
import logging

import pytest
from support.projects import INTEGER, NUMBER, STRING, an_algorithm, an_invocation, body

from pesto_stream.errors import AlgorithmError, DeviceLost, ProjectError, StoreUnavailable
from pesto_stream.log import configure
from pesto_stream.model.invocation import TileContext

INPUTS = {"a": NUMBER, "b": NUMBER}
PARTS = {"inputs": INPUTS, "required": [], "outputs": {"n": NUMBER, "seen": STRING}, "required_outputs": []}
INPUT_OUTPUT = """
    from dataclasses import dataclass
    from pesto.cli.fields import field

    @dataclass
    class Input:
        a: float = field()
        b: float = field(default=7.0)

    @dataclass
    class Output:
        n: float = field()
        seen: str = field(default="")
"""


def process_of(batch, parameters="inputs", process="def process(self, a, b=7.0):\n        return {'n': a + b}"):
    lines = "\n".join(f"        {line}" for line in batch.splitlines())
    method = f"    def process_batch(self, {parameters}):\n{lines}\n" if batch else ""
    return f"from pesto_stream import TileContext\n\nclass Process:\n    {process}\n{method}"


def algorithm_of(tmp_path, *arguments, **parts):
    return an_algorithm(tmp_path, process=process_of(*arguments), **{**PARTS, **parts})


def refusal(tmp_path, *arguments, **parts):
    with pytest.raises(ProjectError) as caught:
        algorithm_of(tmp_path, *arguments, **parts)
    return str(caught.value)


SOME = [an_invocation(a=1, b=2), an_invocation(a=3, b=None)]


def test_separate_parameters_come_as_dicts_with_the_defaults_of_process(tmp_path):
    algorithm = algorithm_of(tmp_path, "return [{'n': one['a'] + one['b'], 'seen': repr(one)} for one in inputs]")
    assert algorithm.takes_batches
    assert algorithm.process_batch(SOME) == [
        {"n": 3, "seen": "{'a': 1, 'b': 2}"},
        {"n": 10.0, "seen": "{'a': 3, 'b': 7.0}"},
    ]


def test_an_input_class_comes_as_its_objects_and_outputs_may_be_of_theirs(tmp_path):
    process = """
        from algorithm.input_output import Input, Output

        class Process:
            def process(self, input: Input): raise AssertionError
            def process_batch(self, inputs): return [Output(n=one.a + one.b) for one in inputs]
    """
    algorithm = an_algorithm(tmp_path, process=process, input_output=INPUT_OUTPUT, **PARTS)
    assert [one["n"] for one in algorithm.process_batch(SOME)] == [3, 10.0]


def test_without_one_the_tiles_are_processed_one_by_one(tmp_path):
    algorithm = algorithm_of(tmp_path, "")
    assert not algorithm.takes_batches
    assert algorithm.process_batch(SOME) == [{"n": 3}, {"n": 10.0}]


def test_no_tiles_are_no_call(tmp_path):
    assert algorithm_of(tmp_path, "raise AssertionError").process_batch([]) == []


@pytest.mark.parametrize(
    "annotation", ["list[TileContext]", "'list[TileContext]'", "'typing.Sequence[pesto_stream.TileContext]'"]
)
def test_the_contexts_are_given_where_they_are_asked_for(tmp_path, annotation):
    algorithm = algorithm_of(tmp_path, "return [{'seen': one.crs} for one in contexts]", f"inputs, contexts: {annotation}")
    tiles = [an_invocation(TileContext(crs=crs), a=1, b=2) for crs in ("EPSG:1", "EPSG:2")]
    assert algorithm.process_batch(tiles) == [{"seen": "EPSG:1"}, {"seen": "EPSG:2"}]


def test_a_batch_of_a_base_class_is_not_used_past_a_process_of_the_class_itself(tmp_path):
    process = """
        class Base:
            def process(self, a, b=None): return {"n": 1}
            def process_batch(self, inputs): return [{"n": 2} for _ in inputs]

        class Process(Base):
            def process(self, a, b=None): return {"n": 3}
    """
    algorithm = an_algorithm(tmp_path, process=process, **PARTS)
    assert algorithm.process_batch(SOME) == [{"n": 3}, {"n": 3}]


# what is refused at the start


def test_a_batch_that_cannot_be_called_is_refused(tmp_path):
    process = body("return {}", "a, b") + "    process_batch = 3\n"
    with pytest.raises(ProjectError, match=r"'process_batch' of class Process in 'algorithm/process.py' cannot be called"):
        an_algorithm(tmp_path, process=process, **PARTS)


@pytest.mark.parametrize("parameters", ["", "contexts: list[TileContext]", "*inputs", "inputs=()"])
def test_a_batch_that_takes_no_list_is_refused(tmp_path, parameters):
    assert "takes no list of inputs; write 'process_batch(self, inputs: list) -> list'" in refusal(
        tmp_path, "return []", parameters
    )


def test_a_batch_of_separate_parameters_is_refused(tmp_path):
    assert "has a parameter 'b' beside 'a'; it is given the inputs of all tiles in one list" in refusal(
        tmp_path, "return []", "a, b"
    )


def test_a_batch_that_is_no_plain_function_is_refused(tmp_path):
    assert "process_batch of 'algorithm/process.py' is a generator function" in refusal(tmp_path, "yield 1")


# what may go wrong in it


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("return None", "process_batch returned None; expected a list of outputs, one for each of its 2 inputs"),
        ("return {'n': 1}", "process_batch returned a value of type 'dict'; expected a list"),
        ("return [{'n': 1}]", "process_batch returned 1 outputs for 2 inputs; expected one for each, in their order"),
        ("return [{'n': 1}, 2]", "process_batch returned a value of type 'int'; expected a dict of outputs by name"),
        ("1 / 0", "ZeroDivisionError: division by zero (process.py:7 in process_batch)"),
        ("raise SystemExit(1)", "SystemExit: 1 (process.py:7 in process_batch)"),
    ],
)
def test_what_goes_wrong_in_a_batch_is_the_algorithms_error(tmp_path, statement, message):
    algorithm = algorithm_of(tmp_path, statement)
    with pytest.raises(AlgorithmError) as caught:
        algorithm.process_batch(SOME)
    assert message in str(caught.value)


def test_a_device_that_fails_in_a_batch_is_lost_and_trouble_outside_stays_what_it_is(tmp_path):
    lost = algorithm_of(tmp_path, "raise RuntimeError('CUDA error: unspecified launch failure')", name="lost")
    with pytest.raises(DeviceLost):
        lost.process_batch(SOME)
    code = "from pesto_stream.errors import StoreUnavailable\nraise StoreUnavailable('x')"
    with pytest.raises(StoreUnavailable):
        algorithm_of(tmp_path, code, name="outside").process_batch(SOME)


# the context's logger


def test_the_contexts_logger_says_which_tile_it_is(tmp_path):
    process = body(
        "context.logger.warning('too_dark', share=0.5)\nreturn {'n': 1}",
        "context: TileContext, a=None",
        "from pesto_stream import TileContext",
    )
    algorithm = an_algorithm(tmp_path, process=process, inputs={"a": INTEGER}, required=[], outputs={"n": INTEGER})
    stream = io.StringIO()
    level = logging.getLogger().level
    configure("info", "json", stream)
    try:
        context = TileContext(attributes={"id": "7", "sceneid": "S1", "tileindex": "4", "type": "tile"})
        algorithm.process(an_invocation(context, a=1))
    finally:
        root = logging.getLogger()
        root.removeHandler(next(one for one in root.handlers if getattr(one, "stream", None) is stream))
        root.setLevel(level)
        logging.captureWarnings(capture=False)
    line = json.loads(stream.getvalue())
    assert line["event"] == "too_dark"
    assert {key: line[key] for key in ("logger", "level", "share", "id", "sceneid", "tileindex")} == {
        "logger": "algorithm",
        "level": "warning",
        "share": 0.5,
        "id": "7",
        "sceneid": "S1",
        "tileindex": "4",
    }
