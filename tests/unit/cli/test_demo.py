"""`pesto-stream demo` without its fleet: what is refused, what the table says, and which worker is killed when."""

import io
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from support.scenes import TickingClock

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import demo
from pesto_stream.cli.app import main
from pesto_stream.demo import show as shows
from pesto_stream.demo.fleet import Worker
from pesto_stream.demo.score import Score
from pesto_stream.demo.show import Files, Outcome, SendTimes, Show, Watcher
from pesto_stream.scene.collect import CollectProgress, CollectReport


def worker(number, delivered, **state):
    return Worker(number, SimpleNamespace(kill=lambda: None, wait=lambda: 0), Path("log"), delivered=delivered, **state)


def an_outcome(**changed):
    report = CollectReport(
        scene_id="scene",
        tiles=4,
        taken=4,
        missing=0,
        duplicates=1,
        conflicts=0,
        size=(300, 200),
        uncovered_pixels=0,
        dead_letters={},
        refused={},
    )
    parts = {
        "files": Files(Path("scene.tif"), Path("truth.tif"), Path("clouds.tif"), Path("quicklook.png")),
        "report": report,
        "score": Score(0.25, 0.24, 0.99),
        "workers": [worker(1, 3), worker(2, 1, killed=True)],
        "seconds": 2.0,
        "latencies_seconds": [0.1, 0.2, 0.3, 0.4],
    }
    return Outcome(**{**parts, **changed})


SHOW = Show(Path("project"), Path("out"))


def printed(outcome):
    console = Console(file=io.StringIO(), width=120)
    console.print(demo._summary(outcome, SHOW))
    return console.file.getvalue()


def test_the_table_has_tiles_workers_rate_latency_coverage_and_truth():
    text = printed(an_outcome())

    for part in ("scene.tif, 300 x 200 pixels", "4 of 4 (256 x 256, 32 more on each side)", "3 results", "2 tiles/s in 2.0 s"):
        assert part in text
    for part in ("p50 0.25 s", "p95", "25.0%", "24.0% (99.0% of the pixels agree)", "1 results (killed; last figure heard)"):
        assert part in text


def test_what_is_not_known_is_not_in_the_table():
    text = printed(an_outcome(score=Score(0.25, None, None), latencies_seconds=[]))

    assert "truth" not in text
    assert "p50" not in text


def test_files_are_named_at_the_end(capsys):
    demo._name_files(an_outcome(files=Files(Path("a.tif"), None, Path("b.tif"), Path("c.png"))))

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["scene", "a.tif"],
        ["mosaic", "b.tif"],
        ["quicklook", "c.png"],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scene", "gone.tif"], "cannot read the scene 'gone.tif': there is no such file"),
        (["--workers", "0"], "--workers"),
        (["--size", "10"], "--size"),
        (["--nope"], "No such option"),
    ],
)
def test_wrong_arguments_exit_with_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["demo", *arguments])

    assert end.value.code == 2
    assert said in capsys.readouterr().err


class AFleet:
    def __init__(self, *delivered):
        self.workers = [worker(number, count) for number, count in enumerate(delivered, 1)]
        self.looked = 0

    def look(self):
        self.looked += 1

    def kill_one(self):
        victim = max(self.workers, key=lambda each: each.delivered)
        victim.killed = True
        return victim


def observer(fleet, *, kill=True):
    """The observer, the steps that it tells, and a function that lets `taken` of 16 tiles arrive."""
    steps = []
    watcher = Watcher(steps.append, lambda _: None, lambda _: None)
    timed = SendTimes(None, TickingClock())
    show = Show(Path("project"), Path("out"), kill=kill)
    observe = shows._observer(show, fleet, timed, [], watcher, TickingClock())
    return steps, lambda taken: observe.collect(CollectProgress(tiles=16, taken=taken, dead_letters=0, duplicates=0))


def killed(fleet):
    return [each.number for each in fleet.workers if each.killed]


def test_the_worker_that_has_done_most_is_killed_when_a_quarter_has_arrived():
    fleet = AFleet(1, 2)
    steps, arrived = observer(fleet)

    arrived(3)
    assert killed(fleet) == []
    arrived(4)
    arrived(5)

    assert killed(fleet) == [2]
    assert len(steps) == 1
    assert "worker 2 is killed" in steps[0]


def test_a_worker_is_killed_even_where_no_sidecar_has_told_a_figure_yet():
    fleet = AFleet(0, 0)

    observer(fleet)[1](4)

    assert len(killed(fleet)) == 1


def test_no_worker_is_killed_unasked():
    fleet = AFleet(3, 5)

    observer(fleet, kill=False)[1](16)

    assert killed(fleet) == []


def test_the_demo_finds_its_algorithm_in_the_source_tree():
    with demo._example() as project:
        assert load_project(project).name == "cloud-detector"


def test_the_wheel_carries_what_the_commands_look_for():
    root = Path(__file__).parents[3]
    build = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    carried = build["targets"]["wheel"]["force-include"]

    for name in ("schemas", "profiles", "examples"):
        assert carried[name] == f"pesto_stream/_data/{name}"
        assert (root / name).is_dir()
        assert name in build["targets"]["sdist"]["include"]
