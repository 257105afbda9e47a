"""Hostile records among good ones on a real Kafka: each is one dead letter that a person understands, and the runtimes go on."""

import dataclasses
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from support import hostile, web
from support.foreign import ForeignConsumer, ForeignProducer, committed
from support.foreign_avro import schemas_of
from support.hostile import RawProducer, check_message
from support.hostile_cases import SECRET, UNREADABLE, World, everything_cases, pages
from support.hostile_files import plain_cases
from support.member import Member
from support.opened import opened_files
from support.projects import a_project
from support.topics import Topics, unique_name

LIMITS = {
    "limits__max_image_mib": 16,
    "limits__max_encoded_mib": 4,
    "limits__max_json_mib": 8,
    "limits__max_images": 8,
    "memory__in_flight_mib": 64,
    "urls__timeout_seconds": 1,
}
BOUND_MIB = 64 + 150
CONTRACT = {
    *("pesto_error_type", "pesto_error_message", "pesto_error_stage", "pesto_source_topic", "pesto_source_partition"),
    *("pesto_source_offset", "pesto_attempts", "pesto_failed_at", "pesto_component"),
}
LARGE = {"max.message.bytes": str(8 << 20)}

# Each outgoing connection of Python code is written down; one that would leave this machine is refused here, were it not refused before.
AUDIT = """
import os, sys

def audit(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        with open(os.environ["CONNECTIONS"], "a") as log:
            log.write(repr(address) + chr(10))
        if not str(address[0]).startswith("127."):
            raise ConnectionRefusedError("not in a test")

sys.addaudithook(audit)
"""


@dataclasses.dataclass
class Run:
    """What became of one runtime's records. `sent`: by offset, the hostile case, or None for a good record."""

    name: str
    topics: tuple
    sent: list
    letters: dict = dataclasses.field(default_factory=dict)
    results: Counter = dataclasses.field(default_factory=Counter)
    counted: dict = dataclasses.field(default_factory=dict)
    connections: str = ""
    peak_mib: float = 0
    committed: int = 0
    code: int | None = None
    log: str = ""
    errors: list = dataclasses.field(default_factory=list)

    @property
    def hostile(self):
        return {offset: case for offset, case in enumerate(self.sent) if case is not None and not case.filtered}

    @property
    def good(self):
        return [offset for offset, case in enumerate(self.sent) if case is None]


def everything_project(folder):
    inputs = {**hostile.INPUTS, "act": {"type": "string"}}
    return a_project(
        folder,
        process=hostile.EVERYTHING_PROCESS,
        inputs=inputs,
        outputs=hostile.OUTPUTS,
        required_outputs=["mean"],
        definitions=hostile.DEFINITIONS,
        name="everything",
    )


def plain_project(folder):
    inputs = {**{name: hostile.INPUTS[name] for name in ("image", "gain", "label", "flag", "info")}, "act": {"type": "string"}}
    outputs = {name: hostile.OUTPUTS[name] for name in ("image", "mean", "label")}
    return a_project(
        folder, process=hostile.PLAIN_PROCESS, inputs=inputs, outputs=outputs, required_outputs=["mean"], name="plain"
    )


def ran(kafka, topics, folder, project, cases, good, settings):
    """One runtime, fed with all cases, good records between them; stopped at the end."""
    names = tuple(topics.create(label=label, config=LARGE) for label in ("in", "out", "dead"))
    (folder / "hook").mkdir(exist_ok=True)
    (folder / "hook" / "sitecustomize.py").write_text(AUDIT)
    connections = folder / f"{project.name}.connections"
    connections.touch()
    group = unique_name(project.name)
    run = Run(project.name, names, [])
    member = Member(project, folder, kafka, group=group, topics=names, **LIMITS, **settings)
    with member.start({"PYTHONPATH": str(folder / "hook"), "CONNECTIONS": str(connections)}):
        member.wait_ready()
        send(kafka, run, cases, good)
        with ForeignConsumer(kafka, *names[1:]) as consumer:
            wanted = len(run.hostile) + len(run.good)
            try:
                consumer.until(lambda got: member.running and len(got) >= wanted, "an answer to each record", seconds=120)
            except AssertionError as error:
                seen = {offset_of(message) for message in consumer.messages}
                missing = [case.name if case else "good" for offset, case in enumerate(run.sent) if offset not in seen]
                raise AssertionError(f"{error}; no answer to {missing}; {member.log[-3000:]}") from None
            run.counted = {
                outcome: member.metric(f'pesto_records_settled_total{{outcome="{outcome}"}}') for outcome in ("filtered", "stale")
            }
            run.errors = member.status()["errors"]
            run.peak_mib = peak_mib(member.process.pid)
            run.code = member.stop()
            consumer.read_to_end()
    sort(run, consumer.messages)
    run.committed, run.connections, run.log = committed(kafka, group, names[0], [0])[0], connections.read_text(), member.log
    return run


def send(kafka, run, cases, good):
    producer, raw = ForeignProducer(kafka, **{"enable.idempotence": True}), RawProducer(kafka)
    for number, case in enumerate(cases):
        if case.raw_header:
            producer.flush()
            raw.send(run.topics[0], case.value, case.raw_header)
        else:
            producer.send(run.topics[0], case.value, case.headers, key=case.key)
        value, headers = good[number % len(good)]
        producer.send(run.topics[0], value, headers)
        run.sent += [case, None]
    producer.flush()
    raw.close()


