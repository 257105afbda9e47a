"""PESTO's processing API beside a real Kafka: one runtime that answers HTTP clients and processes records at the same time."""

import base64
import contextlib
import json
import os
import subprocess
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from rasterio.io import MemoryFile
from support.conversation import Conversation
from support.member import Member
from support.pesto_itself import NoPesto, pesto_environment
from support.projects import IMAGE, IMAGES, METADATA, NUMBER, STRING, a_project
from support.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # PNG knows no place

PROCESS = """
    import threading
    import time

    class Process:
        lock = threading.Lock()

        def process(self, image, gain=None, wait=None):
            assert self.lock.acquire(blocking=False), "two calls at once"
            try:
                time.sleep(wait or 0)
                return {
                    "image": image * image.dtype.type(gain or 1),
                    "halves": [image[:, :, :2], image[:, :, 2:]],
                    "mean": float(image.mean()),
                    "label": "seen",
                    "about": {"bands": int(image.shape[0])},
                }
            finally:
                self.lock.release()
"""
INPUTS = {"image": IMAGE, "gain": NUMBER, "wait": NUMBER}
OUTPUTS = {"image": IMAGE, "halves": IMAGES, "mean": NUMBER, "label": STRING, "about": METADATA}
PIXELS = np.arange(12, dtype="uint8").reshape(1, 3, 4)
JSON = "application/json"

PESTOS_CLIENT = """
import json, sys
from pesto.common.testing.endpoint_manager import EndpointManager

manager = EndpointManager(sys.argv[1])
assert manager.is_alive
print("DESCRIBED " + json.dumps(manager.describe))
print("RESULT " + json.dumps(manager.process(json.load(sys.stdin))))
"""
"""What `pesto test` does with a service."""


def png(pixels=PIXELS):
    with MemoryFile() as memory:
        shape = {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2]}
        with memory.open(driver="PNG", dtype=pixels.dtype, **shape) as file:
            file.write(pixels)
        return base64.b64encode(memory.read()).decode()


def pixels_of(data):
    with MemoryFile(data) as memory, memory.open() as file:
        return file.read()


def payload(gain, **more):
    return {"image": png(), "gain": gain, **more}


@contextlib.contextmanager
def serving(kafka, folder, *, asynchronous=False, **settings):
    project = a_project(
        folder,
        process=PROCESS,
        inputs=INPUTS,
        outputs=OUTPUTS,
        name="gain",
        description={"asynchronous": asynchronous, "description": "multiplies", "family": "test"},
        files={"pesto/api/config.json": {"zoom": 3}},
    )
    with (
        Conversation(kafka) as talk,
        Member(project, folder, kafka, group=talk.group, topics=talk.topics, **{"http__process": True, **settings}) as member,
    ):
        member.wait_assigned()
        with httpx.Client(base_url=member.url, trust_env=False, timeout=60) as client:
            yield talk, member, client


@pytest.fixture(scope="module")
def synchronous(kafka, tmp_path_factory):
    with serving(kafka, tmp_path_factory.mktemp("synchronous")) as served:
        yield served


@pytest.fixture(scope="module")
def asynchronous(kafka, tmp_path_factory):
    with serving(kafka, tmp_path_factory.mktemp("asynchronous"), asynchronous=True) as served:
        yield served


