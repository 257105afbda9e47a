import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pesto_stream.errors import ConfigurationError
from pesto_stream.metrics import Metrics
from pesto_stream.model.snapshot import PartitionSnapshot, RecentError, RunState, Snapshot
from pesto_stream.service import http as sidecar_module
from pesto_stream.service.http import Documents, Sidecar

RUNNING = Snapshot(
    state=RunState.RUNNING,
    state_since="2026-01-01T00:00:00Z",
    algorithm_loaded=True,
    broker_connected=True,
    loop_idle_seconds=0.1,
    loop_stuck_after_seconds=600.0,
    partitions=(PartitionSnapshot("tiles", 0, in_flight=1, committed=7, lag=3),),
    recent_errors=(RecentError("2026-01-01T00:00:01Z", "ImageError", "decode", "cannot read", "tiles[0]@6"),),
)
PATHS = [
    "/api/v1/health",
    "/api/v1/describe",
    "/api/v1/version",
    "/api/v1/openapi",
    "/api/v1/asyncapi",
    "/api/v1/status",
    "/healthz/startup",
    "/healthz/live",
    "/healthz/ready",
    "/metrics",
]


class Running:
    """A sidecar, a client for it, and the snapshot that it shows."""

    def __init__(self):
        self.snapshot = RUNNING
        self.metrics = Metrics()
        documents = Documents(
            describe=lambda: {"name": "cloud", "input": MappingProxyType({"type": "object"})},
            version={"version": "1.2"},
            openapi={"openapi": "3.1.0"},
            asyncapi={"asyncapi": "3.0.0"},
        )
        self.sidecar = Sidecar("127.0.0.1", 0, snapshot=lambda: self.snapshot, metrics=self.metrics, documents=documents)

    def get(self, path):
        return self.client.get(path)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.sidecar.port), timeout=20)


@contextmanager
def running():
    served = Running()
    served.sidecar.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{served.sidecar.port}", trust_env=False, timeout=20) as served.client:
            yield served
    finally:
        served.sidecar.stop()


@pytest.fixture(scope="module")
def shared():
    with running() as served:
        yield served


@pytest.fixture
def served(shared):
    shared.snapshot = RUNNING
    return shared


def send_for_ever(connection):
    while True:
        connection.sendall(b"x" * 65536)


