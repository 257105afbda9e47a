import http.server
import json
import threading

import pytest
from support.builders import a_spec

from pesto_stream.errors import AuthorizationFailed, DecodeError, FatalError, StoreUnavailable
from pesto_stream.serde.avro_codec import AvroReader, AvroWriter
from pesto_stream.serde.avro_schema import avro_schemas

SCHEMA = avro_schemas(a_spec())["output"]


def registry(url="mock://here", **more):
    from pesto_stream.broker.kafka_registry import KafkaSchemaRegistry

    return KafkaSchemaRegistry(url, **more)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.headers.get("Authorization"))
        body = json.dumps(self.server.answer[1]).encode()
        self.send_response(self.server.answer[0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the base class's way of naming

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen, made.answer = [], (200, {})
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def at(server):
    return f"http://127.0.0.1:{server.server_port}"


def test_what_is_registered_is_found_by_its_id_and_read_back():
    here = registry()
    written = AvroWriter(SCHEMA, here, "out-value").write(
        {"mask": ("pesto.EncodedImage", {"data": b"x", "media_type": "image/png"})}
    )
    assert written[:1] == b"\0"
    value, written_by = AvroReader(SCHEMA, here).read(written)
    assert value == {"mask": {"data": b"x", "media_type": "image/png"}}
    assert written_by == f"registry id {int.from_bytes(written[1:5], 'big')}"
    here.close()


def test_an_unknown_id_is_the_records_fault():
    with pytest.raises(DecodeError, match=r"read schema id '404'.*answered '404'"):
        registry().schema_by_id(404)


def test_a_registry_that_does_not_answer_is_trouble_outside(server):
    nobody = registry(f"http://127.0.0.1:{server.server_port}", timeout_seconds=5)
    server.answer = (503, {"error_code": 50302, "message": "try later"})
    with pytest.raises(StoreUnavailable, match="answered '503'"):
        nobody.schema_by_id(1)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        registry("http://127.0.0.1:1", timeout_seconds=5).schema_by_id(1)


def test_the_credentials_are_sent_and_a_refusal_of_them_stops(server):
    server.answer = (401, {"error_code": 401, "message": "who are you"})
    with pytest.raises(AuthorizationFailed, match=r"schema_registry\.username") as caught:
        registry(at(server), username="me", password="hidden").schema_by_id(1)
    assert server.seen == ["Basic bWU6aGlkZGVu"]
    assert "hidden" not in str(caught.value)


def test_an_incompatible_schema_stops(server):
    server.answer = (409, {"error_code": 409, "message": "not compatible"})
    with pytest.raises(FatalError, match=r"subject 'out-value'.*not compatible"):
        registry(at(server)).register("out-value", SCHEMA)


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": "{}", "schemaType": "JSON"},
        {"schema": "{"},
        {"schema": "[" * 100_000},
        {"schema": " " * (2 << 20)},
        {"schema": '"string"', "references": [{"name": "a", "subject": "b", "version": 1}]},
    ],
)
def test_a_schema_that_cannot_be_taken_is_the_records_fault(server, answer):
    server.answer = (200, answer)
    with pytest.raises(DecodeError, match="schema id '5'"):
        registry(at(server)).schema_by_id(5)
