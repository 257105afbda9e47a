"""`pesto-stream broker`: the embedded broker in the foreground."""

import signal
import subprocess
import sys

import pytest
from confluent_kafka.admin import AdminClient
from support.waiting import wait_until

from pesto_stream.cli.app import main


@pytest.fixture
def started(tmp_path):
    """Starts the command in a process of its own, and gives it with the address that it prints."""
    processes = []

    def _start(*arguments):
        printed = tmp_path / f"address-{len(processes)}"
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pesto_stream", "broker", *arguments], stdin=subprocess.DEVNULL, stdout=output
            )
        processes.append(process)
        wait_until(lambda: process.poll() is not None or printed.read_text().endswith("\n"), "the address")
        assert process.poll() is None
        return process, printed.read_text().strip()

    yield _start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.embedded
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_has_the_topics_asked_for_until_it_is_stopped(started, number):
    process, address = started("--topic", "tiles:8", "--topic", "masks")

    topics = AdminClient({"bootstrap.servers": address, "log_level": 2}).list_topics(timeout=30).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {"tiles": 8, "masks": 4}

    process.send_signal(number)
    assert process.wait(30) == 0


@pytest.mark.embedded
def test_two_do_not_disturb_each_other(started):
    addresses = {started("--topic", "tiles")[1] for _ in range(2)}

    assert len(addresses) == 2
    assert all(address.startswith("127.0.0.1:") for address in addresses)


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("tiles:many", "'many' is no number of partitions; expected NAME or NAME:PARTITIONS"),
        ("tiles:-1", "'-1' is no number of partitions"),
        ("tiles:0", "cannot create topic 'tiles' with 0 partitions"),
        ("not a topic", "cannot create topic 'not a topic'"),
    ],
)
def test_a_topic_that_is_none_exits_with_2(topic, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(["broker", "--topic", topic])

    assert end.value.code == 2
    assert said in capsys.readouterr().err
