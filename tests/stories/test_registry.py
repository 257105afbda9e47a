"""Avro by a real schema registry, on a real Kafka: Confluent's own serializers at the other end; other schemas; a registry that goes away."""

import contextlib
import json
import subprocess
import sys

import fastavro
import numpy as np
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from support.apicurio import PATH
from support.conversation import Conversation
from support.foreign_avro import datum, schemas_of, single_object
from support.member import Member
from support.projects import IMAGE, NUMBER, STRING, a_project
from support.relay import relaying
from support.topics import unique_name
from support.waiting import wait_until

AVRO = "application/avro"
PROCESS = """
    class Process:
        def process(self, image, gain=None):
            return {"image": image * image.dtype.type(gain or 1), "mean": float(image.mean())}
"""
PIXELS = np.arange(2 * 6 * 8).reshape(2, 6, 8).astype("uint16")
RASTER = {
    "dtype": "uint16",
    "shape": [2, 6, 8],
    "data": PIXELS.tobytes(),
    "crs": "EPSG:32631",
    "transform": [10.0, 0.0, 500000.0, 0.0, -10.0, 4600000.0],
    "nodata": None,
}
IMAGE_VALUE = ("pesto.Raster", RASTER)
OUTPUTS = {"image": IMAGE, "mean": NUMBER}
PASSWORD = "s3cretOfTheRegistry"
PATIENT = {"retry__attempts": 1000, "retry__initial_seconds": 0.05, "retry__max_seconds": 0.2}


class World:
    """A registry behind a wire that can be cut, what a foreign client makes of it, and members that use it."""

    def __init__(self, kafka, folder, client, wire):
        self.kafka, self.folder, self.client, self.wire = kafka, folder, client, wire
        self.project = a_project(
            folder,
            process=PROCESS,
            inputs={"image": IMAGE, "gain": NUMBER},
            outputs={"image": IMAGE, "mean": NUMBER},
            name="gain",
        )
        self.schemas = schemas_of(self.project)

    @contextlib.contextmanager
    def member(self, talk, *, user="", **settings):
        url = self.wire.url.replace("://", f"://{user}") + PATH
        runtime = Member(
            self.project, self.folder, self.kafka, group=talk.group, topics=talk.topics, schema_registry__url=url, **settings
        )
        with runtime.start({"PESTO_STREAM__SCHEMA_REGISTRY__PASSWORD": PASSWORD}):
            yield runtime.wait_ready()

    def register(self, schema, subject=None):
        return self.client.register_schema(subject or unique_name("subject"), Schema(json.dumps(schema), "AVRO"))

    def framed(self, schema, value, subject=None):
        """What any Confluent serializer sends."""
        return b"\0" + self.register(schema, subject).to_bytes(4, "big") + datum(schema, value)

    def unseen(self, gain=1.0):
        """A request whose writer schema nobody has met: an annotation makes it another one to the registry."""
        return self.framed({**self.schemas["input"], "doc": unique_name("schema")}, {"image": IMAGE_VALUE, "gain": gain})

    def read(self, message):
        where = SerializationContext(message.topic(), MessageField.VALUE)
        return AvroDeserializer(self.client, return_record_name=True)(message.value(), where)

    def check(self, message, gain):
        """The result as a foreign deserializer reads it, found by the id in its frame."""
        assert message.value()[:1] == b"\0"
        read = self.read(message)
        name, raster = read["image"]
        assert name == "pesto.Raster"
        assert (raster["dtype"], raster["shape"], raster["crs"], raster["transform"]) == (
            "uint16",
            [2, 6, 8],
            "EPSG:32631",
            RASTER["transform"],
        )
        np.testing.assert_array_equal(np.frombuffer(raster["data"], "<u2").reshape(2, 6, 8), PIXELS * gain)
        assert read["mean"] == pytest.approx(PIXELS.mean())


@pytest.fixture(scope="module")
def world(kafka, registry, tmp_path_factory):
    with relaying(registry) as wire, contextlib.closing(SchemaRegistryClient({"url": registry + PATH, "timeout": 20})) as client:
        yield World(kafka, tmp_path_factory.mktemp("registry"), client, wire)


@pytest.fixture(scope="module")
def served(world):
    """A patient member, and who talks to it."""
    with Conversation(world.kafka) as talk, world.member(talk, schema_registry__username="clerk", **PATIENT) as member:
        yield talk, member


