"""The consumer port on confluent-kafka (librdkafka). Measured behaviour that shaped it is said where it binds."""

from __future__ import annotations

import logging
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final

import orjson
from confluent_kafka import Consumer as _Consumer
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as _TopicPartition

from pesto_stream.broker.kafka_errors import kind_of, translate
from pesto_stream.broker.kafka_patience import TookTooLong, within
from pesto_stream.broker.kafka_positions import StartPolicy, read_positions, read_range, to_client, unlike
from pesto_stream.clock import SystemClock
from pesto_stream.errors import BrokerUnavailable, PestoStreamError
from pesto_stream.model.record import UNREADABLE_HEADERS, ConsumerRecord, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pesto_stream.broker.base import Position, RebalanceListener
    from pesto_stream.clock import Clock

_log = logging.getLogger("pesto_stream.broker")

_call_headers: Final = methodcaller("headers")
"""Not `message.headers()`: the client returns with an exception set, which the interpreter's quick call lets by, to be raised anywhere."""

_READ_POSITIONS_SECONDS: Final = 10.0
_READ_AGAIN_SECONDS: Final = 1.0
_COMMIT_SECONDS: Final = 10.0
_STORE_AGAIN_SECONDS: Final = 0.5
_READ_BACK_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
_CLOSE_SECONDS: Final = 10.0

Positions = dict[TopicPartition, "Position | None"]


