"""The first command that a user runs, as a process: `pesto-stream demo` on the embedded broker, and on a real one."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio

from pesto_stream.demo.show import TOPICS

SIZE, TILES = 1024, 16


@dataclass
class Shown:
    """What a demo left behind."""

    code: int
    folder: Path
    table: str
    steps: str

    def row(self, name):
        """The value in the summary table; a cell that is wrapped is joined again."""
        cells = [line.split("│")[1:3] for line in self.table.splitlines() if line.count("│") == 3]
        texts = [(left.strip(), right.strip()) for left, right in cells]
        start = next(at for at, (left, _) in enumerate(texts) if left == name)
        more = [right for left, right in texts[start + 1 :]][
            : next((n for n, (left, _) in enumerate(texts[start + 1 :]) if left), None)
        ]
        return " ".join([texts[start][1], *more])


def demo(folder, *arguments):
    command = [
        sys.executable,
        "-m",
        "pesto_stream",
        "demo",
        "--size",
        str(SIZE),
        "--workers",
        "2",
        "--out",
        str(folder / "out"),
        *arguments,
    ]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode in {0, 5}, done.stderr + "".join(log.read_text() for log in folder.glob("out/*.log"))
    return Shown(done.returncode, folder / "out", done.stdout, done.stderr)


def check_complete(shown):
    assert shown.code == 0, shown.table + shown.steps
    assert shown.row("tiles").startswith(f"{TILES} of {TILES}")
    assert shown.row("dead letters, repeated results").startswith("0, ")
    assert (shown.folder / "quicklook.png").read_bytes().startswith(b"\x89PNG")
    for name in ("scene.tif", "truth.tif", "clouds.tif", "quicklook.png"):
        assert str(shown.folder / name) in shown.table


def check_mosaic(shown):
    with (
        rasterio.open(shown.folder / "scene.tif") as scene,
        rasterio.open(shown.folder / "clouds.tif") as mosaic,
        rasterio.open(shown.folder / "truth.tif") as truth,
    ):
        assert (mosaic.width, mosaic.height, mosaic.crs, mosaic.transform) == (SIZE, SIZE, scene.crs, scene.transform)
        assert (mosaic.dtypes[0], mosaic.nodata) == ("uint8", 255)
        found, known, empty = mosaic.read(1), truth.read(1), (scene.read() == scene.nodata).all(axis=0)
    np.testing.assert_array_equal(found == 255, empty)
    inside = found != 255
    assert abs((found[inside] == 1).mean() - (known[inside] == 1).mean()) < 0.02
    assert (found[inside] == known[inside]).mean() > 0.98
    assert shown.row("cloud coverage") == f"{(found[inside] == 1).mean():.1%}"


@pytest.mark.embedded
@pytest.mark.slow
def test_the_demo_ends_with_a_complete_mosaic_close_to_the_truth(tmp_path):
    shown = demo(tmp_path)

    check_complete(shown)
    check_mosaic(shown)
    assert [shown.row(f"worker {number}").split()[1] for number in (1, 2)] == ["results", "results"]
    assert re.fullmatch(r"\d+ tiles/s in [\d.]+ s", shown.row("rate"))
    assert re.fullmatch(r"p50 [\d.]+ s, p95 [\d.]+ s", shown.row("tile sent to result, all sent at once"))


@pytest.mark.embedded
@pytest.mark.slow
def test_the_demo_ends_complete_though_a_worker_is_killed(tmp_path):
    shown = demo(tmp_path, "--kill")

    check_complete(shown)
    check_mosaic(shown)
    assert "is killed (SIGKILL)" in shown.steps
    assert sum("killed" in shown.row(f"worker {number}") for number in (1, 2)) == 1


@pytest.mark.slow
def test_a_scene_of_ones_own_on_a_real_broker_is_not_joined_from_an_earlier_demos_results(kafka, topics, tmp_path):
    for name, partitions in TOPICS.items():
        topics.create(partitions, name=name)
    scene, masks = tmp_path / "S2A.tif", []

    for seed in ("1", "2"):
        command = [sys.executable, "-m", "pesto_stream", "scene", "make", "--out", scene, "--size", "300", "--seed", seed]
        subprocess.run(command, check=True, capture_output=True)
        shown = demo(tmp_path, "--scene", str(scene), "--tile", "128", "--workers", "1", "--bootstrap-servers", kafka)
        assert shown.code == 0
        assert shown.row("tiles").startswith("9 of 9")
        assert "truth" not in shown.table
        assert sorted(path.name for path in shown.folder.iterdir()) == ["clouds.tif", "quicklook.png", "worker-1.log"]
        with rasterio.open(shown.folder / "clouds.tif") as mosaic:
            masks.append(mosaic.read())

    assert not np.array_equal(*masks)
