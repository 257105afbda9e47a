"""`pesto-stream test` in this process: what it prints, writes and ends with."""

import json
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from support.command import command_line
from support.projects import IMAGE, IMAGES, NUMBER, a_project

from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.model.tile import Tile

EXAMPLE = Path(__file__).parents[3] / "examples" / "cloud-detector"
RESOURCES = Path("pesto/tests/resources")
IMAGE_FILE = encode_image(
    Tile(np.arange(24, dtype=np.uint8).reshape(1, 4, 6), "EPSG:32631", (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)), "image/tiff"
)

main = command_line


def a_tested_project(folder, **parts):
    """The threshold project with a test that passes."""
    inputs = {f"{RESOURCES}/test_a/input/image.tif": IMAGE_FILE, f"{RESOURCES}/test_a/input/threshold.float": "12"}
    project = a_project(folder, **{**parts, "files": {**inputs, **parts.get("files", {})}})
    assert main("test", project, "--update").code == 0
    return project


def results(project):
    folder = project / "pesto/tests/.results"
    return json.loads((folder / "results.json").read_text()), ET.parse(folder / "junit.xml").getroot()[0]


def test_the_example_passes(tmp_path):
    project = shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns(".results"))
    done = main("test", project)
    assert done.code == 0, done
    assert [line.split()[:2] for line in done.out.splitlines()[1:3]] == [["ok", "describe"], ["ok", "test_clouds"]]
    assert done.out.splitlines()[-1] == f"2 passed, 0 failed; results in '{project / 'pesto/tests/.results'}'"
    written, junit = results(project)
    assert written == {"describe": {"NoDifference": True}, "test_clouds": {"NoDifference": True}}
    assert (junit.get("tests"), junit.get("failures")) == ("2", "0")


def test_a_changed_output_fails_with_its_name_pixels_and_distance_and_an_update_makes_it_pass(tmp_path):
    project = a_tested_project(tmp_path)
    expected = project / RESOURCES / "test_a/output"
    assert sorted(path.name for path in expected.iterdir()) == ["coverage.float", "mask.tif"]
    process = project / "algorithm/process.py"
    process.write_text(process.read_text().replace("return {", "mask[0, :3] = 7\n        return {"))

    done = main("test", project)

    assert done.code == 5
    drawn = project / "pesto/tests/.results/test_a/mask.difference.png"
    assert f"mask: 3 of 24 pixels differ (12.5 %), by at most 7, on average 7; drawn in '{drawn}'" in done.out
    assert decode_image(drawn.read_bytes(), "image/png", Limits())
    written, junit = results(project)
    assert (
        written["test_a"]["KeysNotEqual"]["mask"]["difference"]
        == "mask: 3 of 24 pixels differ (12.5 %), by at most 7, on average 7"
    )
    assert junit.get("failures") == "1"

    before = {path: path.read_bytes() for path in project.rglob("*.float")}
    done = main("test", project, "--update")
    assert done.code == 0
    assert "now expected: 'mask.tif'" in done.out
    assert {path: path.read_bytes() for path in project.rglob("*.float")}.keys() == before.keys()
    done = main("test", project)
    assert done.code == 0, done
    assert not drawn.exists()


def test_a_changed_description_fails_and_an_update_takes_it(tmp_path):
    project = a_tested_project(tmp_path)
    description = project / "pesto/api/description.json"
    description.write_text(description.read_text().replace('"version": "1.2.3"', '"version": "2.0.0"'))
    done = main("test", project)
    assert done.code == 5
    assert "version: '2.0.0', expected '1.2.3'" in done.out
    assert main("test", project, "--update").code == 0
    assert main("test", project).code == 0


def test_without_an_expected_describe_the_rest_decides(tmp_path):
    project = a_tested_project(tmp_path)
    (project / RESOURCES / "expected_describe.json").unlink()
    done = main("test", project)
    assert done.code == 0
    assert "skipped  describe" in done.out
    assert "there is no expected_describe.json" in done.out


def test_without_an_output_folder_a_test_fails_with_the_remedy(tmp_path):
    project = a_tested_project(tmp_path)
    shutil.rmtree(project / RESOURCES / "test_a/output")
    done = main("test", project)
    assert done.code == 5
    assert "it has no folder 'output', so nothing is expected; --update writes it" in done.out