def test_a_foreign_serializer_is_read_and_its_deserializer_reads_the_result(world, served):
    talk, _ = served
    serialize = AvroSerializer(world.client, json.dumps(world.schemas["input"]))
    value = serialize({"image": IMAGE_VALUE, "gain": 3.0}, SerializationContext(talk.topics[0], MessageField.VALUE))

    answer = talk.result(talk.send(value, AVRO))

    world.check(answer, 3)


def test_the_output_schema_is_registered_under_the_output_topics_name(world, served):
    talk, _ = served

    answer = talk.result(talk.send(world.framed(world.schemas["input"], {"image": IMAGE_VALUE, "gain": 2.0}), AVRO))

    registered = world.client.get_latest_version(f"{talk.topics[1]}-value")
    assert int.from_bytes(answer.value()[1:5], "big") == registered.schema_id
    assert canonical(json.loads(registered.schema.schema_str)) == canonical(world.schemas["output"])
    assert registered.version == 1


def canonical(schema):
    """The same for schemas that say the same: the registry writes names in another way."""
    return fastavro.schema.to_parsing_canonical_form(fastavro.parse_schema(schema))


def test_an_older_writer_without_an_optional_input_is_resolved(world, served):
    talk, _ = served
    schema = world.schemas["input"]
    older = {**schema, "fields": [field for field in schema["fields"] if field["name"] != "gain"]}

    answer = talk.result(talk.send(world.framed(older, {"image": IMAGE_VALUE}), AVRO))

    world.check(answer, 1)


def test_a_newer_writer_with_an_input_of_its_own_is_resolved(world, served):
    talk, _ = served
    schema = world.schemas["input"]
    newer = {**schema, "fields": [{"name": "sensor", "type": "string"}, *schema["fields"]]}

    answer = talk.result(talk.send(world.framed(newer, {"sensor": "S2", "image": IMAGE_VALUE, "gain": 2.0}), AVRO))

    world.check(answer, 2)


def test_single_object_encoding_is_still_read_and_answered_in_the_registrys_framing(world, served):
    talk, _ = served

    answer = talk.result(talk.send(single_object(world.schemas["input"], {"image": IMAGE_VALUE, "gain": 2.0}), AVRO))

    world.check(answer, 2)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            b"\0" + (2_000_000_000).to_bytes(4, "big") + b"datum",
            "cannot read schema id '2000000000': the schema registry answered '404'",
        ),
        (b"\0\0", "cannot read Avro payload of 2 bytes"),
    ],
    ids=["unknown id", "no whole id"],
)
def test_an_id_that_the_registry_does_not_know_is_a_dead_letter_and_work_goes_on(world, served, value, words):
    talk, _ = served

    bad, good = talk.send(value, AVRO), talk.send(world.unseen(gain=2.0), AVRO)

    letter = talk.dead_letter(bad)
    assert (letter["pesto_error_type"], letter["pesto_error_stage"], letter["pesto_attempts"]) == ("DecodeError", "decode", "1")
    assert words in letter["pesto_error_message"]
    world.check(talk.result(good), 2)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "pesto.gain.Input", "fields": [{"name": "image", "type": "long"}]},
        {
            "type": "record",
            "name": "Other",
            "fields": [{"name": "next", "type": ["null", "Other"]}, {"name": "n", "type": "long"}],
        },
    ],
    ids=["another type", "contains itself"],
)
def test_a_schema_that_cannot_be_resolved_is_a_dead_letter(world, served, schema):
    talk, _ = served

    letter = talk.dead_letter(talk.send(b"\0" + world.register(schema).to_bytes(4, "big") + b"\0\2", AVRO))

    assert letter["pesto_error_type"] in ("DecodeError", "SchemaError")
    assert "registry id" in letter["pesto_error_message"]


def test_a_registry_that_comes_back_within_the_retries_gives_the_result(world, served):
    talk, member = served
    known, unseen = world.framed(world.schemas["input"], {"image": IMAGE_VALUE, "gain": 2.0}), world.unseen(gain=4.0)
    talk.result(talk.send(known, AVRO))
    retries = member.metric("pesto_retries_total")
    world.wire.down()
    try:
        waiting = talk.send(unseen, AVRO)
        wait_until(lambda: member.metric("pesto_retries_total") >= retries + 2, "two tries")
        world.check(talk.result(talk.send(known, AVRO)), 2)
        wait_until(lambda: member.status()["in_flight"]["records"] == 1, "only the other one to be in flight")
    finally:
        world.wire.up()

    world.check(talk.result(waiting), 4)


