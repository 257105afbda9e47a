"""Requests and answers over a broker, and a runtime as a process, each with what can go wrong."""

import sys

import pytest
from support.builders import headers

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import SystemClock
from pesto_stream.errors import ConfigurationError, FatalError, RecordError
from pesto_stream.model.record import ProducerRecord
from pesto_stream.testing.container import Container, Mount, check_image, run_words
from pesto_stream.testing.exchange import DEAD_LETTERS, REQUESTS, RESULTS, TOPICS, Exchange
from pesto_stream.testing.member import MemberProcess

REQUEST = ProducerRecord(REQUESTS, b"k", b"{}", headers(ce_correlationid="mine"))


def exchange(broker, **more):
    return Exchange(broker.producer(), broker.consumer("tests"), SystemClock(), **{"timeout_seconds": 30.0, **more})


def test_the_answer_is_the_one_to_this_request():
    broker = MemoryBroker(TOPICS)
    broker.append(ProducerRecord(RESULTS, None, b"other", headers(ce_correlationid="other")))
    broker.append(ProducerRecord(RESULTS, None, b"mine", headers(ce_correlationid="mine")))
    assert exchange(broker).ask(REQUEST).value == b"mine"
    assert [record.value for record in broker.records(REQUESTS)] == [b"{}"]


def test_a_dead_letter_is_the_algorithms_error():
    broker = MemoryBroker(TOPICS)
    why = headers(ce_correlationid="mine", pesto_error_type="AlgorithmError", pesto_error_message="ValueError: no")
    broker.append(ProducerRecord(DEAD_LETTERS, None, b"{}", why))
    with pytest.raises(RecordError, match="AlgorithmError: ValueError: no"):
        exchange(broker).ask(REQUEST)


def test_no_answer_ends_with_the_time_and_a_remedy():
    with pytest.raises(FatalError, match=r"no result within 0 s; .* --timeout"):
        exchange(MemoryBroker(TOPICS), timeout_seconds=0).ask(REQUEST)


def test_a_runtime_that_ended_ends_the_waiting():
    def check():
        raise FatalError("the runtime ended")

    with pytest.raises(FatalError, match="the runtime ended"):
        exchange(MemoryBroker(TOPICS), check_alive=check).ask(REQUEST)


@pytest.mark.parametrize(("code", "kind"), [(2, ConfigurationError), (125, ConfigurationError), (3, FatalError), (0, FatalError)])
def test_a_runtime_that_does_not_start_is_shown_with_its_last_words(tmp_path, code, kind):
    script = f"import sys; print('noise\\nError: it is broken\\n  line 2', file=sys.stderr); sys.exit({code})"
    with (
        pytest.raises(kind, match=rf"(?s)ended with exit code {code}; .*\n  Error: it is broken\n    line 2$"),
        MemberProcess([sys.executable, "-c", script], tmp_path / "log", SystemClock()),
    ):
        pass


def test_a_runtime_that_never_gets_ready_is_ended(tmp_path):
    script = "import time; time.sleep(600)"
    member = MemberProcess([sys.executable, "-c", script], tmp_path / "log", SystemClock(), start_seconds=0)
    with pytest.raises(FatalError, match="not ready within 0 s"), member:
        pass


def test_a_container_is_read_only_non_root_and_sees_only_its_mounts(tmp_path):
    odd = tmp_path / 'a,b "c"'
    container = Container("name:1", "here", (Mount(tmp_path), Mount(odd, writable=True)), network="host", user="1:2", gpus=True)
    assert run_words("docker", container, ["--set", "a=b"]) == [
        "docker", "run", "--rm", "--init", "--name", "here", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--network", "host", "--user", "1:2", "--gpus", "all",
        "--mount", f"type=bind,source={tmp_path},target={tmp_path},readonly",
        "--mount", f'type=bind,"source={tmp_path}/a,b ""c""","target={tmp_path}/a,b ""c"""',
        "name:1", "--set", "a=b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Error: No such image: x:1' >&2; exit 1", "there is no image 'x:1'; build it first: pesto-stream build here"),
        ("echo 'Cannot connect' >&2; exit 1", "cannot ask docker for the image 'x:1': Cannot connect"),
    ],
)
def test_an_image_that_is_not_there_is_said_with_the_command_that_builds_it(tmp_path, script, said):
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    with pytest.raises(ConfigurationError) as failure:
        check_image(str(docker), "x:1", "pesto-stream build here")
    assert str(failure.value) == said
