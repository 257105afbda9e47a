import base64
import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.cli import receive as receive_command
from pesto_stream.cli.files import ResultFolder, safe_name
from pesto_stream.converters.image import encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ConfigurationError, EnvelopeError
from pesto_stream.model.record import ConsumerRecord, ProducerRecord, TopicPartition
from pesto_stream.model.tile import Tile

MASK = encode_image(Tile(np.arange(400, dtype=np.uint8).reshape(1, 20, 20)), "image/png")


def headers(content_type, event_id="e1", **more):
    said = {"ce_specversion": "1.0", "ce_id": event_id, "ce_source": "/s", "ce_type": "t", "content-type": content_type, **more}
    return tuple((name, value.encode()) for name, value in said.items())


def record(value, content_type, event_id="e1", **more):
    return ConsumerRecord("results", 0, 7, b"k", value, headers(content_type, event_id, **more))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("/absolute")
@example("..")
@example(".")
@example("")
@example("CON\x00")
@example("tiles/0/12")
@example("\ud800")
def test_any_id_is_a_plain_file_name(text):
    name = safe_name(text)
    assert 1 <= len(name) <= 100
    assert all(character.isascii() and (character.isalnum() or character in "._-~") for character in name)
    assert not name.startswith(".")


@given(st.text(max_size=150), st.text(max_size=150))
@example("a/b", "a_b")
@example("x" * 101, "x" * 102)
@example("a/b", safe_name("a/b"))
@example(".a", "a")
def test_two_ids_never_share_a_name(first, second):
    assert (safe_name(first) == safe_name(second)) == (first == second)


def test_a_plain_id_stays_as_it_is():
    assert safe_name("S2A_31TCJ-0.7") == "S2A_31TCJ-0.7"


def test_an_image_result_becomes_the_file_and_its_scalars(tmp_path):
    made = record(MASK, "image/png", pesto_coverage="0.25", pesto_crs="EPSG:32631", pesto_source_offset="3")
    assert ResultFolder(tmp_path, Limits()).write(made) == tmp_path / "e1"
    written = files(tmp_path / "e1")
    assert set(written) == {"result.png", "result.json", "headers.json"}
    assert written["result.png"] == MASK
    assert json.loads(written["result.json"]) == {"coverage": 0.25}
    described = json.loads(written["headers.json"])
    assert (described["topic"], described["partition"], described["offset"], described["key"]) == ("results", 0, 7, "k")
    assert ["pesto_crs", "EPSG:32631"] in described["headers"]


def test_images_in_a_json_result_become_files_named_after_their_output(tmp_path):
    image = base64.b64encode(MASK).decode()
    outputs = {"mask": image, "more": [image, image], "in": {"../up": image}, "coverage": 0.5, "label": "b" * 100, "none": None}
    ResultFolder(tmp_path, Limits()).write(record(json.dumps(outputs).encode(), "application/json"))
    written = files(tmp_path / "e1")
    up = safe_name("in.../up") + ".png"
    assert set(written) == {"mask.png", "more.0.png", "more.1.png", up, "result.json", "headers.json"}
    assert written["mask.png"] == written[up] == MASK
    assert json.loads(written["result.json"]) == {
        "mask": "mask.png",
        "more": ["more.0.png", "more.1.png"],
        "in": {"../up": up},
        "coverage": 0.5,
        "label": "b" * 100,
        "none": None,
    }


@pytest.mark.parametrize(("content_type", "name"), [("application/avro", "result.avro"), ("application/x-npy", "result.npy")])
def test_other_results_stay_one_file(tmp_path, content_type, name):
    ResultFolder(tmp_path, Limits()).write(record(b"bytes", content_type))
    assert files(tmp_path / "e1")[name] == b"bytes"


def test_a_hostile_id_stays_inside_the_folder(tmp_path):
    out = tmp_path / "out"
    ResultFolder(out, Limits()).write(record(MASK, "image/png", "../../escaped"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list(out.iterdir())) == 1


def test_a_record_without_a_kind_is_refused(tmp_path):
    with pytest.raises(EnvelopeError):
        ResultFolder(tmp_path, Limits()).write(record(b"x", "text/plain"))
    assert files(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "e1").write_text("in the way")
    with pytest.raises(ConfigurationError, match="e1"):
        ResultFolder(tmp_path, Limits()).write(record(MASK, "image/png"))


@pytest.fixture
def broker(monkeypatch):
    broker = MemoryBroker({"results": 1})
    monkeypatch.setattr(receive_command, "require_topics", lambda *_: None)
    monkeypatch.setattr(receive_command, "tool_consumer", lambda _settings, _client, group: broker.consumer(group or "own"))
    return broker


def send(broker, event_id, value=MASK, content_type="image/png"):
    broker.append(ProducerRecord("results", None, value, headers(content_type, event_id)))


def run(*arguments):
    return CliRunner().invoke(receive_command.app, ["--topic", "results", *map(str, arguments)])


def test_the_command_prints_a_line_for_each_result_and_ends_at_the_count(broker, tmp_path):
    for number in range(3):
        send(broker, f"e{number}")
    ended = run("--out", tmp_path, "--count", 2)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines() == [f"results[0]@0  {tmp_path / 'e0'}", f"results[0]@1  {tmp_path / 'e1'}"]
    assert broker.committed("own", TopicPartition("results", 0)) is None


def test_too_few_results_exit_with_5(broker, tmp_path):
    send(broker, "e0")
    send(broker, "e1", b"", "image/png")
    ended = run("--out", tmp_path, "--count", 2, "--timeout", 0)
    assert ended.exit_code == 5
    assert "no result: record has an empty value" in ended.stderr
    assert "1 results in" in ended.stderr


def test_without_a_count_silence_is_the_end(broker, tmp_path):
    send(broker, "e0")
    assert run("--out", tmp_path, "--timeout", 0).exit_code == 0


def test_a_group_goes_on_where_it_ended(broker, tmp_path):
    for number in range(3):
        send(broker, f"e{number}")
    run("--out", tmp_path / "a", "--count", 2, "--group-id", "g")
    assert broker.committed("g", TopicPartition("results", 0)).offset == 2
    run("--out", tmp_path / "b", "--count", 1, "--group-id", "g")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["e2"]


def test_help_shows_an_example():
    assert "pesto-stream receive --topic results" in run("--help").stdout