def sort(run, messages):
    for message in messages:
        offset = offset_of(message)
        if message.topic() == run.topics[1]:
            run.results[offset] += 1
        else:
            run.letters.setdefault(offset, []).append(message)


def offset_of(message):
    """Of the request. The last header counts: what came before is the sender's."""
    return int(dict(message.headers())["pesto_source_offset"])


def peak_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


@pytest.fixture(scope="module")
def story(kafka, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    topics = Topics(kafka)
    (folder / "open").mkdir()
    (folder / "open" / "good.tif").write_bytes(hostile.TIFF)
    (folder / "secret").mkdir()
    (folder / "secret" / "secret.prj").write_text(SECRET)
    (folder / "secret" / "secret.tif").write_bytes(hostile.TIFF)
    (folder / "open" / "link.tif").symlink_to(folder / "secret" / "secret.tif")
    (folder / "open" / "zero.tif").symlink_to("/dev/zero")
    os.mkfifo(folder / "open" / "pipe.tif")
    with web.serving(pages()) as server, opened_files(folder / "secret") as opened:
        project = everything_project(folder)
        world = World(server, folder, schemas_of(project)["input"])
        allowed = [server.url("/"), f"file://{folder}/open/"]
        settings = {"urls__allow": json.dumps(allowed), "urls__allow_private": True}
        everything = ran(kafka, topics, folder, project, everything_cases(world), world.good(), settings)
        settings = {"urls__allow": json.dumps([*allowed, server.url("/", host="localhost")])}
        plain = ran(kafka, topics, folder, plain_project(folder), plain_cases(world), world.good_plain(), settings)
    topics.delete_all()
    return {"everything": everything, "plain": plain, "world": world, "opened": opened}


NAMES = [
    *(("everything", case.name) for case in everything_cases(World.unbuilt())),
    *(("plain", case.name) for case in plain_cases(World.unbuilt())),
]


@pytest.mark.parametrize(("run", "name"), NAMES)
def test_a_hostile_record_is_one_dead_letter_that_people_understand(story, run, name):
    run = story[run]
    offset, case = next((offset, case) for offset, case in enumerate(run.sent) if case is not None and case.name == name)
    letters = run.letters.get(offset, [])
    if case.filtered:
        assert not letters
        return

    assert len(letters) == 1
    letter = letters[0]
    kept = [(name, value.encode() if isinstance(value, str) else value) for name, value in case.headers]
    kept = UNREADABLE if case.raw_header else kept
    ours = {name: value.decode() for name, value in letter.headers()[len(kept) :]}
    assert (letter.key(), letter.value(), letter.headers()[: len(kept)]) == (case.key, case.value, kept)
    assert set(ours) == CONTRACT
    assert (ours["pesto_error_type"], ours["pesto_error_stage"]) == (case.error_type, case.stage), ours["pesto_error_message"]
    assert re.search(case.message, ours["pesto_error_message"]), ours["pesto_error_message"]
    check_message(ours["pesto_error_message"])
    assert (ours["pesto_source_topic"], ours["pesto_source_partition"], ours["pesto_attempts"]) == (run.topics[0], "0", "1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ours["pesto_failed_at"])
    assert ours["pesto_component"].startswith(f"{run.name}/1.2.3 pesto-stream/")


@pytest.mark.parametrize("run", ["everything", "plain"])
def test_the_good_records_among_them_have_one_result_each_and_no_dead_letter(story, run):
    run = story[run]

    assert run.results == Counter(run.good)
    assert set(run.letters) == set(run.hostile)


@pytest.mark.parametrize("run", ["everything", "plain"])
def test_the_runtime_goes_on_to_the_last_record_commits_it_and_ends_with_code_0(story, run):
    run = story[run]

    assert (run.code, run.committed) == (0, len(run.sent))
    assert "unexpected_error" not in run.log
    assert "Traceback" not in run.log
    assert [error["type"] for error in run.errors].count("UnexpectedError") == 0


@pytest.mark.parametrize("run", ["everything", "plain"])
def test_a_tombstone_is_filtered_and_counted(story, run):
    run = story[run]

    assert run.counted == {"filtered": sum(case is not None and case.filtered for case in run.sent), "stale": 0}


@pytest.mark.parametrize("run", ["everything", "plain"])
def test_hostile_records_do_not_take_memory_beyond_the_bound(story, run):
    assert story[run].peak_mib < BOUND_MIB


def test_no_connection_was_tried_but_to_the_allowed_server(story):
    server = story["world"].web

    assert set(story["everything"].connections.splitlines()) == {str(("127.0.0.1", server.port))}
    assert story["plain"].connections == "", "its server is private and not allowed"


def test_the_secret_files_were_never_opened_nor_told(story):
    assert story["opened"] == []
    for run in (story["everything"], story["plain"]):
        letters = [message for group in run.letters.values() for message in group]
        assert not [message for message in letters if SECRET.encode() in b"".join(value or b"" for _, value in message.headers())]
