"""Requests beside records in one runtime: the real loop, stages, pipeline, budget and converters, on the broker in memory."""

import threading

import orjson
import pytest
from support.harness import Runtime
from support.waiting import wait_until

from pesto_stream.errors import (
    AlgorithmError,
    DeviceLost,
    NotServing,
    SchemaError,
    StoreUnavailable,
    TooManyRequests,
)
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.gateway import BODIES_SHARE, Gateway, GatewayLimits

HEADERS = (("content-type", b"application/json"), ("ce_correlationid", b"c-1"))


class Both(Runtime):
    """A runtime with a gateway."""

    def __init__(self, function, *, max_requests=8, **options):
        super().__init__(function, **options)
        self.gateway = Gateway(
            self.pipeline,
            self.workers.submit,
            self.budget,
            self.clock,
            self.metrics,
            GatewayLimits(max_requests),
            lambda: self.board.state is RunState.RUNNING,
        )
        self.processor._requests = lambda: self.gateway.jobs

    def __enter__(self):
        super().__enter__()
        self.until(lambda: self.board.state is RunState.RUNNING, "the runtime to run")
        return self

    def ask(self, value, **image):
        exchange = self.gateway.admit()
        body = orjson.dumps({"value": value, **image})
        exchange.take(len(body))
        return exchange, exchange.submit(body, HEADERS)

    def count(self, outcome):
        samples = (s for m in self.metrics.registry.collect() for s in m.samples if s.name == "pesto_requests_total")
        return sum(s.value for s in samples if s.labels["outcome"] == outcome)

    def holds_nothing(self):
        self.until(
            lambda: (self.budget.bytes, self.budget._unfolded, self.gateway._bodies, len(self.gateway._open)) == (0, 0, 0, 0), "0"
        )


def double(invocation):
    return {"value": 2 * invocation.inputs["value"]}


class Gate:
    """An algorithm that stops at the values it is told to hold, until it is opened."""

    def __init__(self, *held):
        self.held, self.opened, self.begun = set(held), threading.Event(), []

    def __call__(self, invocation):
        self.begun.append(invocation.inputs["value"])
        if invocation.inputs["value"] in self.held:
            assert self.opened.wait(60)
        return double(invocation)


def test_a_request_is_answered_and_no_ledger_topic_or_offset_hears_of_it():
    with Both(double) as runtime:
        exchange, answer = runtime.ask(21)
        assert orjson.loads(answer.result(30)) == {"value": 42}
        exchange.end()
        runtime.holds_nothing()
        assert runtime.results() == []
        assert runtime.dead_letters() == []
        assert runtime.ledger.in_flight == 0
        assert runtime.count("answered") == 1


def test_records_and_requests_are_done_by_the_same_threads_one_call_at_a_time():
    calls, most = [], []
    lock = threading.Lock()

    def counted(invocation):
        with lock:
            calls.append(1)
            most.append(len(calls))
        outputs = double(invocation)
        with lock:
            calls.pop()
        return outputs

    with Both(counted, max_requests=100) as runtime:
        asked = []
        for number in range(40):
            runtime.send({"value": number})
            asked.append(runtime.ask(1000 + number))
        assert [orjson.loads(answer.result(30))["value"] for _, answer in asked] == [2000 + 2 * n for n in range(40)]
        for exchange, _ in asked:
            exchange.end()
        runtime.until(lambda: runtime.committed() == 40, "all records to be committed")
        runtime.holds_nothing()
    assert sorted(runtime.results()) == [2 * n for n in range(40)]
    assert max(most) == 1


def test_a_request_waits_its_turn_behind_the_records_that_came_before_it():
    gate = Gate(0)
    with Both(gate) as runtime:
        for number in range(5):
            runtime.send({"value": number})
        runtime.until(lambda: gate.begun, "the first record to begin")
        runtime.until(lambda: runtime.workers.queued()["algorithm"] == 4, "the others to queue")
        exchange, answer = runtime.ask(99)
        gate.opened.set()
        answer.result(30)
        exchange.end()
    assert gate.begun == [0, 1, 2, 3, 4, 99]


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"{", "DecodeError"), (b"{}", "SchemaError"), (b'{"value": "x"}', "SchemaError"), (b"\xff", "DecodeError")],
)
def test_an_invalid_request_fails_alone(body, error):
    with Both(double) as runtime:
        exchange = runtime.gateway.admit()
        exchange.take(len(body))
        failure = exchange.submit(body, HEADERS).exception(30)
        exchange.end()
        assert type(failure).__name__ == error
        runtime.holds_nothing()
        assert runtime.dead_letters() == []
        assert runtime.count("failed") == 1


