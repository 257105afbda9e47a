"""Objects of the project's own classes in results, whatever they hold."""

from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np
from support.projects import METADATA, an_algorithm, an_image, an_invocation, body

from pesto_stream.algorithms.making import DEEPEST, makers_of, plain


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@dataclass
class Inner:
    colour: Colour
    image: object = None


@dataclass
class Outer:
    inner: Inner
    more: "list[Inner] | None" = None
    itself: "Outer | None" = None


def test_dataclasses_and_enumerations_become_what_json_says():
    image = an_image()
    found = plain({"a": [Inner(Colour.RED, image)], "b": (Level.LOW, 2), "c": {"d": Outer(Inner(Colour.RED))}})
    assert found["a"][0]["colour"] == "red"
    assert found["a"][0]["image"] is image
    assert found["b"] == [1, 2]
    assert found["c"]["d"] == {"inner": {"colour": "red", "image": None}, "more": None, "itself": None}


def test_what_holds_no_objects_stays_itself():
    for value in (an_image(), [1.0, 2.0], {"a": 1}, "x", np.float32(1), None):
        assert plain(value) is value


def test_a_result_that_contains_itself_ends():
    endless = []
    endless.append(endless)
    found = plain(endless)
    for _ in range(DEEPEST - 1):
        (found,) = found
    assert isinstance(found, list)


def test_a_result_that_contains_itself_is_left_to_the_encoder(tmp_path):
    algorithm = an_algorithm(
        tmp_path, process=body("a = []\na.append(a)\nreturn {'a': {'b': a}}"), inputs={"image": METADATA}, outputs={"a": METADATA}
    )
    assert list(algorithm.process(an_invocation(image={}))) == ["a"]


def test_plain_values_become_objects_and_none_stays_none():
    makers = makers_of(Outer)
    assert makers["inner"]({"colour": "red"}) == Inner(Colour.RED)
    assert makers["more"]([{"colour": "red"}]) == [Inner(Colour.RED)]
    assert makers["inner"]("no object") == "no object"
    assert "itself" not in makers