class KafkaConsumer:
    """A group member. See `base.Consumer`. Offsets are committed by hand only; partitions come and go incrementally, so the group's
    protocol must be `consumer`, or `classic` with a cooperative assignor (set here when none is named).

    `auto.offset.reset` among the properties says where a partition without a commit starts. It never hides a loss: when the broker no
    longer has the records of a position, `on_records_lost(partition, first, end)` is told, offsets [first, end), it is logged, and
    reading goes on with the oldest record that is left. `on_commit_failed` is given the name of the error of each `commit(wait=False)`
    that failed later.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        on_commit_failed: Callable[[str], None] | None = None,
        on_records_lost: Callable[[TopicPartition, int, int], None] | None = None,
        commit_timeout_seconds: float = _COMMIT_SECONDS,
        close_timeout_seconds: float = _CLOSE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_commit_failed = on_commit_failed
        self._on_records_lost = on_records_lost
        self._commit_timeout = commit_timeout_seconds
        self._close_timeout = close_timeout_seconds
        self._connected = False
        self._closed = False
        self._committed: dict[TopicPartition, int] = {}
        self._owned: dict[TopicPartition, _TopicPartition] = {}
        self._unread: set[TopicPartition] = set()
        self._off_range: dict[TopicPartition, int] = {}
        self._asked: dict[TopicPartition, Position] = {}
        self._unstored: dict[TopicPartition, Position] = {}
        self._raised: set[tuple[TopicPartition, int]] = set()
        self._store_again_at = 0.0
        self._batch: list[ConsumerRecord] = []
        self._pending: BaseException | None = None
        self._last_error = ""
        self._listener: RebalanceListener | None = None
        self._policy = StartPolicy.of(properties)
        self._client = _Consumer(_settings(properties) | self._callbacks(), logger=_log)
        self._poll = self._client.poll

    def _callbacks(self) -> dict[str, Any]:
        return {"error_cb": self._on_error, "stats_cb": self._on_stats, "on_commit": self._on_commit}

    @property
    def connected(self) -> bool:
        return self._connected

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._listener = listener
        self._client.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def poll(self, timeout_seconds: float, max_records: int = 1, max_bytes: int = 1 << 62) -> list[ConsumerRecord]:
        """See `base.Consumer.poll`. One by one: the client's `consume(n, t)` would wait for n records or the whole time-out."""
        self._raise_pending()
        if self._unread or self._off_range or self._unstored:
            self._make_up()
        records: list[ConsumerRecord] = []
        self._batch = records
        append, poll = records.append, self._poll
        taken = 0
        try:
            message = poll(timeout_seconds)
            while message is not None:
                if (error := message.error()) is not None:
                    self._note(error, message)
                    break
                headers = _headers(message)
                append(record := _record(message, headers))
                taken += record.size if headers else len(record.value or b"") + len(record.key or b"")
                if len(records) >= max_records or taken >= max_bytes:
                    break
                message = poll(0)
        except KafkaException as failure:
            self._keep(translate(failure.args[0], "poll"))
        if not records:
            self._raise_pending()
        return records

    def commit(self, positions: Mapping[TopicPartition, Position], *, wait: bool) -> None:
        """See `base.Consumer.commit`. The broker would accept a partition of another member, so ours are told apart here."""
        wanted = {**self._unstored, **positions}
        foreign = [str(tp) for tp in wanted if tp not in self._owned]
        ours = {tp: at for tp, at in wanted.items() if tp in self._owned}
        self._unstored = {}
        if ours:
            self._send_commit(ours, wait=wait)
        if foreign and wait:
            raise BrokerUnavailable(f"cannot commit offsets of '{', '.join(foreign)}': not assigned to this member")

    def _send_commit(self, positions: dict[TopicPartition, Position], *, wait: bool) -> None:
        self._asked.update(positions)
        try:
            offsets = [to_client(tp, at.offset, at.metadata) for tp, at in positions.items()]
            self._client.commit(offsets=offsets, asynchronous=True)
            if wait:
                self._wait_until_stored(positions)
        except (KafkaException, PestoStreamError) as failure:
            for tp, at in positions.items():
                self._asked.pop(tp, None)  # the caller knows: nobody makes up for it
                self._raised.add((tp, at.offset))
            if isinstance(failure, PestoStreamError):
                raise
            raise translate(failure.args[0], "commit offsets") from failure
        if wait:
            self._committed.update({tp: at.offset for tp, at in positions.items()})

    def _wait_until_stored(self, positions: dict[TopicPartition, Position]) -> None:
        """The client's own waiting commit has no end while the group's coordinator is away, and holds every other call up. Reading back has
        a time-out; the coordinator answers in the order of the requests, so the first answer tells unless the client had to repeat itself.
        """
        for pause in _READ_BACK_SECONDS:
            missing = unlike(positions, read_positions(self._client, positions, self._commit_timeout))
            if not missing:
                return
            self._clock.sleep(pause)
        names = ", ".join(str(tp) for tp in missing)
        raise BrokerUnavailable(f"cannot commit offsets of '{names}': the group's coordinator did not take them")

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._client.pause([self._owned[tp] for tp in partitions if tp in self._owned])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._client.resume([self._owned[tp] for tp in partitions if tp in self._owned])

    def lag(self) -> dict[TopicPartition, int]:
        """See `base.Consumer.lag`. The end is the one that came with the last fetch; a partition never fetched from is left out."""
        found = {}
        for tp, partition in self._owned.items():
            low, end = self._client.get_watermark_offsets(partition, cached=True)
            if end >= 0:
                found[tp] = max(0, end - self._committed.get(tp, max(0, low)))
        return found

    def close(self) -> None:
        """See `base.Consumer.close`. Not while another thread polls. A broker that is away delays it by seconds at most."""
        if self._closed:
            return
        self._closed = True
        owned = list(self._owned)
        self._tell(lambda listener: listener.on_revoked(owned))
        self._store_rest()
        self._listener = None
        try:
            within(self._close_timeout, self._client.close)
        except TookTooLong:
            _log.warning(
                "could not leave the group within %g s%s; its brokers will notice", self._close_timeout, self._last_error
            )
        self._connected = False
        self._raise_pending()

    # -- errors

    def _keep(self, failure: BaseException) -> None:
        """To be raised by the next poll that has no records to return; the first one counts."""
        self._pending = self._pending or failure

    def _raise_pending(self) -> None:
        if self._pending is not None:
            failure, self._pending = self._pending, None
            raise failure

    def _note(self, error: KafkaError, message: Any = None) -> None:
        kind = kind_of(error)
        if error.name() == "_AUTO_OFFSET_RESET" and message is not None:
            self._off_range[TopicPartition(message.topic(), message.partition())] = message.offset()
        elif kind in ("authorization", "fatal"):
            self._keep(translate(error, "read"))
        elif kind != "harmless":
            _log.warning("consumer: %s (%s)", error.str(), error.name())

    # -- what could not be done when it was due

    def _make_up(self) -> None:
        try:
            if self._unread:
                self._start(self._client, read_positions(self._client, self._unread, _READ_AGAIN_SECONDS))
            for tp, offset in list(self._off_range.items()):
                self._restart(tp, offset)
            if self._unstored and self._clock.now() >= self._store_again_at:
                self.commit({}, wait=False)
        except PestoStreamError as failure:
            self._keep(failure)

    def _restart(self, tp: TopicPartition, offset: int) -> None:
        """Go on where there are records; a partition that starts again from below is a new assignment to the listener."""
        if tp in self._owned:
            first, end = read_range(self._client, tp, _READ_AGAIN_SECONDS)
            if offset < first:
                self._tell_lost(tp, offset, first)
                self._move(tp, first)
            else:
                _log.warning("%s: offset %d is not there (it holds %d to %d): reading from its start", tp, offset, first, end)
                self._lost(self._client, [self._owned[tp]])
                self._start(self._client, {tp: None})
        self._off_range.pop(tp, None)

    def _tell_lost(self, tp: TopicPartition, first: int, end: int) -> None:
        _log.error("%s: records %d to %d are gone from the broker before they were read", tp, first, end - 1)
        if self._on_records_lost is not None:
            self._on_records_lost(tp, first, end)

    def _move(self, tp: TopicPartition, offset: int) -> None:
        """`seek` is refused for a partition that stopped on an error."""
        self._client.incremental_unassign([self._owned[tp]])
        self._client.incremental_assign([to_client(tp, offset)])

    # -- rebalance callbacks: run inside the client's poll, in the thread that polls

    def _assigned(self, client: _Consumer, partitions: list[_TopicPartition]) -> None:
        wanted = [TopicPartition(p.topic, p.partition) for p in partitions]
        try:
            positions = read_positions(client, wanted, _READ_POSITIONS_SECONDS)
        except PestoStreamError as failure:
            # "no answer" is not "no commit": they start when a later poll could read their positions
            self._unread.update(wanted)
            self._keep(failure)
            client.incremental_assign([])
        else:
            self._start(client, positions)

    def _start(self, client: _Consumer, positions: Positions) -> None:
        self._unread.difference_update(positions)
        self._owned.update({tp: _TopicPartition(*tp) for tp in positions})
        self._committed.update({tp: at.offset for tp, at in positions.items() if at is not None})
        self._connected = True
        self._tell(lambda listener: listener.on_assigned(positions))
        client.incremental_assign([to_client(tp, self._policy.first(at)) for tp, at in positions.items()])

    def _revoked(self, client: _Consumer, partitions: list[_TopicPartition]) -> None:
        gone, owned = self._ours(partitions)
        if gone:
            self._tell(lambda listener: listener.on_revoked(gone))
            self._store_rest()
        self._forget(partitions)
        _let_go(client, owned)

    def _store_rest(self) -> None:
        """The last chance for commits that failed before."""
        if self._unstored:
            self._tell(lambda _: self.commit({}, wait=True))

    def _lost(self, client: _Consumer, partitions: list[_TopicPartition]) -> None:
        gone, owned = self._ours(partitions)
        if gone:
            self._tell(lambda listener: listener.on_lost(gone))
        self._forget(partitions)
        _let_go(client, owned)

    def _ours(self, partitions: list[_TopicPartition]) -> tuple[list[TopicPartition], list[_TopicPartition]]:
        """Without those whose start still waits for their committed position: the listener and the client never got them."""
        gone = [tp for p in partitions if (tp := TopicPartition(p.topic, p.partition)) in self._owned]
        return gone, [self._owned[tp] for tp in gone]

    def _tell(self, call: Callable[[RebalanceListener], None]) -> None:
        """What a listener raises must not cross the client's C code: the poll around it raises it."""
        try:
            if self._listener is not None:
                call(self._listener)
        except Exception as failure:  # noqa: BLE001 - raised again by poll
            self._keep(failure)

    def _forget(self, partitions: Iterable[_TopicPartition]) -> None:
        tables: tuple[dict[TopicPartition, Any], ...]
        tables = (self._owned, self._committed, self._asked, self._unstored, self._off_range)
        for partition in partitions:
            gone = TopicPartition(partition.topic, partition.partition)
            self._unread.discard(gone)
            for table in tables:
                table.pop(gone, None)
            # read by this very poll, and not ours to return any more
            self._batch[:] = [record for record in self._batch if record.topic_partition != gone]

    # -- client callbacks: run inside the client's poll

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = f" (last error: {error.str()})"
        if error.name() == "_ALL_BROKERS_DOWN":
            self._connected = False
        self._note(error)

    def _on_commit(self, error: KafkaError | None, partitions: list[_TopicPartition]) -> None:
        """What a commit came to. One whose failure was raised already is not told again."""
        names = set()
        for p in partitions:
            tp, problem = TopicPartition(p.topic, p.partition), p.error or error
            raised = (tp, p.offset) in self._raised
            self._raised.discard((tp, p.offset))
            if problem is None or kind_of(problem) == "harmless":
                self._note_stored(tp, p.offset)
            elif not raised:
                self._store_later(tp, p.offset)
                names.add(problem.name())
        for name in names:
            _log.warning("a commit failed: %s", name)
            if self._on_commit_failed is not None:
                self._on_commit_failed(name)

    def _note_stored(self, tp: TopicPartition, offset: int) -> None:
        if tp in self._owned:
            self._committed[tp] = offset

    def _store_later(self, tp: TopicPartition, offset: int) -> None:
        """With the next commit, or by a poll after a while; not where the partition is gone or a later commit was asked for."""
        asked = self._asked.get(tp)
        if asked is not None and asked.offset == offset:
            self._unstored[tp] = asked
            self._store_again_at = self._clock.now() + _STORE_AGAIN_SECONDS

    def _on_stats(self, text: str) -> None:
        brokers = orjson.loads(text)["brokers"].values()
        self._connected = any(broker["state"] == "UP" for broker in brokers if broker["nodeid"] >= 0)


