"""An algorithm with the runtime's own pipeline and converters, and no broker: one request in, one result out, in this thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.clock import SystemClock
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.envelope import JSON
from pesto_stream.model.record import ConsumerRecord
from pesto_stream.runtime.pipeline import Pipeline
from pesto_stream.wiring.algorithm import addressing_of, converters_of
from pesto_stream.wiring.documents import describe
from pesto_stream.wiring.parts import Topics, limits_of

if TYPE_CHECKING:
    from typing import Self

    from pesto_stream.algorithms.base import Algorithm
    from pesto_stream.algorithms.project import Project
    from pesto_stream.clock import Clock
    from pesto_stream.config.model import Settings

_TOPICS: Final = Topics("requests", "results", "requests.dead-letter")
"""Names that results and messages carry; there are no such topics."""


class Single:
    """Use as a context manager: on_start when it is entered, on_stop when it is left.

    Results are JSON, whatever `output.content_type` says. Raises ConfigurationError, and entering it what `load_algorithm` and
    `on_start` raise.
    """

    def __init__(self, settings: Settings, project: Project, clock: Clock | None = None) -> None:
        as_json = settings.output.model_copy(update={"content_type": JSON})
        self._settings = settings.model_copy(update={"output": as_json})
        self._project = project
        self._clock = clock or SystemClock()
        self._source = UrlImageSource(settings.urls, limits_of(settings), Metrics(), self._clock)
        self._converters = converters_of(self._settings, project, self._source, _TOPICS)
        self._algorithm: Algorithm | None = None
        self._requests = 0

    def __enter__(self) -> Self:
        algorithm = load_algorithm(self._project, without_gpu=self._settings.algorithm.without_gpu)
        algorithm.on_start()
        self._algorithm = algorithm
        return self

    def __exit__(self, *exc: object) -> None:
        if self._algorithm is not None:
            self._algorithm.on_stop()
        self._source.close()

    def describe(self) -> dict[str, Any]:
        """The describe document as the sidecar would serve it."""
        document: dict[str, Any] = json.loads(json.dumps(describe(self._project, self._settings)))
        return document

    def process(self, payload: bytes, event_id: str) -> ConsumerRecord:
        """The result of a JSON payload, as it would be read from the results' topic. Raises RecordError, TransientError, FatalError."""
        assert self._algorithm is not None, "use it as a context manager"
        pipeline = Pipeline(self._converters, self._algorithm, addressing_of(self._settings, self._project, _TOPICS), self._clock)
        offset, self._requests = self._requests, self._requests + 1
        request = ConsumerRecord(_TOPICS.input, 0, offset, event_id.encode(), payload, _headers(event_id))
        invocation = pipeline.decode(request)
        result = pipeline.encode(request, invocation, pipeline.run(request, invocation))
        return ConsumerRecord(result.topic, 0, offset, result.key, result.value, result.headers)


def _headers(event_id: str) -> tuple[tuple[str, bytes | None], ...]:
    event = {"ce_specversion": "1.0", "ce_id": event_id, "ce_source": "/pesto/once", "ce_type": "pesto.request"}
    return tuple((name, value.encode()) for name, value in {**event, "content-type": JSON}.items())