def test_an_algorithm_that_fails_and_a_store_that_is_down_are_told_and_nothing_is_retried():
    def fail(invocation):
        raise AlgorithmError("ValueError: no")

    with Both(fail) as runtime:
        exchange, answer = runtime.ask(1)
        assert isinstance(answer.exception(30), AlgorithmError)
        exchange.end()
        runtime.holds_nothing()

    from support.harness import NoImages

    source = NoImages(StoreUnavailable("the store is down"))
    with Both(double, source=source) as runtime:
        exchange, answer = runtime.ask(1, image="http://x/y.tif")
        assert isinstance(answer.exception(30), StoreUnavailable)
        exchange.end()
        runtime.holds_nothing()
        assert source.reads == 1


def test_a_lost_device_ends_the_runtime_and_the_request_is_told_when_it_closes():
    def lose(invocation):
        raise DeviceLost("the GPU is gone")

    with Both(lose) as runtime:
        exchange, answer = runtime.ask(1)
        assert isinstance(runtime.ended(), DeviceLost)
        runtime.gateway.close()
        assert isinstance(answer.exception(30), NotServing)
        exchange.end()


def test_more_requests_than_are_let_in_are_refused_until_one_has_ended():
    gate = Gate(1)
    with Both(gate, max_requests=2) as runtime:
        first, answer = runtime.ask(1)
        second = runtime.gateway.admit()
        with pytest.raises(TooManyRequests, match=r"http\.max_requests"):
            runtime.gateway.admit()
        second.end()
        runtime.gateway.admit().end()
        gate.opened.set()
        answer.result(30)
        first.end()
        runtime.holds_nothing()
        assert runtime.count("refused") == 1


def test_bodies_may_hold_a_share_of_the_budget_and_no_more():
    with Both(double, limit_bytes=1000) as runtime:
        exchange = runtime.gateway.admit()
        exchange.take(int(1000 * BODIES_SHARE))
        with pytest.raises(TooManyRequests, match=r"memory\.in_flight_mib"):
            exchange.take(1)
        exchange.end()
        runtime.holds_nothing()


def test_a_request_that_nobody_waits_for_is_dropped_unless_it_has_begun():
    gate = Gate(1)
    with Both(gate) as runtime:
        begun, first = runtime.ask(1)
        runtime.until(lambda: gate.begun, "the first to begin")
        waiting, second = runtime.ask(2)
        waiting.end()
        begun.end()
        gate.opened.set()
        assert isinstance(second.exception(30), NotServing)
        assert isinstance(first.exception(30), NotServing)
        runtime.holds_nothing()
        assert gate.begun == [1]
        assert runtime.count("dropped") == 2


def test_a_drain_waits_for_requests_and_lets_no_more_in():
    gate = Gate(1)
    with Both(gate) as runtime:
        exchange, answer = runtime.ask(1)
        queued, later = runtime.ask(2)
        runtime.until(lambda: gate.begun, "the first to begin")
        runtime.processor.request_stop()
        runtime.until(lambda: runtime.board.state is RunState.DRAINING, "the drain")
        with pytest.raises(NotServing):
            runtime.gateway.admit()
        gate.opened.set()
        assert orjson.loads(answer.result(30)) == {"value": 2}
        assert orjson.loads(later.result(30)) == {"value": 4}
        exchange.end()
        queued.end()
        assert runtime.ended() is None


def test_a_request_over_the_algorithms_time_is_told_and_the_runtime_starts_afresh():
    gate = Gate(1)
    with Both(gate, algorithm_timeout_seconds=0.05, drain_seconds=0.2) as runtime:
        exchange, answer = runtime.ask(1)
        assert type(answer.exception(30)).__name__ == "AlgorithmTimeout"
        assert "starts afresh" in str(runtime.ended())
        gate.opened.set()
        exchange.end()
        wait_until(lambda: not runtime.gateway._open, "the exchange to be forgotten")


def test_before_the_runtime_runs_and_after_it_closed_nothing_is_let_in():
    runtime = Both(double)
    with pytest.raises(NotServing, match="starting"):
        runtime.gateway.admit()
    with runtime:
        runtime.gateway.close()
        with pytest.raises(NotServing):
            runtime.gateway.admit()


def test_a_request_whose_body_came_while_the_runtime_stopped_is_told():
    with Both(double) as runtime:
        exchange = runtime.gateway.admit()
        runtime.processor.request_stop()
        assert runtime.ended() is None
        runtime.gateway.close()
        assert isinstance(exchange.submit(b"{}", HEADERS).exception(30), NotServing)
        exchange.end()
        runtime.holds_nothing()


def test_the_correlation_id_is_the_events_attribute():
    seen = []

    def look(invocation):
        seen.append(invocation.context.attributes["correlationid"])
        return double(invocation)

    with Both(look) as runtime:
        exchange, answer = runtime.ask(1)
        answer.result(30)
        exchange.end()
    assert seen == ["c-1"]


def test_a_failed_request_is_logged_with_its_correlation_id(caplog):
    with Both(double) as runtime:
        exchange = runtime.gateway.admit()
        failure = exchange.submit(b"{}", HEADERS).exception(30)
        exchange.end()
    assert isinstance(failure, SchemaError)
    assert "request_failed" in caplog.text
    assert "c-1" in caplog.text
