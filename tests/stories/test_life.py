"""A member's life on a real Kafka: draining, slow tiles, tiles over their time, results over a limit, what the sidecar says meanwhile."""

import json

import orjson
import pytest
from support.foreign import ForeignConsumer, ForeignProducer, committed, headers_of, source_of
from support.member import Member
from support.projects import IMAGE, NUMBER, a_project
from support.topics import unique_name
from support.waiting import wait_until

JSON = [("content-type", "application/json")]
SLEEPER = """
    import time

    class Process:
        max_concurrency = 8

        def process(self, seconds):
            time.sleep(seconds)
            return {"seconds": seconds}
"""
HOG = """
    class Process:
        def process(self, rounds):
            total = 0
            for number in range(int(rounds)):
                total += number * number
            return {"total": float(total % 1000)}
"""


def a_sleeper(folder, **more):
    return a_project(
        folder,
        process=SLEEPER,
        inputs={"seconds": NUMBER},
        outputs={"seconds": NUMBER},
        required=["seconds"],
        name="sleeper",
        **more,
    )


class Stage:
    """Topics, a group, and members on them."""

    def __init__(self, kafka, topics, folder, partitions=1, **config):
        self.kafka, self.folder = kafka, folder
        self.topics = tuple(
            topics.create(count, label=label, config=config) for count, label in ((partitions, "in"), (1, "out"), (1, "dead"))
        )
        self.group = unique_name("group")
        self.producer = ForeignProducer(kafka)

    def member(self, project, **settings):
        return Member(project, self.folder, self.kafka, group=self.group, topics=self.topics, **settings)

    def send(self, *values, partition=0):
        for value in values:
            self.producer.send(self.topics[0], orjson.dumps(value), JSON, partition=partition)
        self.producer.flush()

    def results(self):
        return ForeignConsumer(self.kafka, self.topics[1])

    def dead_letters(self):
        return ForeignConsumer(self.kafka, self.topics[2])

    def committed(self, partition=0):
        return committed(self.kafka, self.group, self.topics[0], [partition])[partition]


@pytest.fixture
def stage(kafka, topics, tmp_path):
    return lambda **kwargs: Stage(kafka, topics, tmp_path, **kwargs)


def test_sigterm_drains_commits_and_leaves_with_code_0(stage, tmp_path):
    at = stage()
    at.send(*[{"seconds": 0.2}] * 10)
    with at.member(a_sleeper(tmp_path)) as member, at.results() as results:
        results.read(2)

        assert member.stop() == 0
        results.read_to_end()

    assert at.committed() == len(results.messages)
    assert len({source_of(message) for message in results.messages}) == len(results.messages)


def test_a_second_signal_aborts_without_waiting(stage, tmp_path):
    at = stage()
    at.send({"seconds": 300})
    with at.member(a_sleeper(tmp_path), shutdown__drain_seconds=3000) as member:
        wait_until(lambda: member.answers("/healthz/ready") and member.status()["in_flight"]["records"] == 1, "the tile to run")
        member.terminate()
        wait_until(lambda: "draining" in member.log, "the drain")
        member.terminate()

        assert member.wait_end(60) == 0

    assert at.committed() == 0