def test_promise_8_a_registry_that_stays_away_ends_with_code_4_and_nothing_committed_or_dead(world):
    few = {"retry__attempts": 3, "retry__initial_seconds": 0.05}
    with Conversation(world.kafka) as talk:
        with world.member(talk, user=f"clerk:{PASSWORD}@", **few) as member:
            world.check(talk.result(talk.send(world.unseen(), AVRO)), 1)
            wait_until(lambda: talk.committed() == 1, "the first commit")
            requests = [world.unseen(gain=2.0) for _ in range(3)]
            world.wire.down()
            try:
                marks = [talk.send(request, AVRO) for request in requests]
                assert member.wait_end(60) == 4
            finally:
                world.wire.up()
        assert member.log.count('"event":"interrupted"') >= 3
        assert "the schema registry does not answer" in member.log
        assert PASSWORD not in member.log
        assert talk.committed() == 1
        assert len(talk.everything()) == 1

        with world.member(talk):
            for mark in marks:
                world.check(talk.result(mark), 2)


def test_a_registry_that_is_away_when_the_first_result_is_written_is_waited_for(world):
    with Conversation(world.kafka) as talk, world.member(talk, **PATIENT) as member:
        world.wire.down()
        try:
            mark = talk.send(single_object(world.schemas["input"], {"image": IMAGE_VALUE, "gain": 2.0}), AVRO)
            wait_until(lambda: member.metric("pesto_retries_total") >= 2, "two tries")
        finally:
            world.wire.up()

        world.check(talk.result(mark), 2)


def test_an_output_schema_that_the_registry_refuses_ends_with_code_3_and_nothing_is_lost(world):
    other = {"type": "record", "name": "pesto.gain.Output", "fields": [{"name": "quite", "type": "string"}]}
    with Conversation(world.kafka) as talk:
        subject = f"{talk.topics[1]}-value"
        world.register(other, subject)
        world.client.set_compatibility(subject, "FULL")
        with world.member(talk) as member:
            talk.send(world.unseen(), AVRO)
            assert member.wait_end(60) == 3
        assert f"cannot register the output schema under subject '{subject}'" in member.log
        assert talk.committed() == 0
        assert talk.everything() == []


def test_the_registrys_password_is_told_nowhere(world, served):
    talk, member = served
    talk.dead_letter(talk.send(b"\0" + (1_999_999_999).to_bytes(4, "big"), AVRO))

    shown = [member.get(path).text for path in ("/metrics", "/api/v1/status", "/api/v1/describe")]

    assert PASSWORD not in "".join([member.log, *shown, *(repr(message.headers()) for message in talk.everything())])


def test_schemas_are_registered_from_the_command_line_and_an_incompatible_one_is_not(world, tmp_path):
    topics = unique_name("tiles"), unique_name("gains")
    registered = register(world, world.project, topics)

    assert {side: one["subject"] for side, one in registered.items()} == dict(
        zip(("input", "output"), (f"{topic}-value" for topic in topics), strict=True)
    )
    latest = world.client.get_latest_version(f"{topics[0]}-value")
    assert latest.schema_id == registered["input"]["id"]
    assert canonical(json.loads(latest.schema.schema_str)) == canonical(world.schemas["input"])
    assert register(world, world.project, topics) == registered

    world.client.set_compatibility(f"{topics[0]}-value", "BACKWARD")
    wider = a_project(
        tmp_path, process=PROCESS, inputs={"image": IMAGE, "gain": NUMBER, "sensor": STRING}, outputs=OUTPUTS, name="gain"
    )
    assert register(world, wider, topics)["input"]["id"] != registered["input"]["id"]
    strict = a_project(
        tmp_path / "strict",
        process=PROCESS,
        inputs={"image": IMAGE, "gain": NUMBER, "sensor": STRING, "must": STRING},
        outputs=OUTPUTS,
        required=["image", "must"],
        name="gain",
    )
    said = register(world, strict, topics, code=5)
    assert f"is not compatible with the latest one of subject '{topics[0]}-value'" in said
    assert world.client.get_versions(f"{topics[0]}-value") == [1, 2]


def register(world, project, topics, code=0):
    """What `schema --register` says: registrations, or with another exit code its message."""
    flags = ("--input-topic", topics[0], "--output-topic", topics[1], "--set", f"schema_registry.url={world.wire.url}{PATH}")
    command = [sys.executable, "-m", "pesto_stream", "schema", str(project), "--register", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr if code else json.loads(done.stdout)
