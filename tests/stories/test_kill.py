"""Members that die and members that leave, on a real Kafka: every input has its result, and few have two."""

from collections import Counter

import orjson
import pytest
from support.foreign import ForeignConsumer, ForeignProducer, committed, source_of
from support.member import Member
from support.projects import NUMBER, a_project
from support.topics import unique_name
from support.waiting import wait_until

TILES = 2000
PARTITIONS = 6
SLEEPER = """
    import time

    class Process:
        def process(self, value):
            time.sleep(0.003)
            return {"value": value}
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_two_thousand_tiles_through_three_members_one_killed_one_restarted(kafka, topics, tmp_path, protocol):
    names = tuple(topics.create(count, label=label) for count, label in ((PARTITIONS, "in"), (1, "out"), (1, "dead")))
    project = a_project(
        tmp_path, process=SLEEPER, inputs={"value": NUMBER}, outputs={"value": NUMBER}, required=["value"], name="sleeper"
    )
    group = unique_name("sleepers")
    settings = {"kafka__group_protocol": protocol, "memory__in_flight_mib": 1}
    if protocol == "classic":
        settings["kafka__session_timeout_seconds"] = 6
    members = [Member(project, tmp_path, kafka, group=group, topics=names, **settings) for _ in range(3)]
    producer = ForeignProducer(kafka)
    with members[0], members[1], members[2], ForeignConsumer(kafka, names[1]) as results:
        for member in members:
            member.wait_assigned(1)
        for number in range(TILES):
            producer.send(
                names[0], orjson.dumps({"value": number}), [("content-type", "application/json")], partition=number % PARTITIONS
            )
        producer.flush()

        results.until(lambda got: len(got) > TILES // 10, "a tenth of the results")
        members[0].kill()
        may_repeat = uncommitted_results(kafka, group, names[0], results)

        results.until(lambda got: len(got) > TILES // 5, "a fifth of the results")
        assert members[1].stop() == 0
        members[1].start()

        wait_until(lambda: results.poll() or len(sources(results)) == TILES, "all results", seconds=120)
        wait_until(lambda: sum(committed(kafka, group, names[0], range(PARTITIONS)).values()) == TILES, "all commits")
        results.poll()

    counts = Counter(source_of(message) for message in results.messages)
    repeated = {source for source, count in counts.items() if count > 1}
    assert len(counts) == TILES
    assert repeated <= may_repeat, "a result repeats that was committed, or that a drained member had in flight"
    assert sorted(
        orjson.loads(message.value())["value"] for message in {source_of(m): m for m in results.messages}.values()
    ) == list(range(TILES))
    same_id = {source: {dict(m.headers())["ce_id"] for m in results.messages if source_of(m) == source} for source in repeated}
    assert all(len(ids) == 1 for ids in same_id.values()), "a repeated result must be recognisable by its id"


def sources(results):
    return {source_of(message) for message in results.messages}


def uncommitted_results(kafka, group, topic, results):
    """Results that are out while their offsets are not committed: what a crash at this moment may repeat, and no more."""
    offsets = committed(kafka, group, topic, range(PARTITIONS))
    results.read_to_end()
    return {(partition, offset) for partition, offset in sources(results) if offset >= offsets[partition]}