def test_a_drain_that_takes_too_long_leaves_the_rest_to_others(stage, tmp_path):
    at = stage()
    at.send({"seconds": 0.01}, {"seconds": 300}, {"seconds": 0.01})
    with at.member(a_sleeper(tmp_path), shutdown__drain_seconds=0.5) as member, at.results() as results:
        results.read(1)

        assert member.stop() == 0

    assert at.committed() == 1
    assert "left_in_flight" in member.log


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_promise_5_a_tile_far_longer_than_the_poll_interval_costs_no_membership(stage, tmp_path, protocol):
    at = stage()
    settings = {
        "kafka__properties": '{"max.poll.interval.ms": 12000}',
        "shutdown__revoke_seconds": 1,
        "kafka__group_protocol": protocol,
    }
    if protocol == "classic":
        settings["kafka__session_timeout_seconds"] = 6
    at.send({"seconds": 16}, {"seconds": 0})
    with at.member(a_sleeper(tmp_path), **settings) as member, at.results() as results:
        results.read(2, seconds=90)
        rebalances = member.metric("pesto_rebalances_total")

    assert rebalances == 1, "assigned once, never lost"
    assert len(results.messages) == 2


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_promise_6_partitions_that_move_while_tiles_run_give_no_repeats(stage, tmp_path, protocol):
    at = stage(partitions=4)
    for number in range(160):
        at.send({"seconds": 0.02}, partition=number % 4)
    project = a_sleeper(tmp_path)
    with at.results() as results, at.member(project, kafka__group_protocol=protocol) as first:
        first.wait_assigned(4)
        results.read(5)
        with at.member(project, kafka__group_protocol=protocol) as second:
            second.wait_assigned(2)
            results.read(60)
            assert second.stop() == 0
        results.until(lambda got: len({source_of(m) for m in got}) == 160, "all results")
        assert first.stop() == 0
        results.read_to_end()

    assert len(results.messages) == 160, "results repeat"
    assert [at.committed(partition) for partition in range(4)] == [40] * 4


def test_a_tile_over_its_time_is_a_dead_letter_and_the_process_ends_for_a_fresh_start(stage, tmp_path):
    at = stage()
    at.send({"seconds": 0}, {"seconds": 3000}, {"seconds": 0})
    project = a_sleeper(tmp_path)
    with at.dead_letters() as letters, at.results() as results:
        with at.member(project, algorithm__timeout_seconds=1) as member:
            assert member.wait_end(60) == 3
        letter = headers_of(letters.read(1)[0])
        assert (letter["pesto_error_type"], letter["pesto_error_stage"]) == ("AlgorithmTimeout", "algorithm")
        assert letter["pesto_source_offset"] == "1"
        assert "algorithm.timeout_seconds" in letter["pesto_error_message"]

        with at.member(project, algorithm__timeout_seconds=1):
            results.read(2)
        results.read_to_end()

    assert sorted(source_of(message)[1] for message in results.messages) == [0, 2]


def test_a_result_over_the_topics_limit_is_a_dead_letter_that_says_so(kafka, topics, tmp_path):
    project = a_project(
        tmp_path,
        process="""
            import numpy as np

            class Process:
                def process(self, side):
                    return {"image": np.random.default_rng(0).integers(0, 255, (1, int(side), int(side))).astype("uint8")}
        """,
        inputs={"side": NUMBER},
        outputs={"image": IMAGE},
        required=["side"],
    )
    names = (
        topics.create(label="in"),
        topics.create(label="out", config={"max.message.bytes": "100000"}),
        topics.create(label="dead"),
    )
    producer = ForeignProducer(kafka)
    for side in (10, 1000, 20):
        producer.send(names[0], orjson.dumps({"side": side}), JSON)
    producer.flush()
    with (
        Member(project, tmp_path, kafka, group=unique_name("large"), topics=names),
        ForeignConsumer(kafka, names[1]) as results,
        ForeignConsumer(kafka, names[2]) as letters,
    ):
        results.read(2)
        letter = headers_of(letters.read(1)[0])

    assert letter["pesto_error_type"] == "EncodeError"
    assert "max.message.bytes" in letter["pesto_error_message"]
    assert letter["pesto_source_offset"] == "1"


def test_ordering_by_key_keeps_the_order_of_each_key_while_keys_run_side_by_side(stage, tmp_path):
    at = stage()
    project = a_project(
        tmp_path,
        process="""
            import time

            class Process:
                def process(self, seconds, number):
                    time.sleep(seconds)
                    return {"number": number}
        """,
        inputs={"seconds": NUMBER, "number": NUMBER},
        outputs={"number": NUMBER},
        required=["seconds", "number"],
    )
    for number in range(40):
        value = orjson.dumps({"seconds": 0.05 if number % 3 == 0 else 0.0, "number": number})
        at.producer.send(at.topics[0], value, JSON, key=b"key-%d" % (number % 4))
    at.producer.flush()
    with at.member(project, ordering="key", algorithm__concurrency=4), at.results() as results:
        results.read(40)

    by_key = {}
    for message in results.messages:
        by_key.setdefault(message.key(), []).append(orjson.loads(message.value())["number"])
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    in_order_of_publishing = [orjson.loads(message.value())["number"] for message in results.messages]
    assert in_order_of_publishing != sorted(in_order_of_publishing), "keys did not run side by side"