def test_an_algorithm_that_raises_fails_its_test_with_its_words_and_update_leaves_it(tmp_path):
    project = a_tested_project(tmp_path)
    (project / "algorithm/process.py").write_text(
        "class Process:\n    def process(self, image, threshold=None):\n        raise ValueError('no\\x1b[2Jsun')\n"
    )
    before = sorted((project / RESOURCES / "test_a/output").iterdir())
    for arguments in ((), ("--update",)):
        done = main("test", project, *arguments)
        assert done.code == 5
        assert "ValueError: no\\x1b[2Jsun" in done.out
    assert sorted((project / RESOURCES / "test_a/output").iterdir()) == before
    assert "ValueError" in results(project)[0]["test_a"]["Error"]


def test_nested_inputs_and_lists_of_images_reach_the_algorithm(tmp_path):
    process = """
        class Process:
            def process(self, images, options):
                return {"sums": [int(image.sum()) for image in images], "copies": images[::-1], "options": options}
    """
    options = {"type": "object", "properties": {"mask": IMAGE, "levels": {"type": "array", "items": {"type": "integer"}}}}
    files = {
        **{f"{RESOURCES}/test_a/input/images/{number}.npy": npy(number) for number in (0, 2, 10)},
        f"{RESOURCES}/test_a/input/options/mask.png": encode_image(Tile(np.full((1, 2, 2), 5, np.uint8)), "image/png"),
        f"{RESOURCES}/test_a/input/options/levels/0.int": "4",
    }
    outputs = {"sums": {"type": "array", "items": {"type": "integer"}}, "copies": IMAGES, "options": options}
    project = a_project(tmp_path, process=process, inputs={"images": IMAGES, "options": options}, outputs=outputs, files=files)
    done = main("test", project, "--update")
    assert done.code == 0, done
    output = project / RESOURCES / "test_a/output"
    assert json.loads((output / "sums.json").read_text()) == [0, 8, 40]
    assert sorted(path.name for path in (output / "copies").iterdir()) == ["0.npy", "1.npy", "2.npy"]
    for form in ((), ("--base64",)):
        done = main("test", project, *form)
        assert done.code == 0, done


def npy(value):
    return encode_image(Tile(np.full((1, 2, 2), value, np.uint8)), "application/x-npy")


def test_a_region_of_interest_is_a_key_of_the_payload_like_in_pesto(tmp_path):
    roi = {
        "roi": {
            "target_in": ["image"],
            "target_out": ["mask"],
            "lines": {"first": 1, "number": 2, "margin": 1},
            "columns": {"first": 2, "number": 3},
        }
    }
    project = a_tested_project(tmp_path, files={f"{RESOURCES}/test_a/input/pesto.json": roi})
    mask, _ = decode_image((project / RESOURCES / "test_a/output/mask.tif").read_bytes(), None, Limits())
    assert mask.array.shape == (1, 2, 3)


def test_only_the_folder_of_the_tests_may_be_read(tmp_path):
    outside = tmp_path / "outside.tif"
    outside.write_bytes(IMAGE_FILE)
    project = a_tested_project(tmp_path)
    image = project / RESOURCES / "test_a/input/image.tif"
    image.unlink()
    image.symlink_to(outside)
    done = main("test", project)
    assert done.code == 5
    assert "it is a link out of the folders in urls.allow" in done.out


def test_a_float_within_the_tolerance_given_passes(tmp_path):
    project = a_tested_project(tmp_path, process=f"{THRESHOLD_WITH_NOISE}")
    (project / "algorithm/process.py").write_text(THRESHOLD_WITH_NOISE.replace("0.0", "1e-4"))
    assert main("test", project).code == 5
    assert main("test", project, "--tolerance", "absolute=0.01").code == 0


THRESHOLD_WITH_NOISE = """
class Process:
    def process(self, image, threshold=None):
        return {"mask": image[0], "coverage": 0.5 + 0.0}
"""


