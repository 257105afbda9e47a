"""One stage: a queue and its threads."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from support.builders import a_record
from support.waiting import wait_until

from pesto_stream.clock import ManualClock, SystemClock
from pesto_stream.model.record import TopicPartition
from pesto_stream.runtime.job import Job
from pesto_stream.runtime.ledger import PartitionLedger
from pesto_stream.runtime.stages import Stage


class Tracked(Job):
    """Jobs have slots, this one can be watched."""

    __slots__ = ("__weakref__",)


def a_job(offset: int = 0) -> Job:
    return Tracked(a_record(offset=offset), PartitionLedger(TopicPartition("tiles", 2), 1), None, 0.0)


@pytest.fixture
def make_stage():
    """Stages whose threads end with the test."""
    made = []

    def make(work, threads=1, clock=None):
        made.append(Stage("decode", work, threads, clock or SystemClock()))
        return made[-1]

    yield make
    for stage in made:
        stage.stop()
        assert stage.join(30.0)


def test_jobs_are_begun_in_the_order_in_which_they_came(make_stage):
    seen = []
    stage = make_stage(lambda job: seen.append(job.record.offset))
    for offset in range(50):
        stage.put(a_job(offset))
    stage.start()

    wait_until(lambda: len(seen) == 50, "all jobs")
    assert seen == list(range(50))


def test_each_thread_works_on_one_job_and_all_that_run_can_be_seen_with_their_start(make_stage):
    leave = threading.Event()
    clock = ManualClock(100.0)
    stage = make_stage(lambda _: leave.wait(60), threads=2, clock=clock)
    jobs = [a_job(offset) for offset in range(3)]
    for job in jobs:
        stage.put(job)
    stage.start()

    wait_until(lambda: len(stage.running()) == 2, "two jobs at work")
    assert {entry.job for entry in stage.running()} == {jobs[0], jobs[1]}
    assert {entry.since for entry in stage.running()} == {100.0}
    assert stage.queued == 1
    leave.set()
    wait_until(lambda: stage.running() == [] and stage.queued == 0, "the end of all")


def test_after_a_stop_no_job_that_waited_is_begun(make_stage):
    leave, seen = threading.Event(), []

    def work(job):
        seen.append(job.record.offset)
        leave.wait(60)

    stage = make_stage(work)
    for offset in range(5):
        stage.put(a_job(offset))
    stage.start()
    wait_until(lambda: seen == [0], "the first")
    stage.stop()
    stage.put(a_job(5))
    leave.set()

    assert stage.join(30.0)
    assert seen == [0]


def test_a_thread_that_does_not_come_back_is_told_and_not_waited_for(make_stage):
    leave = threading.Event()
    stage = make_stage(lambda _: leave.wait(60))
    stage.put(a_job())
    stage.start()
    wait_until(stage.running, "the job to begin")
    stage.stop()

    assert not stage.join(0.01)
    leave.set()


def test_a_stage_that_was_never_started_can_be_stopped(make_stage):
    stage = make_stage(lambda _: None)
    stage.stop()

    assert stage.join(0.0)


def test_an_idle_thread_does_not_keep_the_last_tile_in_memory(make_stage):
    stage = make_stage(lambda _: None)
    stage.start()
    job = a_job()
    gone = weakref.ref(job)
    stage.put(job)
    del job

    wait_until(lambda: gc.collect() >= 0 and gone() is None, "the job to be gone")