def _let_go(client: _Consumer, partitions: list[_TopicPartition]) -> None:
    """The client keeps a pause beyond the assignment: a partition that came back would stand still for ever (2.16)."""
    client.resume(partitions)
    client.incremental_unassign(partitions)


def _settings(properties: Mapping[str, Any]) -> dict[str, Any]:
    """With `auto.offset.reset=error` the client tells when a position is not there, instead of going elsewhere in silence."""
    protocol: dict[str, Any] = {}
    if properties.get("group.protocol", "classic") == "classic":
        protocol = {"partition.assignment.strategy": "cooperative-sticky"}
    fixed = {"enable.auto.commit": False, "enable.auto.offset.store": False, "auto.offset.reset": "error"}
    return {"statistics.interval.ms": 1000, **protocol, **properties, **fixed}


def _headers(message: Any) -> Any:
    """Names that are not UTF-8 are bytes to the broker, and a SystemError to the client: one record's fault, not the poll's."""
    try:
        return _call_headers(message)
    except (SystemError, UnicodeDecodeError):
        return UNREADABLE_HEADERS


def _record(message: Any, headers: Any) -> ConsumerRecord:
    """Without an error, a message has a topic, a partition and an offset. Its timestamp is -1 where there is none."""
    stamp = message.timestamp()[1]
    return ConsumerRecord(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        tuple(headers) if headers else (),
        max(0, stamp),
    )
