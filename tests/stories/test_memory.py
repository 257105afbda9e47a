"""Promise 7 on a real Kafka: a backlog far larger than the bound does not make the process larger than the bound."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from support.foreign import ForeignConsumer, ForeignProducer
from support.member import Member
from support.projects import IMAGE, a_project
from support.topics import unique_name
from support.waiting import wait_until

TILES = int(os.environ.get("PESTO_TEST_BACKLOG", "2000"))
"""20 000 is the figure that is promised; the test's own is smaller for the sake of time, and 8 times the bound all the same."""
BOUND_MIB = 64
BASE_MB = 150
PARTITIONS = 8


def npy_tile() -> bytes:
    out = io.BytesIO()
    np.save(out, np.random.default_rng(0).integers(0, 65535, (1, 256, 512)).astype("uint16"))
    return out.getvalue()


def peak_mb(pid: int) -> float:
    """The largest resident size that the process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


@pytest.mark.slow
@pytest.mark.timeout(550)
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of another process is read from /proc")
def test_promise_7_memory_stays_within_its_bound_with_a_large_backlog(kafka, topics, tmp_path):
    retention = {"retention.bytes": "-1"}
    names = (
        topics.create(PARTITIONS, label="in", config=retention),
        topics.create(PARTITIONS, label="out"),
        topics.create(label="dead"),
    )
    project = a_project(
        tmp_path,
        process="""
            class Process:
                def process(self, image):
                    return {"image": image[:, ::-1, :].copy()}
        """,
        inputs={"image": IMAGE},
        outputs={"image": IMAGE},
        name="flip",
    )
    tile = npy_tile()
    producer = ForeignProducer(kafka)
    for number in range(TILES):
        producer.send(names[0], tile, [("content-type", "application/x-npy")], partition=number % PARTITIONS)
    producer.flush()

    group = unique_name("flip")
    with Member(project, tmp_path, kafka, group=group, topics=names, memory__in_flight_mib=BOUND_MIB) as member:
        member.wait_ready()
        wait_until(lambda: member.metric('pesto_records_settled_total{outcome="delivered"}') == TILES, "all results", seconds=500)
        peak = peak_mb(member.process.pid)
    print(f"peak {peak:.0f} MB with {BOUND_MIB} MiB in flight and {TILES} tiles")

    with ForeignConsumer(kafka, names[1], **{"queued.max.messages.kbytes": 16384}) as results:
        first = results.read(1)[0].value()
    np.testing.assert_array_equal(np.load(io.BytesIO(first)), np.load(io.BytesIO(tile))[:, ::-1, :])
    assert peak < BOUND_MIB * 1.048576 + BASE_MB
