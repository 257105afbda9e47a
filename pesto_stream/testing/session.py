"""A project's tests, one after the other, through an algorithm wherever it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pesto_stream.errors import RecordError
from pesto_stream.serde import json_text
from pesto_stream.testing.answer import answer_of
from pesto_stream.testing.compare import compare
from pesto_stream.testing.describe import compare_describe
from pesto_stream.testing.payload import payload_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.clock import Clock
    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.record import ConsumerRecord
    from pesto_stream.model.spec import AlgorithmSpec
    from pesto_stream.testing.difference import Difference, Tolerance
    from pesto_stream.testing.resources import Case

DESCRIBE = "describe"
Verdict = Literal["passed", "failed", "skipped"]


class Way(Protocol):
    """How an algorithm is reached: in this process, over a broker, in a container."""

    def describe(self) -> Mapping[str, Any]: ...

    def process(self, payload: Mapping[str, Any], name: str) -> ConsumerRecord:
        """The result, as JSON. `name` is the test's. Raises RecordError where the request or the algorithm fails."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one test. `error`: why there is no result. `record` and `answer`: the result."""

    name: str
    verdict: Verdict
    seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    error: str | None = None
    note: str | None = None
    record: ConsumerRecord | None = field(default=None, repr=False)
    answer: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """`embedded`: images go into the payload as base64, in place of their URLs."""

    way: Way
    spec: AlgorithmSpec
    limits: Limits
    tolerance: Tolerance
    clock: Clock
    embedded: bool = False

    def describe(self, expected: Mapping[str, Any] | None) -> Report:
        """Raises FatalError where the algorithm cannot be reached."""
        began = self.clock.now()
        actual = json.loads(json.dumps(self.way.describe()))
        seconds = self.clock.now() - began
        if expected is None:
            return Report(DESCRIBE, "skipped", seconds, note="there is no expected_describe.json", answer=actual)
        differences = tuple(compare_describe(expected, actual))
        return Report(DESCRIBE, "failed" if differences else "passed", seconds, differences, answer=actual)

    def run(self, case: Case) -> Report:
        """Raises TransientError, FatalError, and ProjectError for a test that cannot be read."""
        payload = payload_of(case.inputs, embedded=self.embedded)
        began = self.clock.now()
        try:
            record = self.way.process(payload, case.name)
            seconds = self.clock.now() - began
            answer = answer_of(record.value or b"", self.spec, self.limits)
        except RecordError as failure:
            return Report(case.name, "failed", self.clock.now() - began, error=str(failure))
        if case.expected is None:
            note = "it has no folder 'output', so nothing is expected; --update writes it"
            return Report(case.name, "failed", seconds, error=note, record=record, answer=answer)
        differences = tuple(compare(case.expected, answer, self.tolerance, self.limits))
        return Report(case.name, "failed" if differences else "passed", seconds, differences, record=record, answer=answer)


def payload_bytes(payload: Mapping[str, Any]) -> bytes:
    """The body of a request."""
    return json_text.dumps(dict(payload), "request")