def test_one_test_can_be_chosen_and_leaves_describe_out(tmp_path):
    project = a_tested_project(tmp_path, files={f"{RESOURCES}/test_b/input/image.tif": IMAGE_FILE})
    done = main("test", project, "--only", "test_b")
    assert [line.split()[1] for line in done.out.splitlines()[1:-1]] == ["test_b"]


def test_many_differences_are_cut_on_the_terminal_and_whole_in_the_results(tmp_path):
    process = "class Process:\n    def process(self, image):\n        return {'values': [float(n) for n in range(30)]}\n"
    files = {
        f"{RESOURCES}/test_a/input/image.tif": IMAGE_FILE,
        f"{RESOURCES}/test_a/output/values.json": [n + 0.5 for n in range(30)],
    }
    outputs = {"values": {"type": "array", "items": NUMBER}}
    project = a_project(tmp_path, process=process, inputs={"image": IMAGE}, outputs=outputs, files=files)
    done = main("test", project)
    assert done.code == 5
    assert sum("expected" in line for line in done.out.splitlines() if line.startswith("      ")) == 10
    assert "and 20 more, all in results.json" in done.out
    assert len(results(project)[0]["test_a"]["KeysNotEqual"]["values"]["differences"]) == 30


def test_results_go_where_they_are_wanted_and_never_into_the_tests(tmp_path):
    project = a_tested_project(tmp_path)
    assert main("test", project, "--out", tmp_path / "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "actual_describe.json",
        "junit.xml",
        "results.json",
        "test_a",
    ]
    done = main("test", project, "--out", project / RESOURCES)
    assert done.code == 2
    assert "the tests themselves are there" in done.err


def test_git_passes_over_the_usual_folder_for_results(tmp_path):
    assert (a_tested_project(tmp_path) / "pesto/tests/.results/.gitignore").read_text() == "*\n"


def test_with_a_profile_its_own_expected_describe_is_laid_over(tmp_path):
    project = a_tested_project(tmp_path, files={"pesto/api/description.big.json": {"title": "Big"}})
    assert "title: 'Big', expected 'an-algorithm'" in main("test", project, "-p", "big").out
    assert main("test", project, "-p", "big", "--update").code == 0
    assert (project / RESOURCES / "expected_describe.big.json").is_file()
    assert main("test", project, "-p", "big").code == main("test", project).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--local", "--docker"], "--local and --docker are two ways to run the tests; give one of them"),
        (
            ["--tolerance", "pixels"],
            "cannot read --tolerance 'pixels': expected relative, absolute or pixels, and a number from 0",
        ),
        (["--tolerance", "pixels=-1"], "cannot read --tolerance 'pixels=-1'"),
        (["--tolerance", "absolute=nan"], "cannot read --tolerance 'absolute=nan'"),
        (["--only", "test_aa"], "there is no test 'test_aa' in"),
        (["-p", "gpuu"], "unknown profile 'gpuu'"),
        (["--set", "limits.max_bandz=1"], "limits.max_bandz: unknown key"),
    ],
)
def test_what_is_wrong_with_the_call_exits_with_2(tmp_path, arguments, said):
    files = {f"{RESOURCES}/test_a/input/image.tif": IMAGE_FILE}
    done = main("test", a_project(tmp_path, files=files), *arguments)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no tests: expected folders"),
        ({f"{RESOURCES}/test_a/input/n.int": "x"}, "it holds 'x', expected a whole number"),
        (
            {f"{RESOURCES}/test_a/input/image.tif": IMAGE_FILE, "algorithm/process.py": "class Proces: ..."},
            "has no class 'Process'",
        ),
        ({f"{RESOURCES}/test_a/input/image.tif": IMAGE_FILE, f"{RESOURCES}/expected_describe.json": "{"}, "is not JSON"),
        (
            {f"{RESOURCES}/test_a/input/image.tif": IMAGE_FILE, f"{RESOURCES}/test_a/output/mask.png": b"no image"},
            "cannot compare with",
        ),
    ],
)
def test_a_broken_project_exits_with_2(tmp_path, files, said):
    done = main("test", a_project(tmp_path, files=files))
    assert done.code == 2
    assert said in done.err


def test_nothing_stays_imported():
    assert "algorithm" not in sys.modules
