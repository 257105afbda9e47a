import copy

from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.model.merge import merged

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=12
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(OBJECTS)
def test_an_empty_side_changes_nothing(value):
    assert merged(value, {}) == value
    assert merged({}, value) == value


@given(OBJECTS)
def test_merging_a_profile_twice_is_merging_it_once(value):
    assert merged(value, value) == value


@given(OBJECTS, OBJECTS)
def test_neither_side_is_changed(base, overlay):
    before = copy.deepcopy((base, overlay))
    merged(base, overlay)
    assert (base, overlay) == before


@given(OBJECTS, OBJECTS)
def test_each_key_comes_from_the_overlay_unless_both_are_objects(base, overlay):
    result = merged(base, overlay)
    assert set(result) == set(base) | set(overlay)
    for key, value in result.items():
        if isinstance(base.get(key), dict) and isinstance(overlay.get(key), dict):
            assert value == merged(base[key], overlay[key])
        else:
            assert value == (overlay if key in overlay else base)[key]


def test_arrays_are_replaced_and_null_overwrites():
    assert merged({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": None}) == {"a": [3], "b": None}


def test_objects_are_merged_at_any_depth():
    assert merged({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"d": 3}}}) == {"a": {"b": {"c": 1, "d": 3}}}
