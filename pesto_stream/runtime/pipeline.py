"""What is done to one record, step by step, and nothing about when or by whom. Pure but for the algorithm and the image source.

Whatever goes wrong leaves here as an error of our tree: a RecordError is the record's (or its algorithm's) fault, a TransientError or
FatalError is not.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pesto_stream.errors import AlgorithmError, EncodeError, PestoStreamError, UnexpectedError
from pesto_stream.log import get_logger
from pesto_stream.runtime.dead_letter import dead_letter
from pesto_stream.serde.cloudevents import parse, result_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.algorithms.base import Algorithm
    from pesto_stream.clock import Clock
    from pesto_stream.converters.base import PayloadConverters
    from pesto_stream.errors import RecordError
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord

_log = get_logger(__name__)

DECODE, ALGORITHM, ENCODE = "decode", "algorithm", "encode"


@dataclass(frozen=True, slots=True)
class Addressing:
    """Where results and dead letters go and how they name their origin."""

    output_topic: str
    dead_letter_topic: str
    event_type: str
    event_source: str
    component: str
    default_content_type: str | None = None
    max_record_bytes: int = 16 << 20


class Pipeline:
    def __init__(self, converters: PayloadConverters, algorithm: Algorithm, addressing: Addressing, clock: Clock) -> None:
        self._converters = converters
        self._algorithm = algorithm
        self._to = addressing
        self._clock = clock

    def decode(self, record: ConsumerRecord) -> Invocation:
        """Raises EnvelopeError, DecodeError and its children, StoreUnavailable."""
        with _nothing_unforeseen(record, DECODE):
            return self._converters.decode(parse(record, self._to.default_content_type))

    def run(self, record: ConsumerRecord, invocation: Invocation) -> dict[str, Any]:
        """Raises AlgorithmError, DeviceLost."""
        with _nothing_unforeseen(record, ALGORITHM):
            try:
                return self._algorithm.process(invocation)
            except Exception:
                raise
            except BaseException as stop:
                # No signal reaches a worker's thread: the algorithm itself raised it, and unheard it would end the thread in silence.
                raise AlgorithmError(f"{type(stop).__name__}: raised by the algorithm, which may not stop the runtime") from stop

    def encode(self, record: ConsumerRecord, invocation: Invocation, outputs: dict[str, Any]) -> ProducerRecord:
        """The result's record. Raises EncodeError for outputs that break the output schema, or are too large."""
        with _nothing_unforeseen(record, ENCODE):
            result = result_record(
                invocation.envelope,
                record,
                self._converters.encode(invocation, outputs),
                self._algorithm.spec,
                topic=self._to.output_topic,
                event_type=self._to.event_type,
                source=self._to.event_source,
                time=self._clock.utc(),
            )
            self._check_size(result)
            return result

    def _check_size(self, result: ProducerRecord) -> None:
        if result.size > self._to.max_record_bytes:
            raise too_large(result, f"kafka.max_record_mib ({self._to.max_record_bytes} bytes)")

    def dead_letter(self, record: ConsumerRecord, error: RecordError, attempts: int) -> ProducerRecord:
        topic, component = self._to.dead_letter_topic, self._to.component
        return dead_letter(record, error, topic=topic, attempts=attempts, at=self._clock.utc(), component=component)


def too_large(result: ProducerRecord, limit: str) -> EncodeError:
    """The error of a result that some limit on a record's size refuses."""
    return EncodeError(
        f"the result of {result.size} bytes for topic '{result.topic}' is over {limit}; "
        "raise that limit, or let the algorithm return less (smaller tiles, fewer bands, a smaller dtype)"
    )


@contextmanager
def _nothing_unforeseen(record: ConsumerRecord, stage: str) -> Iterator[None]:
    """Anything outside our tree is a bug, ours or a library's: one record may meet it, the fleet may not stop for it."""
    try:
        yield
    except PestoStreamError:
        raise
    except Exception as bug:
        _log.exception("unexpected_error", stage=stage, position=record.position)
        raise UnexpectedError(f"unexpected {type(bug).__name__} in stage {stage}: {bug}", stage) from bug
