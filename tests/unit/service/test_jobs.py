"""PESTO's jobs: the store's bounds, the parts of a result, and the pages on a real socket."""

import base64
import contextlib
import uuid

import httpx
import orjson
import pytest
from support.exchanges import PROPERTIES, HandEngine, a_processing
from support.waiting import wait_until

from pesto_stream.clock import ManualClock
from pesto_stream.errors import AlgorithmError, SchemaError, TooManyRequests
from pesto_stream.metrics import Metrics
from pesto_stream.service.http import Documents, Sidecar
from pesto_stream.service.jobs import JobLimits, JobState, JobStore
from pesto_stream.service.results import Part, Results, results_of

PNG = b"\x89PNG\r\n\x1a\n rest"
TIFF = b"II*\0 rest"
JOBS = "/api/v1/jobs"


def b64(data):
    return base64.b64encode(data).decode()


RESULT = orjson.dumps(
    {
        "mask": b64(PNG),
        "tiles": [b64(TIFF), b64(b"\xff\xd8\xff")],
        "coverage": 0.5,
        "label": "klar ä",
        "zone": {"a": 1},
        "more": None,
    }
)


def of_size(size):
    return Results({"x": Part("text/plain", b"x" * size)}, {"x": "x"})


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return JobStore(JobLimits(max_jobs=3, max_bytes=100, max_seconds=60.0), clock.now)


def test_ids_are_random_uuids(store):
    ids = {store.add().id for _ in range(3)}
    assert len(ids) == 3
    assert {uuid.UUID(one).version for one in ids} == {4}


def test_a_new_job_takes_the_place_of_the_oldest_that_is_done(store):
    first, second, _ = (store.add() for _ in range(3))
    store.finish(second, of_size(1))
    store.finish(first, of_size(1))
    store.add()
    assert store.get(second.id) is None
    assert store.get(first.id) is first


def test_where_all_jobs_run_no_other_is_taken(store):
    for _ in range(3):
        store.add()
    with pytest.raises(TooManyRequests, match=r"http\.max_jobs"):
        store.add()


def test_results_make_room_for_newer_ones_by_bytes(store):
    first, second = store.add(), store.add()
    store.finish(first, of_size(60))
    store.finish(second, of_size(60))
    assert store.get(first.id) is None
    assert store.get(second.id).state is JobState.DONE


def test_a_result_over_all_that_may_be_kept_fails_its_job_and_spares_the_others(store):
    first, second = store.add(), store.add()
    store.finish(first, of_size(60))
    store.finish(second, of_size(101))
    assert second.state is JobState.FAILED
    assert "http.jobs_mib" in str(second.error)
    assert store.get(first.id) is first


def test_what_has_ended_is_forgotten_after_its_time_and_what_runs_is_not(store, clock):
    done, running = store.add(), store.add()
    store.finish(done, of_size(1))
    clock.advance(59)
    assert store.get(done.id) is done
    clock.advance(1)
    assert store.ids() == [running.id]


def test_a_removed_job_is_stopped_and_its_late_end_brings_nothing_back(store):
    job, stops = store.add(), []
    job.cancel = lambda: stops.append(1)
    store.remove(job)
    store.finish(job, of_size(1))
    store.fail(job, AlgorithmError("late"))
    assert (store.ids(), stops) == ([], [1])


def test_a_result_comes_apart_into_files_texts_and_json():
    results = results_of(RESULT, PROPERTIES)
    assert results.parts == {
        "mask": Part("image/png", PNG),
        "tiles0": Part("image/tiff", TIFF),
        "tiles1": Part("image/jpeg", b"\xff\xd8\xff"),
        "coverage": Part("application/json", b"0.5"),
        "label": Part("text/plain; charset=utf-8", "klar ä".encode()),
        "zone": Part("application/json", b'{"a":1}'),
    }
    assert results.layout == {name: name for name in ("mask", "coverage", "label", "zone")} | {"tiles": ["tiles0", "tiles1"]}
    assert results.size == sum(len(part.body) for part in results.parts.values())


def test_an_output_called_like_an_image_of_a_list_hides_neither():
    value = orjson.dumps({"tiles0": 1, "tiles": [b64(PNG)]})
    results = results_of(value, PROPERTIES)
    assert results.layout == {"tiles0": "tiles0", "tiles": ["tiles0_"]}
    assert results.parts["tiles0_"].body == PNG


class Running:
    def __init__(self, client, engine):
        self.client, self.engine = client, engine

    def begin(self):
        """The id of a new job."""
        link = self.client.post("/api/v1/process", json={"image": "x"}).json()["link"]
        root = f"http://127.0.0.1:{self.client.base_url.port}{JOBS}"
        assert link.startswith(f"{root}/")
        assert link.endswith("/status")
        return link.removeprefix(f"{root}/").removesuffix("/status")

    def status(self, job):
        return self.client.get(f"{JOBS}/{job}/status").json()

    def until(self, job, status):
        wait_until(lambda: self.status(job)["status"] == status, f"the job to be {status}")


