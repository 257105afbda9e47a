"""Every metric: name, kind, labels, meaning. The docs' table and the /metrics page come from this one place.

Names follow Prometheus: base units (`_seconds`, `_bytes`), counters end in `_total`. No label holds a value that a sender chooses.
"""

from __future__ import annotations

from collections.abc import Iterator  # noqa: TC003 - prometheus_client reads it
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STAGE_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
AGE_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric. `labels` are its label names, `help` the sentence that users read."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


DECLARATIONS: Final = (
    Declaration("pesto_build_info", "gauge", "1; the labels say what runs.", ("algorithm", "algorithm_version", "version")),
    Declaration("pesto_state", "gauge", "1 for the state that the runtime is in, 0 for the others.", ("state",)),
    Declaration("pesto_records_received_total", "counter", "Records read from the input topic."),
    Declaration("pesto_received_bytes_total", "counter", "Bytes of the records read (key, value, headers)."),
    Declaration("pesto_records_settled_total", "counter", "Records with a final outcome.", ("outcome",)),
    Declaration("pesto_dead_letters_total", "counter", "Records sent to the dead-letter topic.", ("stage", "error_type")),
    Declaration("pesto_stale_records_total", "counter", "Records dropped because their partition was taken away.", ("stage",)),
    Declaration("pesto_lost_records_total", "counter", "Records gone from the broker (retention) before they could be read."),
    Declaration("pesto_retries_total", "counter", "Tries that failed by trouble outside and are repeated.", ("error_type",)),
    Declaration("pesto_result_bytes_total", "counter", "Bytes of the results written (key, value, headers)."),
    Declaration("pesto_stage_seconds", "histogram", "Time of one tile in a stage.", ("stage",), STAGE_BUCKETS),
    Declaration("pesto_wait_seconds", "histogram", "Time of one tile waiting for a stage.", ("stage",), STAGE_BUCKETS),
    Declaration("pesto_tile_age_seconds", "histogram", "Event time (else record time) to confirmed result.", (), AGE_BUCKETS),
    Declaration("pesto_in_flight_records", "gauge", "Records received and not settled."),
    Declaration("pesto_in_flight_bytes", "gauge", "Bytes in flight: records, decoded tiles, results."),
    Declaration("pesto_in_flight_limit_bytes", "gauge", "Bytes in flight above which no records are taken."),
    Declaration("pesto_paused", "gauge", "1 while the partitions are paused because the bytes in flight are at their limit."),
    Declaration("pesto_assigned_partitions", "gauge", "Partitions assigned to this member."),
    Declaration("pesto_consumer_lag_records", "gauge", "End of the partition minus committed offset.", ("topic", "partition")),
    Declaration("pesto_rebalances_total", "counter", "Assignments that changed.", ("event",)),
    Declaration("pesto_commits_total", "counter", "Offset commits.", ("result",)),
    Declaration("pesto_requests_total", "counter", "Processing requests over HTTP.", ("outcome",)),
    Declaration("pesto_open_requests", "gauge", "Processing requests over HTTP that are being worked on."),
    Declaration("pesto_fetched_images_total", "counter", "Images read from URLs.", ("scheme", "result")),
    Declaration("pesto_fetched_bytes_total", "counter", "Bytes read from URLs.", ("scheme",)),
)


class Metrics:
    """The metrics of one runtime, in a registry of their own. A name that is not declared is a KeyError at the first use."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Gauge | Histogram] = {d.name: self._build(d) for d in DECLARATIONS}

    def _build(self, declared: Declaration) -> Counter | Gauge | Histogram:
        if declared.kind == "histogram":
            return Histogram(declared.name, declared.help, declared.labels, buckets=declared.buckets, registry=self.registry)
        if declared.kind == "counter":
            return Counter(declared.name, declared.help, declared.labels, registry=self.registry)
        return Gauge(declared.name, declared.help, declared.labels, registry=self.registry)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        metric = self._metrics[name]
        (metric.labels(**labels) if labels else metric).inc(amount)  # type: ignore[union-attr]

    def set(self, name: str, value: float, **labels: str) -> None:
        metric = self._metrics[name]
        (metric.labels(**labels) if labels else metric).set(value)  # type: ignore[union-attr]

    def observe(self, name: str, value: float, **labels: str) -> None:
        metric = self._metrics[name]
        (metric.labels(**labels) if labels else metric).observe(value)  # type: ignore[union-attr]

    def forget(self, name: str) -> None:
        """Drop all labelled values of a gauge, before they are set anew."""
        self._metrics[name].clear()

    def value(self, name: str, **labels: str) -> float:
        """The present value of a counter or gauge (of a histogram: name it with `_count` or `_sum`); 0 where it has none yet."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def exposition(self) -> bytes:
        """The text of the /metrics page."""
        return generate_latest(self.registry)


def table() -> Iterator[str]:
    """The docs' table, as Markdown lines."""
    yield "| metric | kind | labels | meaning |"
    yield "|---|---|---|---|"
    for d in DECLARATIONS:
        labels = ", ".join(f"`{label}`" for label in d.labels)
        yield f"| `{d.name}` | {d.kind} | {labels} | {d.help} |"
