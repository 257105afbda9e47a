import numpy as np
import pytest
import rasterio
from support.scenes import run_all
from typer.testing import CliRunner

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.cli import scene as scene_commands
from pesto_stream.cli.app import main
from pesto_stream.errors import ConfigurationError
from pesto_stream.scene.make import make_scene
from pesto_stream.serde import cloudevents


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "S2A.tif"
    make_scene(path, size=300)
    return path


@pytest.fixture
def broker(monkeypatch):
    broker = MemoryBroker({"tiles": 2, "results": 2, "dead": 1})
    monkeypatch.setattr(scene_commands, "tool_producer", lambda *_: broker.producer())
    monkeypatch.setattr(scene_commands, "tool_consumer", lambda *_: broker.consumer("collector"))
    monkeypatch.setattr(scene_commands, "require_topics", lambda *_: None)
    return broker


def run(*arguments):
    return CliRunner().invoke(scene_commands.app, [str(argument) for argument in arguments])


def collect(folder, *more):
    return run("collect", "--topic", "results", "--scene", "S2A", "--out", folder / "mask.tif", *more)


def bright(array):
    return (array[:1] > 2500).astype(np.uint8)


def test_split_and_collect_make_the_scene_whole_again(broker, path, tmp_path):
    split = run("split", path, "--topic", "tiles", "--tile", 128, "--overlap", 8, "--parameter", "threshold=0.3")
    assert split.exit_code == 0
    assert "9 sent to topic 'tiles'" in split.stdout
    assert cloudevents.parse(broker.records("tiles")[0], None).parameters == {"threshold": "0.3"}
    run_all(broker, bright)
    collected = collect(tmp_path, "--quicklook", tmp_path / "q.png", "--beside", path)
    assert collected.exit_code == 0
    assert "9 of 9" in collected.stdout
    with rasterio.open(tmp_path / "mask.tif") as mask, rasterio.open(path) as source:
        assert np.array_equal(mask.read(), bright(source.read()))
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")


def test_an_incomplete_mosaic_is_written_and_exits_with_5(broker, path, tmp_path):
    run("split", path, "--topic", "tiles", "--tile", 128)
    run_all(broker, bright)
    records = broker.records("results")
    broker.create_topic("some", 1)
    for record in records[:-1]:
        broker.append(record._replace(topic="some"), partition=0)
    collected = run("collect", "--topic", "some", "--scene", "S2A", "--out", tmp_path / "m.tif", "--timeout", 0)
    assert collected.exit_code == 5
    assert "8 of 9" in collected.stdout
    assert (tmp_path / "m.tif").exists()


def test_a_scene_that_nobody_knows_exits_with_5_and_writes_nothing(broker, tmp_path):
    collected = collect(tmp_path, "--timeout", 0, "--quicklook", tmp_path / "q.png")
    assert collected.exit_code == 5
    assert "none was seen" in collected.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_bar_is_drawn_where_no_terminal_is(broker, path):
    assert run("split", path, "--topic", "tiles").stderr == ""


@pytest.mark.parametrize("given", ["threshold", "=1", "a b=1", "crs=EPSG:1", "error_type=x"])
def test_a_parameter_that_cannot_travel_is_refused(given):
    with pytest.raises(ConfigurationError, match="cannot send the parameter"):
        scene_commands.parameters([given])


def test_a_parameters_value_may_hold_anything():
    assert scene_commands.parameters(["a=b=c", "n="]) == {"a": "b=c", "n": ""}


def test_make_writes_scene_and_truth(tmp_path):
    made = run("make", "--out", tmp_path / "s.tif", "--size", 512, "--seed", 7, "--truth", tmp_path / "t.tif")
    assert made.exit_code == 0
    with rasterio.open(tmp_path / "t.tif") as truth:
        values = truth.read(1)
    assert f"{np.mean(values[values != 255]):.2%}" in made.stdout


def test_a_wrong_size_ends_the_process_with_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["scene", "make", "--out", str(tmp_path / "s.tif"), "--size", "3"])
    assert ended.value.code == 2
    assert "'3' pixels" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["split", "collect", "make"])
def test_each_command_shows_an_example(command):
    assert f"pesto-stream scene {command}" in run(command, "--help").stdout