def test_the_sidecar_answers_while_an_algorithm_in_pure_python_computes(stage, tmp_path):
    """Forty answers during one tile; how long each takes is measured in benchmarks/, not here."""
    at = stage()
    project = a_project(
        tmp_path, process=HOG, inputs={"rounds": NUMBER}, outputs={"total": NUMBER}, required=["rounds"], name="hog"
    )
    with at.member(project) as member:
        member.wait_assigned(1)
        at.send({"rounds": 1e12})
        wait_until(lambda: member.status()["stages"]["algorithm"]["oldest_seconds"] > 0, "the algorithm to compute")
        for path in ("/healthz/live", "/healthz/ready", "/api/v1/status", "/metrics") * 10:
            assert member.get(path).status_code == 200
        assert member.status()["in_flight"]["records"] == 1, "the tile had ended: nothing was shown"
        member.kill()


def test_health_tells_an_idle_spare_member_from_one_without_a_broker(stage, tmp_path):
    at = stage()
    project = a_sleeper(tmp_path)
    lost = Member(project, tmp_path, "127.0.0.1:1", group=at.group, topics=at.topics, kafka__startup_timeout_seconds=60)
    with at.member(project) as first, at.member(project) as spare, lost:
        first.wait_ready()
        spare.wait_ready()
        wait_until(lambda: lost.answers("/healthz/ready", 503), "the one without a broker to answer")
        wait_until(lambda: "broker" in json.dumps(lost.get("/healthz/ready").json()["reasons"]), "its reasons")
        assert lost.get("/healthz/live").status_code == 200
        assert lost.get("/healthz/startup").status_code == 503
        assert lost.get("/api/v1/health").text == "OK"
        lost.kill()


def test_no_broker_at_start_ends_with_code_4_and_says_what_to_check(stage, tmp_path):
    at = stage()
    lost = Member(
        a_sleeper(tmp_path), tmp_path, "127.0.0.1:1", group=at.group, topics=at.topics, kafka__startup_timeout_seconds=1
    )
    with lost:
        assert lost.wait_end(60) == 4
    assert "kafka.bootstrap_servers" in lost.log


def test_a_topic_that_does_not_exist_ends_with_code_2_and_names_it(kafka, topics, tmp_path):
    names = (topics.create(label="in"), "no-such-topic", topics.create(label="dead"))
    member = Member(a_sleeper(tmp_path), tmp_path, kafka, group=unique_name("g"), topics=names, kafka__startup_timeout_seconds=1)
    with member:
        assert member.wait_end(60) == 2
    assert "topic 'no-such-topic' does not exist" in member.log


def test_the_sidecar_describes_and_counts_what_runs(stage, tmp_path):
    at = stage()
    with at.member(a_sleeper(tmp_path)) as member, at.results() as results:
        member.wait_assigned(1)
        at.send({"seconds": 0}, {"seconds": 0})
        results.read(2)
        describe, version, openapi = (member.get(f"/api/v1/{name}").json() for name in ("describe", "version", "openapi"))
        wait_until(lambda: member.status()["settled"].get("delivered") == 2, "the count")
        wait_until(lambda: member.status()["assignment"][0]["lag"] == 0, "the lag")
        delivered = member.metric('pesto_records_settled_total{outcome="delivered"}')

    assert describe["name"] == "sleeper"
    assert describe["kafka"]["topics"] == {"input": at.topics[0], "output": at.topics[1], "dead_letter": at.topics[2]}
    assert set(describe["input"]["properties"]) == {"seconds"}
    assert version["version"] == "1.2.3"
    assert openapi["openapi"].startswith("3.")
    assert delivered == 2
