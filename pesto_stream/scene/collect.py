"""The results of one scene, read from the broker and joined into a mosaic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pesto_stream.clock import SystemClock
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ConfigurationError, RecordError
from pesto_stream.scene.mosaic import MAX_MOSAIC_BYTES, Mosaic, Verdict, core_of
from pesto_stream.scene.place import place_of
from pesto_stream.scene.raster import write_blocks
from pesto_stream.scene.results import ResultReader
from pesto_stream.scene.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from pesto_stream.broker.base import Consumer, Position
    from pesto_stream.clock import Clock
    from pesto_stream.model.record import ConsumerRecord, Headers, TopicPartition
    from pesto_stream.model.tile import Window

_POLL_SECONDS: Final = 0.5
_POLL_RECORDS: Final = 64
_POLL_BYTES: Final = 16 << 20
_QUIET_SECONDS: Final = 2.0
"""With dead letters alone missing, how long the topics must be silent before the scene counts as settled: a tile that was sent again
may have its result behind its old dead letter."""
_REASONS_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """`out` is the mosaic's file. `timeout_seconds` is the longest wait for the next tile. `output` names the image of JSON results,
    `source` the CloudEvents source whose results count (None: all). `max_bytes` bounds the mosaic, as it unfolds.
    """

    topic: str
    scene_id: str
    out: Path
    dead_letter_topic: str | None = None
    timeout_seconds: float = 300.0
    output: str | None = None
    source: str | None = None
    limits: Limits = field(default_factory=Limits)
    max_bytes: int = MAX_MOSAIC_BYTES


class CollectProgress(NamedTuple):
    """`tiles` is None until the first tile says how many there are. `last` is the record that was just taken, None where none was."""

    tiles: int | None
    taken: int
    dead_letters: int
    duplicates: int
    last: ConsumerRecord | None = None


class CollectReport(NamedTuple):
    """`tiles` is None where no tile of the scene was seen; then no file was written.

    `size` is the mosaic's width and height in pixels, `uncovered_pixels` those that no tile has written. `dead_letters` are reasons by
    tile index, `refused` counts of records that claimed to be part of the scene and do not fit, by reason.
    """

    scene_id: str
    tiles: int | None
    taken: int
    missing: int
    duplicates: int
    conflicts: int
    dead_letters: Mapping[int, str]
    refused: Mapping[str, int]
    size: tuple[int, int]
    uncovered_pixels: int

    @property
    def complete(self) -> bool:
        return self.tiles is not None and self.taken == self.tiles and self.uncovered_pixels == 0


def collect_scene(
    consumer: Consumer,
    options: CollectOptions,
    *,
    clock: Clock | None = None,
    on_progress: Callable[[CollectProgress], None] = lambda _: None,
) -> CollectReport:
    """Read from the beginning of the topic until each tile of the scene has its result or its dead letter, or the time is over; then
    write what is there as a GeoTIFF. The consumer needs a group of its own that starts at the earliest offset; nothing is committed.

    A record that claims to be of the scene and is not fit to be is counted and left out: a stranger's record does not end the work.

    Raises ConfigurationError (the file cannot be written), BrokerUnavailable, AuthorizationFailed.
    """
    folder = options.out.absolute().parent
    if not folder.is_dir():
        raise ConfigurationError(f"cannot write '{options.out}': there is no folder '{folder}'")
    with Spool(folder) as spool:
        collector = Collector(options, spool)
        _read(consumer, collector, options, clock or SystemClock(), on_progress)
        return _report(collector, _write(collector, options.out))


def _read(
    consumer: Consumer,
    collector: Collector,
    options: CollectOptions,
    clock: Clock,
    on_progress: Callable[[CollectProgress], None],
) -> None:
    topics = [topic for topic in (options.topic, options.dead_letter_topic) if topic is not None]
    consumer.subscribe(topics, _Onlooker())
    heard = clock.now()
    while not collector.mosaic.complete:
        records = consumer.poll(_POLL_SECONDS, _POLL_RECORDS, _POLL_BYTES)
        news = [record for record in records if collector.take(record)]
        for record in news or (None,):
            on_progress(collector.progress(record))
        silence = clock.now() - heard
        if news:
            heard = clock.now()
        elif silence > options.timeout_seconds or (collector.mosaic.settled and silence > _QUIET_SECONDS):
            return


class _Onlooker:
    """Reads and commits nothing, so assignments do not matter to it."""

    def on_assigned(self, partitions: Mapping[TopicPartition, Position | None]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...


class Collector:
    """Sorts records: results into the spool, dead letters into the books, the rest away. Knows no broker."""

    def __init__(self, options: CollectOptions, spool: Spool) -> None:
        self.mosaic = Mosaic(options.scene_id, options.max_bytes)
        self.refused: Counter[str] = Counter()
        self.spool = spool
        self._options = options
        self._scene = options.scene_id.encode()
        self._reader = ResultReader(options.output, options.limits)

    def take(self, record: ConsumerRecord) -> bool:
        """Whether the record told something new about the scene."""
        if _last(record.headers, "ce_sceneid") != self._scene:
            return False
        try:
            if record.topic == self._options.dead_letter_topic:
                return self._dead_letter(record)
            return self._result(record)
        except RecordError as failure:
            self._refuse(str(failure))
            return False

    def progress(self, last: ConsumerRecord | None) -> CollectProgress:
        mosaic = self.mosaic
        return CollectProgress(mosaic.count, mosaic.taken, len(mosaic.failed), mosaic.duplicates, last)

    def _result(self, record: ConsumerRecord) -> bool:
        envelope = self._reader.envelope(record)
        if self._options.source is not None and envelope.source != self._options.source:
            return False
        result = self._reader.read(envelope)
        verdict = self.mosaic.offer(result.place, result.tile, result.event_id)
        if verdict is not Verdict.TAKEN:
            return False
        self.spool.add(result.place.core, core_of(result.place, result.tile.array))
        return True

    def _dead_letter(self, record: ConsumerRecord) -> bool:
        """Its place is in the headers of the request, which a dead letter keeps; the payload is not looked at."""
        texts = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        attributes = {name.removeprefix("ce_"): text for name, text in texts.items() if name.startswith("ce_")}
        reason = f"{texts.get('pesto_error_type', 'Error')}: {texts.get('pesto_error_message', '')}"
        return self.mosaic.fail(place_of(attributes), reason)

    def _refuse(self, reason: str) -> None:
        """Count it under its reason; a stranger with ever new reasons fills no memory."""
        known = reason in self.refused or len(self.refused) < _REASONS_KEPT
        self.refused[reason if known else "other reasons"] += 1


def _last(headers: Headers, name: str) -> bytes | None:
    return next((value for header, value in reversed(headers) if header == name), None)


def _write(collector: Collector, out: Path) -> int:
    """The mosaic's file, where there is anything to write. Returns how many of its pixels no tile has written."""
    mosaic = collector.mosaic
    form, size = mosaic.form, mosaic.size
    if form is None:
        return size[0] * size[1]
    uncovered = 0

    def blocks() -> Iterator[tuple[Window, np.ndarray]]:
        nonlocal uncovered
        for block in collector.spool.blocks(*size, form.bands, form.dtype, form.nodata or 0):
            uncovered += block.uncovered
            yield block.window, block.array

    write_blocks(out, size, form, blocks())
    return uncovered


def _report(collector: Collector, uncovered: int) -> CollectReport:
    mosaic = collector.mosaic
    return CollectReport(
        scene_id=mosaic.scene_id,
        tiles=mosaic.count,
        taken=mosaic.taken,
        missing=mosaic.missing,
        duplicates=mosaic.duplicates,
        conflicts=mosaic.conflicts,
        dead_letters=mosaic.failed,
        refused=dict(collector.refused),
        size=mosaic.size,
        uncovered_pixels=uncovered,
    )
