"""Test resources on disk become the values that PESTO's own test sends."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.converters.image import encode_image
from pesto_stream.errors import ProjectError
from pesto_stream.model.tile import Tile
from pesto_stream.testing.payload import folder_url, payload_of
from pesto_stream.testing.resources import File, read_cases, read_values

PNG = encode_image(Tile(np.zeros((1, 2, 3), np.uint8)), "image/png")


def write(folder, **files):
    """Names with `__` for `/` and `_dot_` for `.`."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_each_ending_says_what_the_file_holds(tmp_path):
    write(
        tmp_path,
        text_dot_string="two\nlines\n",
        a_dot_float="0.5\n",
        b_dot_number="3",
        c_dot_int=" 7\n",
        d_dot_integer="-1",
        e_dot_json='{"deep": [1, null]}',
        f_dot_geojson='{"type": "Polygon"}',
    )
    assert read_values(tmp_path) == {
        "text": "two\nlines\n", "a": 0.5, "b": 3.0, "c": 7, "d": -1, "e": {"deep": [1, None]}, "f": {"type": "Polygon"},
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["tif", "tiff", "png", "jpg", "jpeg", "jp2", "npy", "TIF", "PNG"])
def test_an_image_is_its_file_and_in_a_payload_its_url_or_base64(tmp_path, ending):
    path = tmp_path / f"image one.{ending}"
    path.write_bytes(PNG)
    values = read_values(tmp_path)
    assert values == {"image one": File(path)}
    assert payload_of(values, embedded=False) == {"image one": path.as_uri()}
    assert "%20" in payload_of(values, embedded=False)["image one"]
    assert payload_of(values, embedded=True)["image one"].startswith("iVBOR")


def test_another_ending_is_a_url_either_way(tmp_path):
    write(tmp_path, model_dot_bin="x")
    url = (tmp_path / "model.bin").as_uri()
    assert payload_of(read_values(tmp_path), embedded=True) == payload_of(read_values(tmp_path), embedded=False) == {"model": url}


def test_a_folder_of_numbers_is_an_array_in_numeric_order(tmp_path):
    write(tmp_path, **{f"list__{number}_dot_int": str(number) for number in (10, 2, 0, 1, 9)})
    assert read_values(tmp_path) == {"list": [0, 1, 2, 9, 10]}


def test_any_other_folder_is_an_object_and_both_nest(tmp_path):
    write(tmp_path, options__mask_dot_png=PNG, options__levels__0_dot_int="5", options__levels__1__name_dot_string="x")
    assert read_values(tmp_path) == {"options": {"mask": File(tmp_path / "options/mask.png"), "levels": [5, {"name": "x"}]}}
    assert payload_of(read_values(tmp_path), embedded=False)["options"]["levels"] == [5, {"name": "x"}]


def test_one_entry_that_is_no_number_makes_an_object(tmp_path):
    write(tmp_path, mixed__0_dot_int="1", mixed__one_dot_int="2")
    assert read_values(tmp_path) == {"mixed": {"0": 1, "one": 2}}


def test_the_top_is_an_object_whatever_is_in_it(tmp_path):
    assert read_values(tmp_path) == {}
    write(tmp_path, **{"0_dot_int": "1"})
    assert read_values(tmp_path) == {"0": 1}


def test_an_empty_folder_is_an_empty_array_and_hidden_files_are_passed_over(tmp_path):
    write(tmp_path, none___dot_gitkeep="", _dot_DS_Store="x")
    assert read_values(tmp_path) == {"none": []}


def test_a_key_is_the_name_up_to_the_last_dot(tmp_path):
    write(tmp_path, a_dot_b_dot_int="1")
    assert read_values(tmp_path) == {"a.b": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("n.int", "1.5", "it holds '1.5', expected a whole number"),
        ("n.float", "nan", "it holds 'nan', expected a finite number"),
        ("n.float", "1e999", "it holds '1e999', expected a finite number"),
        ("n.int", "9" * 5000, "expected a whole number"),
        ("n.string", b"\xff\xfe", "byte 0 is not UTF-8"),
        ("n.json", "{", "is not valid JSON"),
        ("n.json", "[" * 200 + "]" * 200, "nested"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_named(tmp_path, name, content, said):
    write(tmp_path, **{name: content})
    with pytest.raises(ProjectError) as failure:
        read_values(tmp_path)
    assert said in str(failure.value)
    assert name in str(failure.value)


def test_two_entries_for_one_key_are_refused(tmp_path):
    write(tmp_path, a_dot_int="1", a_dot_float="2")
    with pytest.raises(ProjectError, match="two of its entries are called 'a'"):
        read_values(tmp_path)


def test_two_entries_of_one_number_are_refused(tmp_path):
    write(tmp_path, list__1_dot_int="1", list__01_dot_int="2")
    with pytest.raises(ProjectError, match="two of its entries have the same number"):
        read_values(tmp_path)


def test_a_link_in_a_circle_ends(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ProjectError, match="nested deeper than 32 levels"):
        read_values(tmp_path)


@pytest.mark.parametrize("name", [b"\xff.int", b"a\nb.int", b"\x1b[2J.int"])
def test_a_name_that_is_no_printable_text_is_refused_in_printable_words(tmp_path, name):
    try:
        (tmp_path / os.fsdecode(name)).write_text("1")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(ProjectError, match="no printable text") as failure:
        read_values(tmp_path)
    assert str(failure.value).isprintable()


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=12))
def test_arrays_keep_the_order_of_their_numbers(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("numbers")
    for number in numbers:
        write(folder, **{f"list__{number}_dot_json": json.dumps({"number": number})})
    assert [one["number"] for one in read_values(folder)["list"]] == sorted(numbers)


def test_the_allowed_folder_is_that_folder_alone(tmp_path):
    assert folder_url(tmp_path / "a b") == (tmp_path / "a b").as_uri() + "/"


def a_project(folder, *names):
    for name in names:
        write(folder / "pesto/tests/resources" / name / "input", x_dot_int="1")
    return folder


def test_cases_come_in_the_order_of_their_names_and_without_output_nothing_is_expected(tmp_path):
    a_project(tmp_path, "test_b", "test_a", "other")
    write(tmp_path, pesto__tests__resources__test_b__output__y_dot_int="2")
    first, second = read_cases(tmp_path)
    assert (first.name, first.inputs, first.expected) == ("test_a", {"x": 1}, None)
    assert (second.name, second.expected) == ("test_b", {"y": 2})
    assert [case.name for case in read_cases(tmp_path, ["test_b"])] == ["test_b"]


def test_a_name_that_no_test_has_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ProjectError, match=r"no test 'test_cloud'.*did you mean 'test_clouds'"):
        read_cases(a_project(tmp_path, "test_clouds"), ["test_cloud"])


def test_a_project_without_tests_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="has no tests: expected folders"):
        read_cases(tmp_path)


def test_a_test_without_input_is_refused(tmp_path):
    (tmp_path / "pesto/tests/resources/test_a").mkdir(parents=True)
    with pytest.raises(ProjectError, match="test 'test_a' has no folder 'input'"):
        read_cases(tmp_path)
