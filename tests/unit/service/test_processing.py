"""PESTO's POST /api/v1/process on a real socket; the runtime behind it is answered by hand."""

import contextlib
import socket
import threading

import httpx
import pytest
from support.exchanges import HandEngine, a_processing
from support.waiting import wait_until

from pesto_stream.errors import (
    AlgorithmError,
    AlgorithmTimeout,
    EncodeError,
    EnvelopeError,
    FetchRefused,
    NotServing,
    SchemaError,
    StoreUnavailable,
    TooManyRequests,
    UnexpectedError,
)
from pesto_stream.metrics import Metrics
from pesto_stream.service import http as sidecar_module
from pesto_stream.service.http import Documents, Sidecar

PROCESS = "/api/v1/process"


@contextlib.contextmanager
def serving(engine, **processing):
    documents = Documents({"_links": {"self": {"href": "/api/v1/describe"}}}, {}, {}, {})
    api = a_processing(engine, **processing)
    sidecar = Sidecar("127.0.0.1", 0, snapshot=lambda: None, metrics=Metrics(), documents=documents, processing=api)
    sidecar.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{sidecar.port}", trust_env=False, timeout=20) as client:
            yield client
    finally:
        sidecar.stop()


def connect(client):
    return socket.create_connection(("127.0.0.1", client.base_url.port), timeout=20)


def read_all(connection):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def ended_once(engine):
    wait_until(lambda: [one.ends for one in engine.asked] == [1] * len(engine.asked), "every exchange to end once")


def test_the_answer_is_the_result_as_it_came_from_the_engine():
    engine = HandEngine(lambda asked: b'{"coverage":0.5}')
    with serving(engine) as client:
        response = client.post(PROCESS, json={"image": "QUJD"})
        assert (response.status_code, response.json()) == (200, {"coverage": 0.5})
        assert response.headers["content-type"] == "application/json"
        assert engine.asked[0].body == b'{"image":"QUJD"}'
        assert engine.asked[0].headers["content-type"] == "application/json"
        assert engine.asked[0].taken == len(engine.asked[0].body)
        ended_once(engine)


def test_a_large_answer_arrives_whole():
    engine = HandEngine(lambda asked: b"x" * 3_000_001)
    with serving(engine) as client:
        assert client.post(PROCESS, json={"a": 1}).content == b"x" * 3_000_001
        ended_once(engine)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SchemaError("input 'image' is missing"), 400),
        (FetchRefused("'http://x' may not be read"), 400),
        (EnvelopeError("e"), 400),
        (AlgorithmError("ValueError: no"), 500),
        (AlgorithmTimeout("too long"), 500),
        (EncodeError("output 'x' is missing"), 500),
        (UnexpectedError("bug", "decode"), 500),
        (StoreUnavailable("the store is down"), 503),
        (NotServing("stopping"), 503),
    ],
)
def test_an_error_of_the_engine_has_its_status_and_a_body_that_says_it(error, status):
    engine = HandEngine(lambda asked: error)
    with serving(engine) as client:
        response = client.post(PROCESS, json={}, headers={"X-Correlation-ID": "job-7"})
        body = response.json()
        assert (response.status_code, body["message"], body["hint"]) == (status, str(error), type(error).__name__)
        assert body["correlationId"] == response.headers["x-correlation-id"] == "job-7"
        assert body["timestamp"].endswith("Z")
        assert ("retry-after" in response.headers) == (status == 503)
        ended_once(engine)


@pytest.mark.parametrize(("error", "status"), [(TooManyRequests("full"), 429), (NotServing("starting"), 503)])
def test_a_request_that_is_not_let_in_is_told_when_to_try_again(error, status):
    engine = HandEngine()
    engine.refuse = error
    with serving(engine) as client:
        response = client.post(PROCESS, json={})
        assert (response.status_code, response.headers["retry-after"], response.json()["message"]) == (status, "1", str(error))


def test_before_there_is_a_runtime_requests_are_answered_503():
    with serving(None) as client:
        response = client.post(PROCESS, json={})
        assert (response.status_code, response.json()["hint"]) == (503, "NotServing")


def test_the_correlation_id_goes_in_and_comes_back_and_a_bad_one_is_replaced():
    engine = HandEngine(lambda asked: b"{}")
    with serving(engine) as client:
        assert client.post(PROCESS, json={}, headers={"X-Correlation-ID": "abc"}).headers["x-correlation-id"] == "abc"
        assert engine.asked[0].headers["ce_correlationid"] == "abc"
        for bad in ("a b", "x" * 201):
            given = client.post(PROCESS, json={}, headers={"X-Correlation-ID": bad}).headers["x-correlation-id"]
            assert given == engine.asked[-1].headers["ce_correlationid"]
            assert given not in ("", bad)


def test_the_trace_goes_in():
    engine = HandEngine(lambda asked: b"{}")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with serving(engine) as client:
        client.post(PROCESS, json={}, headers={"traceparent": trace})
    assert engine.asked[0].headers["traceparent"] == trace


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_a_page_in_a_browser_may_send_unasked_is_refused(content_type):
    engine = HandEngine()
    with serving(engine) as client:
        headers = {"content-type": content_type} if content_type else {}
        response = client.post(PROCESS, content=b"{}", headers=headers)
        assert response.status_code == 415
        assert "expected 'application/json'" in response.json()["message"]
        assert engine.asked == []