@contextlib.contextmanager
def serving(respond=None, **limits):
    engine = HandEngine(respond)
    api = a_processing(engine, asynchronous=True, **limits)
    sidecar = Sidecar(
        "127.0.0.1", 0, snapshot=lambda: None, metrics=Metrics(), documents=Documents({}, {}, {}, {}), processing=api
    )
    sidecar.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{sidecar.port}", trust_env=False, timeout=20) as client:
            yield Running(client, engine)
    finally:
        sidecar.stop()
    assert [one.ends > 0 for one in engine.asked] == [True] * len(engine.asked)


def test_a_job_runs_from_its_link_to_its_outputs():
    with serving() as served:
        job = served.begin()
        assert served.status(job) == {"status": "RUNNING", "progress": 0}
        missing = served.client.get(f"{JOBS}/{job}/results")
        assert (missing.status_code, "still running" in missing.json()["message"]) == (404, True)
        served.engine.asked[0].answer.set_result(RESULT)
        served.until(job, "DONE")
        root = f"http://127.0.0.1:{served.client.base_url.port}{JOBS}"
        assert served.status(job) == {"status": "DONE", "progress": 100, "link": f"{root}/{job}/results"}
        links = served.client.get(f"{JOBS}/{job}/results").json()
        assert links["tiles"] == [f"{root}/{job}/results/tiles0", f"{root}/{job}/results/tiles1"]
        mask = served.client.get(links["mask"])
        assert (mask.content, mask.headers["content-type"]) == (PNG, "image/png")
        assert served.client.get(links["coverage"]).json() == 0.5
        assert served.client.get(links["label"]).text == "klar ä"
        assert served.client.get(JOBS).json() == {job: {"link": f"{root}/{job}/status"}}


@pytest.mark.parametrize(("error", "status"), [(SchemaError("input 'image' is missing"), 400), (AlgorithmError("no"), 500)])
def test_a_job_that_failed_says_why(error, status):
    with serving(lambda asked: error) as served:
        job = served.begin()
        served.until(job, "FAILED")
        assert served.status(job)["message"] == str(error)
        results = served.client.get(f"{JOBS}/{job}/results")
        assert (results.status_code, results.json()["message"]) == (status, str(error))


def test_a_result_that_cannot_be_taken_apart_fails_its_job(caplog):
    with serving(lambda asked: b'{"mask": "no base64!"}') as served:
        job = served.begin()
        served.until(job, "FAILED")
        assert "unexpected" in served.status(job)["message"]


def test_a_deleted_job_is_gone_and_its_request_given_up():
    with serving() as served:
        job = served.begin()
        response = served.client.delete(f"{JOBS}/{job}")
        assert (response.status_code, response.content) == (204, b"")
        wait_until(lambda: served.engine.asked[0].ends, "the exchange to end")
        assert served.client.get(f"{JOBS}/{job}/status").status_code == 404
        assert served.client.get(JOBS).json() == {}


def test_a_deleted_result_is_gone_and_the_others_are_not():
    with serving(lambda asked: RESULT) as served:
        job = served.begin()
        served.until(job, "DONE")
        assert served.client.delete(f"{JOBS}/{job}/results/tiles0").json() == {}
        assert served.client.delete(f"{JOBS}/{job}/results/mask").json() == {}
        assert served.client.delete(f"{JOBS}/{job}/results/mask").status_code == 404
        links = served.client.get(f"{JOBS}/{job}/results").json()
        assert sorted(links) == ["coverage", "label", "tiles", "zone"]
        assert [link.rsplit("/", 1)[1] for link in links["tiles"]] == ["tiles1"]


@pytest.mark.parametrize("path", ["", "/status", "/results", "/results/mask"])
@pytest.mark.parametrize("job", ["nobody", "c4707589-3b75-4532-904a-b0570ce92e5f", "x" * 500])
def test_an_unknown_job_is_404(path, job):
    with serving() as served:
        response = served.client.request("DELETE" if path in ("", "/results/mask") else "GET", f"{JOBS}/{job}{path}")
        assert (response.status_code, "no job is called" in response.json()["message"]) == (404, True)


def test_a_job_over_the_number_that_is_remembered_is_429_and_holds_nothing():
    with serving(job_limits=JobLimits(1, 1000, 60.0)) as served:
        served.begin()
        response = served.client.post(JOBS, json={})
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        wait_until(lambda: served.engine.asked[1].ends, "the exchange to end")
        served.engine.asked[0].answer.set_result(b"{}")


def test_a_stop_gives_up_jobs_that_run():
    with serving() as served:
        served.begin()
