"""Rewriting what is expected: what was written reads back as equal, and nothing else is touched."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.converters.image import encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ProjectError
from pesto_stream.model.tile import Tile
from pesto_stream.testing.answer import Picture
from pesto_stream.testing.compare import compare
from pesto_stream.testing.difference import Tolerance
from pesto_stream.testing.resources import Case, read_values
from pesto_stream.testing.session import Report
from pesto_stream.testing.update import update_case


def a_picture(value=1, media_type="image/png"):
    tile = Tile(np.full((1, 4, 5), value, np.uint8))
    return Picture(encode_image(tile, media_type), media_type, tile)


def update(folder, answer):
    """Compare, rewrite, read again; the lines and what then still differs."""
    output = folder / "output"
    case = Case("test_a", folder, {}, read_values(output) if output.is_dir() else None)
    differences = tuple(compare(case.expected or {}, answer, Tolerance(), Limits()))
    verdict = "failed" if differences or case.expected is None else "passed"
    lines = update_case(case, Report("test_a", verdict, 0.0, differences, answer=answer))
    return lines, [str(one) for one in compare(read_values(output), answer, Tolerance(), Limits())]


def names(folder):
    return sorted(str(path.relative_to(folder / "output")) for path in (folder / "output").rglob("*") if path.is_file())


ANSWER = {"text": "a\n", "float": 0.1, "whole": 3, "none": None, "yes": True, "object": {"a": [1]}, "list": [1, 2], "empty": []}


def test_every_kind_of_value_has_its_ending(tmp_path):
    lines, left = update(
        tmp_path,
        {
            **ANSWER,
            "mask": a_picture(),
            "place": a_picture(media_type="image/tiff"),
            "raw": a_picture(media_type="application/x-npy"),
        },
    )
    assert left == []
    assert names(tmp_path) == [
        "empty.json", "float.float", "list.json", "mask.png", "none.json", "object.json", "place.tif", "raw.npy", "text.string", "whole.int",
        "yes.json",
    ]  # fmt: skip
    assert "'mask.png'" in lines


def test_images_in_arrays_and_objects_become_folders(tmp_path):
    answer = {
        "list": [a_picture(n) for n in range(12)],
        "options": {"mask": a_picture(), "levels": [1, 2], "inner": {"0": a_picture(), "b": 1.5}},
    }
    _, left = update(tmp_path, answer)
    assert left == []
    assert "list/11.png" in names(tmp_path)
    assert "options/levels.json" in names(tmp_path)


def test_only_what_differs_is_written(tmp_path):
    update(tmp_path, {"a": 1, "b": 2.0, "mask": a_picture()})
    (tmp_path / "output" / "b.float").write_text(" 2.0000000001 ")
    lines, left = update(tmp_path, {"a": 5, "b": 2.0, "mask": a_picture()})
    assert (lines, left) == (["'a.int'"], [])
    assert (tmp_path / "output" / "b.float").read_text() == " 2.0000000001 "


def test_another_ending_a_folder_and_what_is_gone_are_replaced(tmp_path):
    update(tmp_path, {"a": 1, "mask": a_picture(), "list": [a_picture()], "old": "x"})
    lines, left = update(tmp_path, {"a": 1.5, "mask": a_picture(9, "image/tiff"), "list": [1], "new": 1})
    assert left == []
    assert names(tmp_path) == ["a.float", "list.json", "mask.tif", "new.int"]
    assert "'mask.tif' in place of 'mask.png'" in lines
    assert "'list.json' in place of 'list'" in lines
    assert "no 'old.string'" in lines


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", "a\\b", "a\nb", "x" * 300])
def test_a_name_that_is_none_for_a_file_is_refused_before_anything_is_written(tmp_path, name):
    update(tmp_path, {"a": 1})
    with pytest.raises(ProjectError, match="its name is no name for a file"):
        update(tmp_path, {"a": 2, name: 1})
    assert (tmp_path / "output" / "a.int").read_text() == "1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_an_object_of_images_that_would_read_as_an_array_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="a folder of numbered images is an array"):
        update(tmp_path, {"masks": {"0": a_picture()}})


def test_a_link_in_the_output_is_unlinked_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0.int").write_text("1")
    update(tmp_path, {"a": 1})
    (tmp_path / "output" / "list").symlink_to(elsewhere)
    update(tmp_path, {"a": 1})
    assert (elsewhere / "0.int").exists()
    assert names(tmp_path) == ["a.int"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_json_value_reads_back_as_equal(tmp_path_factory, value):
    json.dumps(value)
    _, left = update(tmp_path_factory.mktemp("case"), {"value": value})
    assert left == []