def test_records_and_requests_are_processed_by_one_runtime_at_once(synchronous):
    talk, member, client = synchronous
    before = talk.committed()
    answers = {}

    def ask(gain):
        answers[gain] = client.post("/api/v1/process", json=payload(gain))

    marks = {gain: talk.send(json.dumps(payload(gain)).encode(), JSON) for gain in range(1, 21)}
    threads = [threading.Thread(target=ask, args=(gain,)) for gain in range(1, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for gain, answer in answers.items():
        assert (answer.status_code, answer.json()["mean"]) == (200, 5.5)
        np.testing.assert_array_equal(pixels_of(base64.b64decode(answer.json()["image"])), PIXELS * gain)
    for gain, mark in marks.items():
        value = json.loads(talk.result(mark).value())
        np.testing.assert_array_equal(pixels_of(base64.b64decode(value["image"])), PIXELS * gain)
    wait_until(lambda: talk.committed() == before + 20, "the records to be committed, and nothing for the requests")
    assert member.metric("pesto_dead_letters_total") == 0
    assert member.metric("pesto_open_requests") == 0


def test_an_invalid_request_is_answered_400_and_is_no_dead_letter(synchronous):
    talk, member, client = synchronous
    before = len(talk.everything())
    for bad, said in (
        ({"gain": 2}, "input 'image' is missing"),
        ({"image": "!"}, "image"),
        ({"image": png(), "gian": 1}, "gian"),
    ):
        answer = client.post("/api/v1/process", json=bad, headers={"X-Correlation-ID": "c-7"})
        assert (answer.status_code, answer.json()["correlationId"]) == (400, "c-7")
        assert said in answer.json()["message"]
    assert client.post("/api/v1/process", content=b"{", headers={"content-type": JSON}).status_code == 400
    assert len(talk.everything()) == before
    assert member.metric("pesto_dead_letters_total") == 0


def test_links_name_only_what_is_served_and_each_of_them_is(synchronous):
    _, member, client = synchronous
    links = client.get("/api/v1/describe").json()["_links"]
    assert set(links) == {"self", "execution", "config", "version", "health"}
    for link in links.values():
        assert link["href"].startswith(member.url)
        asked = client.request(link["method"], link["href"], **({"json": payload(1)} if link["method"] == "POST" else {}))
        assert asked.status_code == 200
    assert client.get(links["config"]["href"]).json() == {"zoom": 3}
    assert (
        client.get("/api/v1/asyncapi").json()["channels"]["input"]["address"]
        == member.command[member.command.index("--input-topic") + 1]
    )


def test_a_job_runs_beside_records(asynchronous):
    talk, member, client = asynchronous
    mark = talk.send(json.dumps(payload(3)).encode(), JSON)
    status = client.post("/api/v1/process", json=payload(2)).json()["link"]
    assert status.startswith(f"{member.url}/api/v1/jobs/")
    wait_until(lambda: client.get(status).json()["status"] == "DONE", "the job to be done")
    links = client.get(client.get(status).json()["link"]).json()
    assert set(links) == set(OUTPUTS)
    np.testing.assert_array_equal(pixels_of(client.get(links["image"]).content), PIXELS * 2)
    np.testing.assert_array_equal(pixels_of(client.get(links["halves"][1]).content), PIXELS[:, :, 2:])
    assert json.loads(talk.result(mark).value())["mean"] == 5.5
    assert client.delete(status.removesuffix("/status")).status_code == 204
    assert client.get(status).status_code == 404


def test_a_drain_finishes_the_request_that_is_being_worked_on(kafka, tmp_path):
    with serving(kafka, tmp_path) as (_, member, client):
        answers = []
        asking = threading.Thread(target=lambda: answers.append(client.post("/api/v1/process", json=payload(2, wait=2))))
        asking.start()
        wait_until(lambda: member.metric("pesto_open_requests") == 1, "the request to be let in")
        wait_until(lambda: member.status()["stages"]["algorithm"]["oldest_seconds"], "the algorithm to begin")
        assert member.stop() == 0
        asking.join()
        assert [answer.status_code for answer in answers] == [200]


def test_more_requests_than_are_let_in_are_answered_429(kafka, tmp_path):
    with serving(kafka, tmp_path, http__max_requests=1) as (_, member, client):
        asking = threading.Thread(target=lambda: client.post("/api/v1/process", json=payload(2, wait=2)))
        asking.start()
        wait_until(lambda: member.metric("pesto_open_requests") == 1, "the request to be let in")
        refused = client.post("/api/v1/process", json=payload(1))
        assert (refused.status_code, refused.headers["retry-after"], refused.json()["hint"]) == (429, "1", "TooManyRequests")
        asking.join()
        assert client.post("/api/v1/process", json=payload(1)).status_code == 200


def test_without_the_setting_there_is_no_processing_api(kafka, tmp_path):
    with serving(kafka, tmp_path, http__process=False) as (_, _, client):
        assert client.post("/api/v1/process", json=payload(1)).status_code == 404
        assert client.get("/api/v1/config").status_code == 404
        assert set(client.get("/api/v1/describe").json()["_links"]) == {"self", "version", "health"}


@pytest.fixture(scope="module")
def pestos_client():
    """Ask a service as PESTO 1.7.2's own tests do; what it described itself as, and the result."""
    try:
        python = pesto_environment() / "bin" / "python"
    except NoPesto as reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))

    def ask(url, request):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [python, "-c", PESTOS_CLIENT, url],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("DESCRIBED", "RESULT")))
        return json.loads(said["DESCRIBED"]), json.loads(said["RESULT"])

    return ask


def test_pestos_own_client_reads_a_synchronous_service(synchronous, pestos_client):
    _, member, _ = synchronous
    described, result = pestos_client(member.url, payload(2))
    assert described["_links"]["execution"]["href"] == f"{member.url}/api/v1/process"
    assert described["_links"]["execution"]["type"].startswith("Complex type")
    assert (result["mean"], result["label"], result["about"]) == (5.5, "seen", {"bands": 1})
    np.testing.assert_array_equal(pixels_of(base64.b64decode(result["image"])), PIXELS * 2)
    assert len(result["halves"]) == 2


def test_pestos_own_client_reads_an_asynchronous_service(asynchronous, pestos_client):
    _, member, _ = asynchronous
    _, result = pestos_client(member.url, payload(2))
    assert (result["mean"], result["label"], result["about"]) == (5.5, "seen", {"bands": 1})
    written = Path(result["image"]).read_bytes()  # PESTO's client writes images to files
    np.testing.assert_array_equal(pixels_of(written), PIXELS * 2)
    assert len(result["halves"]) == 2
