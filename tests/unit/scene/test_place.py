import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.errors import EnvelopeError
from pesto_stream.model.tile import Window
from pesto_stream.scene.place import Place, place_of
from pesto_stream.scene.plan import plan

VALID = {"sceneid": "s", "tileindex": "3", "tilecount": "4", "tilewindow": "10 10 5 5", "tileoffset": "2 2", "scenesize": "15 15"}


@given(st.integers(1, 200), st.integers(1, 200), st.integers(8, 64), st.integers(0, 20))
def test_a_place_survives_its_attributes(width, height, tile, overlap):
    for planned in plan(width, height, tile, overlap):
        place = Place.of(planned, "scene", (width, height))
        assert place_of(place.attributes()) == place


def test_offset_and_scene_size_may_be_left_out():
    place = place_of({name: VALID[name] for name in ("sceneid", "tileindex", "tilecount", "tilewindow")})
    assert place == Place("s", 3, 4, Window(10, 10, 5, 5), (0, 0), None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sceneid": ""},
        {"tileindex": "4"},
        {"tileindex": "-1"},
        {"tileindex": "٣"},
        {"tileindex": "3 3"},
        {"tilecount": "1000000000"},
        {"tilecount": "1000001"},
        {"tilecount": "0"},
        {"tilewindow": "10 10 5"},
        {"tilewindow": "10 10 6 5"},
        {"tilewindow": "10 10 5 6"},
        {"tilewindow": "10 10 0 5"},
        {"tilewindow": "10 10 5 5 5"},
        {"tilewindow": "999999999 0 999999999 5"},
        {"tilewindow": "9" * 5000},
        {"tileoffset": "2"},
        {"tileoffset": "a b"},
        {"scenesize": "15"},
        {"scenesize": "999999999 999999999"},
    ],
)
def test_a_place_that_cannot_be_is_refused(wrong):
    with pytest.raises(EnvelopeError, match="cannot place"):
        place_of({**VALID, **wrong})


@pytest.mark.parametrize("name", ["sceneid", "tileindex", "tilecount", "tilewindow"])
def test_what_has_to_be_there_is_named_when_it_is_missing(name):
    with pytest.raises(EnvelopeError, match=f"'{name}'"):
        place_of({key: value for key, value in VALID.items() if key != name})


@given(st.dictionaries(st.sampled_from(sorted(VALID)), st.text(max_size=30)))
def test_any_text_is_a_place_or_an_envelope_error(attributes):
    with contextlib.suppress(EnvelopeError):
        assert place_of(attributes).index >= 0
