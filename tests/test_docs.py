"""What the documents say is true: their commands run, their tables, links and pictures are right, and nothing of a machine is in them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
from support.documents import Block, anchors, blocks, links
from support.terminals import Terminals

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.project import load_project

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GETTING_STARTED = ROOT / "docs" / "getting-started.md"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "DESIGN.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
MIB = 1 << 20

by_name = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


# -- commands


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminals]:
    """Terminals in which the README has been followed to its end. Port 0 for the sidecars, so that a taken port does not matter."""
    with Terminals(tmp_path_factory.mktemp("reader"), {"PESTO_STREAM__HTTP__PORT": "0"}) as opened:
        opened.follow(README)
        yield opened


@pytest.fixture(scope="module")
def further(terminals: Terminals) -> Terminals:
    """The same, with docs/getting-started.md followed too."""
    terminals.follow(GETTING_STARTED)
    return terminals


@pytest.mark.embedded
@pytest.mark.slow
def test_the_ten_minutes_of_the_readme_work_as_written(terminals):
    (result,) = (path for path in terminals.folder.glob("results/*/ndvi.tif") if (path.parent / "headers.json").exists())

    with rasterio.open(terminals.folder / "tile.tif") as tile, rasterio.open(result) as ndvi:
        assert (ndvi.dtypes[0], ndvi.crs, ndvi.transform) == ("float32", tile.crs, tile.transform)
        np.testing.assert_array_equal(ndvi.read(1), expected_ndvi(tile.read()))


@pytest.mark.embedded
@pytest.mark.slow
def test_getting_started_goes_on_where_the_readme_ends(further):
    with rasterio.open(further.folder / "scene.tif") as scene, rasterio.open(further.folder / "scene-ndvi.tif") as ndvi:
        assert (ndvi.dtypes[0], ndvi.crs, ndvi.transform) == ("float32", scene.crs, scene.transform)
        pixels, expected = scene.read(), expected_ndvi(scene.read())
        np.testing.assert_array_equal(ndvi.read(1), expected)
    with rasterio.open(further.folder / "again.tif") as again:
        assert again.nodata == -9999
        np.testing.assert_array_equal(again.read(1), np.where((pixels != 0).any(axis=0), expected, np.float32(-9999)))


@pytest.mark.embedded
@pytest.mark.slow
def test_commands_print_what_the_documents_show(further):
    assert further.printed
    for shown, printed in further.printed:
        real = [line.split() for line in printed.splitlines()]
        for line in shown.splitlines():
            assert line.split() in real, f"'{line}' is not in:\n{printed}"


def expected_ndvi(pixels: np.ndarray) -> np.ndarray:
    red, infrared = pixels[2].astype(np.float32), pixels[3].astype(np.float32)
    return (infrared - red) / np.maximum(infrared + red, 1)


@pytest.mark.parametrize("path", [README, GETTING_STARTED], ids=["README", "getting-started"])
def test_every_command_is_run_or_says_why_not(path):
    commands = [block for block in blocks(path) if block.is_command]

    assert commands
    for block in commands:
        assert block.language == "sh", "other blocks of commands are not run"
        assert block.reason is None or len(block.reason.split()) > 3, f"no reason is given for:\n{block.text}"
    assert all(block.language for block in blocks(path)), "a block without a language may hold commands"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_block_says_what_it_is_in_words_that_the_tests_know(path):
    for block in blocks(path):
        assert set(block.words) <= {"terminal", "background", "file", "output"}, block.words


def test_the_projects_of_the_real_rasters_load(tmp_path):
    written = files_of(ROOT / "docs" / "real-rasters.md", tmp_path)

    names = {name.split("/")[0] for name in written if name.endswith("process.py")}
    assert names == {"brightness", "copy"}
    for name in names:
        load_algorithm(load_project(tmp_path / name)).on_start()


def files_of(document: Path, folder: Path) -> list[str]:
    found = [block for block in blocks(document) if "file" in block.words]
    for block in found:
        path = folder / block.words["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")
    return [block.words["file"] for block in found]


@by_name
def test_json_and_python_in_documents_are_well_formed(path):
    for block in blocks(path):
        check_syntax(block)


def check_syntax(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "python":
        compile(block.text, "<document>", "exec")


# -- tables, links, pictures


def test_generated_tables_are_up_to_date():
    documents = [str(README), *map(str, sorted(ROOT.glob("docs/*.md")))]
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check", *documents], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["settings", "metrics", "exit-codes"])
def test_the_readme_has_the_generated_tables(name):
    assert f"<!-- generated:{name} -->\n|" in README.read_text("utf-8")


@by_name
def test_links_and_pictures_lead_somewhere(path):
    for link in links(path):
        target = urlsplit(link)
        if target.scheme:
            assert target.scheme in {"https", "http"}, link
            continue
        file = path if not target.path else (path.parent / target.path).resolve()
        assert file.exists(), f"'{link}' leads nowhere"
        assert file.is_relative_to(ROOT), f"'{link}' leads out of the project"
        if target.fragment:
            assert target.fragment in anchors(file), f"'{link}': no such heading"


@by_name
def test_the_readme_leads_to_every_document(path):
    reached, waiting = set(), [README]
    while waiting:
        document = waiting.pop()
        reached.add(document)
        found = {(document.parent / urlsplit(link).path).resolve() for link in links(document) if link and ":" not in link}
        waiting += [file for file in found if file.suffix == ".md" and file.exists() and file not in reached]

    if path.parent.name == "docs":
        assert path in reached, "no document leads here"


def test_the_pictures_are_small():
    for picture in ROOT.glob("docs/images/*"):
        assert picture.stat().st_size < 300_000, picture.name


def test_the_changelog_has_an_unreleased_part_with_something_in_it():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")

    unreleased = re.search(r"^## \[?Unreleased\]?$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert unreleased
    assert re.search(r"^### (Added|Changed|Fixed)$", unreleased[1], re.MULTILINE)
    assert re.search(r"^[*-] \w", unreleased[1], re.MULTILINE)


# -- what is in the repository


def project_files() -> list[Path]:
    """What git tracks, or would track if it were added."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as failure:
        pytest.skip(f"not a git checkout: {failure}")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


OF_A_MACHINE = (
    r"(?<![\w.~-])/(?:work|root(?!/\.cache)|home/[\w.-]+|Users/[\w.-]+)/[\w.-]+",  # an image of ours may have /root/.cache
    r"(?<![\w.-])/tmp/(?:tmp|pytest-)[\w.-]+",
    r"\bpyp[i]\.org|\bpythonhoste[d]\.org|registry\.npmj[s]|repo1?\.mave[n]|mave[n]\.org|artifac[t]ory|proxy\.golan[g]|\binde[x]-url\b",
)
MACHINE = re.compile("|".join(OF_A_MACHINE), re.IGNORECASE)


def test_no_text_holds_a_path_of_a_machine_or_a_package_registry():
    found = []
    for path in project_files():
        text = text_of(path)
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE.finditer(text)]

    assert found == []


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return "" if b"\0" in data[:8192] else data.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "parts",
    [
        ("", "home", "me", "x"),
        ("see ", "work", "main"),
        ("'", "tmp", "tmpabc'"),
        ("", "root", "x"),
        ("https:", "", "pypi" + ".org"),
        ("--index", "url"),
    ],
)
def test_a_path_of_a_machine_would_be_found(parts):
    assert MACHINE.search("/".join(parts) if len(parts) > 2 else "-".join(parts))


def test_no_file_is_larger_than_a_mebibyte():
    assert [path for path in project_files() if path.stat().st_size > MIB] == []