def test_an_empty_body_is_an_invalid_request():
    engine = HandEngine()
    with serving(engine) as client:
        response = client.post(PROCESS, content=b"", headers={"content-type": "application/json"})
        assert (response.status_code, "the body is empty" in response.json()["message"]) == (400, True)
        ended_once(engine)


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_refused_before_it_is_kept(declared):
    engine = HandEngine()
    content = b"x" * 200_000 if declared else iter([b"x" * 50_000] * 4)
    with serving(engine, max_body_bytes=100_000) as client:
        response = client.post(PROCESS, content=content, headers={"content-type": "application/json"})
        assert response.status_code == 413
        assert "http.max_body_mib" in response.json()["message"]
        assert engine.asked[0].taken <= 200_000
        assert engine.asked[0].body == b""
        ended_once(engine)


def test_a_body_for_which_there_is_no_memory_is_refused_while_it_comes():
    engine = HandEngine()
    engine.full = TooManyRequests("the requests hold too much")
    with serving(engine) as client:
        assert client.post(PROCESS, json={"image": "x"}).status_code == 429
        ended_once(engine)


def test_a_client_that_never_ends_its_body_is_answered_408_and_cut_off():
    engine = HandEngine()
    with serving(engine, transfer_seconds=0.05) as client, connect(client) as slow:
        slow.sendall(
            b"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        assert read_all(slow).startswith(b"HTTP/1.1 408")
        ended_once(engine)


def test_a_client_that_goes_away_in_its_body_frees_its_place():
    engine = HandEngine()
    with serving(engine) as client:
        with connect(client) as leaving:
            leaving.sendall(
                b"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            wait_until(lambda: engine.asked and engine.asked[0].taken, "the body to begin")
        ended_once(engine)


def test_a_client_that_goes_away_while_its_request_is_worked_on_frees_its_place():
    engine = HandEngine()
    with serving(engine) as client:
        with connect(client) as leaving:
            leaving.sendall(
                b"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )
            wait_until(lambda: engine.asked and engine.asked[0].body, "the request to be submitted")
        ended_once(engine)


def test_a_client_that_does_not_take_its_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(sidecar_module, "EXCHANGE_SECONDS", 0.05)
    engine = HandEngine(lambda asked: b"x" * (64 << 20))
    with serving(engine, transfer_seconds=0.1) as client, connect(client) as slow:
        slow.sendall(b"POST /api/v1/process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        ended_once(engine)
        assert len(read_all(slow)) < 64 << 20


def test_a_request_may_take_longer_than_an_ordinary_exchange(monkeypatch):
    monkeypatch.setattr(sidecar_module, "EXCHANGE_SECONDS", 0.05)
    engine = HandEngine()
    with serving(engine) as client:
        answers = []
        asking = threading.Thread(target=lambda: answers.append(client.post(PROCESS, json={})))
        asking.start()
        wait_until(lambda: engine.asked and engine.asked[0].body, "the request to be submitted")
        with connect(client) as idle:
            assert read_all(idle) == b""  # an idle connection is dropped meanwhile
        engine.asked[0].answer.set_result(b"{}")
        asking.join()
    assert [answer.status_code for answer in answers] == [200]


def test_a_result_that_does_not_come_in_time_is_answered_504_and_given_up():
    engine = HandEngine()
    with serving(engine, timeout_seconds=0.05) as client:
        response = client.post(PROCESS, json={})
        assert (response.status_code, "http.timeout_seconds" in response.json()["message"]) == (504, True)
        ended_once(engine)


def test_other_pages_answer_while_requests_are_worked_on():
    engine = HandEngine()
    with serving(engine) as client:
        asking = [threading.Thread(target=lambda: client.post(PROCESS, json={})) for _ in range(4)]
        for thread in asking:
            thread.start()
        wait_until(lambda: len(engine.asked) == 4 and all(one.body for one in engine.asked), "all to be submitted")
        assert client.get("/api/v1/health").text == "OK"
        for one in engine.asked:
            one.answer.set_result(b"{}")
        for thread in asking:
            thread.join()


def test_the_configuration_is_served():
    with serving(HandEngine()) as client:
        assert client.get("/api/v1/config").json() == {"zoom": 3}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_process_is_for_posts_only(method):
    with serving(HandEngine()) as client:
        assert client.request(method, PROCESS).status_code == 405


def test_links_are_where_the_client_asked_or_where_the_operator_says():
    with serving(HandEngine()) as client:
        here = f"http://127.0.0.1:{client.base_url.port}"
        assert client.get("/api/v1/describe").json()["_links"]["self"]["href"] == f"{here}/api/v1/describe"
        odd = client.get("/api/v1/describe", headers={"Host": "evil/?x="}).json()["_links"]["self"]["href"]
        assert odd == f"{here}/api/v1/describe"
    with serving(HandEngine(), public_url="https://pesto.example/clouds/") as client:
        assert client.get("/api/v1/describe").json()["_links"]["self"]["href"] == "https://pesto.example/clouds/api/v1/describe"


def test_without_jobs_there_are_no_job_pages():
    with serving(HandEngine()) as client:
        assert client.get("/api/v1/jobs").status_code == 404