def read_all(connection):
    """Until the other side closes or aborts."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def test_health_is_ok_as_pesto_s_even_when_nothing_else_is(served):
    served.snapshot = replace(RUNNING, state=RunState.STOPPED, failure="x", timed_out="y", algorithm_loaded=False)
    response = served.get("/api/v1/health")
    assert (response.status_code, response.text) == (200, "OK")
    assert response.headers["content-type"].startswith("text/plain")


def test_the_documents_are_served_as_json(served):
    assert served.get("/api/v1/describe").json() == {"name": "cloud", "input": {"type": "object"}}
    assert served.get("/api/v1/version").json() == {"version": "1.2"}
    assert served.get("/api/v1/asyncapi").json() == {"asyncapi": "3.0.0"}
    response = served.get("/api/v1/openapi")
    assert response.json() == {"openapi": "3.1.0"}
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("question", ["startup", "live", "ready"])
def test_a_well_member_answers_200_with_no_reasons(served, question):
    response = served.get(f"/healthz/{question}")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "reasons": []})


@pytest.mark.parametrize(
    ("question", "change", "reason"),
    [
        ("startup", {"algorithm_loaded": False}, "the algorithm is not loaded"),
        ("live", {"loop_idle_seconds": 601.0}, "the loop has not turned for 601.0 s, over its limit of 600.0 s"),
        ("ready", {"state": RunState.DRAINING}, "the runtime is draining"),
    ],
)
def test_a_verdict_of_no_is_503_with_its_reasons(served, question, change, reason):
    served.snapshot = replace(RUNNING, **change)
    response = served.get(f"/healthz/{question}")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable", "reasons": [reason]})


def test_the_status_is_that_of_the_moment(served):
    assert served.get("/api/v1/status").json()["state"] == "running"
    served.snapshot = replace(RUNNING, state=RunState.DRAINING)
    answer = served.get("/api/v1/status").json()
    assert answer["state"] == "draining"
    assert answer["assignment"][0]["lag"] == 3
    assert answer["errors"][0]["position"] == "tiles[0]@6"


def test_metrics_are_in_prometheus_text_format(served):
    served.metrics.count("pesto_records_received_total", 3)
    response = served.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert families["pesto_records_received"].samples[0].value == 3


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_as_get_without_the_body(served, path):
    head, get = served.client.head(path), served.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_no_other_method_is_allowed(served, method, path):
    response = served.client.request(method, path)
    assert (response.status_code, response.json()) == (405, {"message": "method not allowed"})
    assert {name.strip() for name in response.headers["allow"].split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/", "/metrics/", "/api/v1/process", "/healthz", "/docs", "/%2e%2e/etc/passwd", "/metrics%00"])
def test_an_unknown_path_is_404_and_redirects_nowhere(served, path):
    response = served.get(path)
    assert (response.status_code, response.json()) == (404, {"message": "not found"})


@pytest.mark.parametrize("path", PATHS)
def test_answers_do_not_name_the_server_and_allow_no_other_origin(served, path):
    headers = served.client.get(path, headers={"Origin": "http://elsewhere"}).headers
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers["x-content-type-options"] == "nosniff"


def test_a_snapshot_that_fails_is_500_without_details_and_the_server_goes_on(served, caplog):
    served.snapshot = None
    response = served.get("/api/v1/status")
    assert (response.status_code, response.json()) == (500, {"message": "internal error; the log says more"})
    served.snapshot = RUNNING
    assert served.get("/api/v1/status").status_code == 200
    assert "AttributeError" in caplog.text


def test_a_body_is_not_read(served):
    with served.connect() as connection:
        connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_headers_over_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(sidecar_module, "EXCHANGE_SECONDS", 1000.0)
    with running() as served, served.connect() as connection:
        connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nX: " + b"a" * (2 * sidecar_module.MAX_HEADER_BYTES))
        assert read_all(connection)[:12] in (b"HTTP/1.1 400", b"")


def test_what_is_no_http_is_refused_and_not_logged(served, caplog):
    with served.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400")
    assert "Invalid HTTP" not in caplog.text


def test_a_client_that_never_ends_its_request_is_dropped(monkeypatch):
    monkeypatch.setattr(sidecar_module, "EXCHANGE_SECONDS", 0.05)
    with running() as served, served.connect() as connection:
        connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost:")
        assert read_all(connection) == b""


def test_a_client_that_goes_on_sending_a_body_is_dropped(monkeypatch):
    monkeypatch.setattr(sidecar_module, "EXCHANGE_SECONDS", 0.05)
    with running() as served, served.connect() as connection:
        connection.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        with pytest.raises(ConnectionError):
            send_for_ever(connection)


def test_idle_connections_do_not_keep_a_probe_out(monkeypatch):
    monkeypatch.setattr(sidecar_module, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(sidecar_module, "EXCHANGE_SECONDS", 1000.0)
    with running() as served:
        idle = [served.connect() for _ in range(12)]
        assert served.get("/healthz/live").status_code == 200
        assert read_all(idle[0]) == b""
        for connection in idle:
            connection.close()


def test_a_taken_port_is_a_configuration_error_that_names_it(served):
    port = served.sidecar.port
    second = Sidecar("127.0.0.1", port, snapshot=lambda: RUNNING, metrics=Metrics(), documents=Documents({}, {}, {}, {}))
    with pytest.raises(ConfigurationError, match=rf"cannot listen on '127.0.0.1:{port}'.*http\.port"):
        second.start()
    second.stop()


def test_an_address_of_another_machine_is_a_configuration_error():
    sidecar = Sidecar("192.0.2.1", 0, snapshot=lambda: RUNNING, metrics=Metrics(), documents=Documents({}, {}, {}, {}))
    with pytest.raises(ConfigurationError, match=r"cannot listen on '192.0.2.1:0'.*http\.host"):
        sidecar.start()


def test_stop_leaves_no_thread_and_frees_the_port():
    before = set(threading.enumerate())
    with running() as served:
        port = served.sidecar.port
        assert served.get("/api/v1/health").status_code == 200
    assert set(threading.enumerate()) == before
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_stop_does_not_wait_for_a_client_that_is_silent():
    before = set(threading.enumerate())
    with running() as served:
        connection = served.connect()
        connection.sendall(b"GET /api/v1/hea")
        assert served.get("/api/v1/health").status_code == 200
    assert set(threading.enumerate()) == before
    connection.close()


def test_stop_may_be_called_twice_and_before_start():
    sidecar = Running().sidecar
    sidecar.stop()
    sidecar.start()
    sidecar.stop()
    sidecar.stop()


def test_it_may_be_started_again():
    sidecar = Running().sidecar
    for _ in range(2):
        sidecar.start()
        assert httpx.get(f"http://127.0.0.1:{sidecar.port}/api/v1/health", trust_env=False).text == "OK"
        sidecar.stop()


def test_it_works_from_a_thread_that_is_not_the_main_one():
    answers = []

    def work():
        with running() as served:
            answers.append(served.get("/api/v1/health").text)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == ["OK"]


def test_it_answers_while_algorithms_compute_in_pure_python(served):
    done = threading.Event()
    computed = []

    def compute():
        value = 0
        while not done.is_set():
            for number in range(10_000):
                value = (value * 31 + number) % 1_000_003
        computed.append(value)

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert [served.get(path).status_code for path in PATHS] == [200] * len(PATHS)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(computed) == 2


def test_threads_that_compute_give_way_quickly_while_it_runs_and_only_then():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.004)
    try:
        with running():
            assert sys.getswitchinterval() == pytest.approx(sidecar_module.SWITCH_SECONDS)
        assert sys.getswitchinterval() == pytest.approx(0.004)
    finally:
        sys.setswitchinterval(before)
