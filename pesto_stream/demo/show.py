"""The main job in one go: a scene is split, a fleet of workers detects clouds on its tiles, and the results are joined.

Built on the same parts as `scene split`, `run` and `scene collect`; what it adds is the clockwork and the table at the end.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

from pesto_stream.demo.fleet import Fleet
from pesto_stream.demo.score import Score, score
from pesto_stream.errors import FatalError
from pesto_stream.scene.collect import CollectOptions, collect_scene
from pesto_stream.scene.make import make_scene
from pesto_stream.scene.picture import write_quicklook
from pesto_stream.scene.split import SplitOptions, split_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pesto_stream.broker.base import Consumer, DeliveryReport, Producer
    from pesto_stream.clock import Clock
    from pesto_stream.demo.fleet import Worker
    from pesto_stream.model.record import ProducerRecord
    from pesto_stream.scene.collect import CollectProgress, CollectReport
    from pesto_stream.scene.split import SplitProgress

INPUT_TOPIC: Final = "demo.tiles"
OUTPUT_TOPIC: Final = "demo.clouds"
DEAD_LETTER_TOPIC: Final = "demo.tiles.dead-letter"
PARTITIONS: Final = 12
TOPICS: Final[Mapping[str, int]] = {INPUT_TOPIC: PARTITIONS, OUTPUT_TOPIC: 1, DEAD_LETTER_TOPIC: 1}
_KILL_AT_SHARE: Final = 0.25
_LOOK_SECONDS: Final = 0.3
_HEAR_OUT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Show:
    """`scene` None: one is made. `run_arguments` are those of `pesto-stream run` after the project."""

    project: Path
    folder: Path
    scene: Path | None = None
    size: int = 2048
    seed: int = 7
    tile: int = 256
    overlap: int = 32
    workers: int = 3
    kill: bool = False
    timeout_seconds: float = 120.0
    run_arguments: tuple[str, ...] = ()


class Files(NamedTuple):
    scene: Path
    truth: Path | None
    mosaic: Path
    quicklook: Path


@dataclass(slots=True)
class Outcome:
    """`latencies_seconds` are from sending a tile to its result in the output topic, `seconds` from the first to the last of all."""

    files: Files
    report: CollectReport
    score: Score
    workers: list[Worker]
    seconds: float
    latencies_seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Watcher:
    """What is told on the way: a step's name, and progress of sending and collecting."""

    step: Callable[[str], None]
    split: Callable[[SplitProgress], None]
    collect: Callable[[CollectProgress], None]


class SendTimes:
    """A producer that notes when each key was sent."""

    def __init__(self, producer: Producer, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock
        self.sent_ms: dict[bytes | None, float] = {}

    def send(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> None:
        self.sent_ms[record.key] = self._clock.utc().timestamp() * 1000
        self._producer.send(record, on_delivery)

    def poll(self, timeout_seconds: float) -> int:
        return self._producer.poll(timeout_seconds)

    def flush(self, timeout_seconds: float) -> int:
        return self._producer.flush(timeout_seconds)

    def partitions(self, topic: str, timeout_seconds: float) -> int:
        return self._producer.partitions(topic, timeout_seconds)

    def close(self) -> None:
        self._producer.close()


def play(show: Show, producer: Producer, consumer: Consumer, clock: Clock, watcher: Watcher) -> Outcome:
    """Raises ConfigurationError, ImageError, BrokerUnavailable as splitting and collecting do, FatalError where a worker ends."""
    with Fleet([str(show.project), *show.run_arguments], show.workers, show.folder, clock) as fleet:
        files = _files(show, watcher)
        watcher.step(f"{show.workers} workers join the group")
        fleet.wait_ready()
        watcher.step("tiles go out, results come back")
        began = clock.now()
        timed = SendTimes(producer, clock)
        latencies: list[float] = []
        report = _send_and_collect(show, files, timed, consumer, _observer(show, fleet, timed, latencies, watcher, clock))
        seconds = clock.now() - began
        _hear_out(fleet, report.taken, clock)
        watcher.step("workers drain and leave")
    if not report.complete and report.tiles is None:
        raise FatalError(f"no result of scene '{report.scene_id}' arrived; see the workers' logs in '{show.folder}'")
    watcher.step("the mosaic is compared and drawn")
    write_quicklook(files.quicklook, files.mosaic, files.scene)
    return Outcome(files, report, score(files.mosaic, files.truth), fleet.workers, seconds, latencies)


def _hear_out(fleet: Fleet, results: int, clock: Clock) -> None:
    """Sidecars tell twice a second: ask until the workers' figures account for the results, which a killed one's never may."""
    deadline = clock.now() + _HEAR_OUT_SECONDS
    fleet.look()
    while sum(worker.delivered for worker in fleet.workers) < results and clock.now() < deadline:
        clock.sleep(0.1)
        fleet.look()


def _files(show: Show, watcher: Watcher) -> Files:
    mosaic, quicklook = show.folder / "clouds.tif", show.folder / "quicklook.png"
    if show.scene is not None:
        return Files(show.scene, None, mosaic, quicklook)
    watcher.step(f"a scene of {show.size} x {show.size} pixels is made")
    files = Files(show.folder / "scene.tif", show.folder / "truth.tif", mosaic, quicklook)
    make_scene(files.scene, size=show.size, seed=show.seed, truth=files.truth)
    return files


def _send_and_collect(show: Show, files: Files, producer: SendTimes, consumer: Consumer, observe: Watcher) -> CollectReport:
    """Sending has a thread of its own, so that results are collected while tiles still go out."""
    scene_id = f"{files.scene.stem}-{uuid4().hex[:8]}"  # a real broker may have results of an earlier demo
    options = SplitOptions(INPUT_TOPIC, show.tile, show.overlap, scene_id=scene_id)
    failures: list[BaseException] = []

    def send() -> None:
        try:
            split_scene(files.scene, producer, options, on_progress=observe.split)
        except BaseException as failure:  # noqa: BLE001 - raised again below, in the thread that waits
            failures.append(failure)

    sender = threading.Thread(target=send, name="split", daemon=True)
    sender.start()
    collect = CollectOptions(OUTPUT_TOPIC, scene_id, files.mosaic, DEAD_LETTER_TOPIC, show.timeout_seconds)
    report = collect_scene(consumer, collect, on_progress=observe.collect)
    sender.join()
    if failures:
        raise failures[0]
    return report


def _observer(show: Show, fleet: Fleet, timed: SendTimes, latencies: list[float], watcher: Watcher, clock: Clock) -> Watcher:
    """Notes latencies, looks at the workers now and then, and kills one when it is time."""
    killed = not show.kill
    look_due = clock.now()

    def collect(progress: CollectProgress) -> None:
        nonlocal killed, look_due
        last = progress.last
        if last is not None and last.key in timed.sent_ms:
            latencies.append((last.timestamp_ms - timed.sent_ms[last.key]) / 1000)
        if clock.now() >= look_due:
            look_due = clock.now() + _LOOK_SECONDS
            fleet.look()
        enough = progress.tiles is not None and progress.taken >= progress.tiles * _KILL_AT_SHARE
        if not killed and enough:
            killed = True
            fleet.look()
            worker = fleet.kill_one()
            watcher.step(f"worker {worker.number} is killed (SIGKILL); its tiles go to the others")
        watcher.collect(progress)

    return Watcher(watcher.step, watcher.split, collect)
