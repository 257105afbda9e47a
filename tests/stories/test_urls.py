"""Images that a request only names, on a real Kafka: by HTTP and from an object store; missing, down, back again; no secret told."""

import base64
import contextlib
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support import images, web
from support.conversation import Conversation
from support.foreign import headers_of
from support.foreign_avro import read_single_object, schemas_of, single_object
from support.images import pixels_of
from support.member import Member
from support.projects import IMAGE, NUMBER, a_project
from support.relay import relaying
from support.s3 import object_store, presigned
from support.waiting import wait_until

JSON, AVRO = "application/json", "application/avro"
PROCESS = """
    class Process:
        def process(self, image, gain=None):
            return {"image": image * image.dtype.type(gain or 1)}
"""
SMALL = images.ramp(3, 20, 30)
BIG = np.random.default_rng(1).integers(0, 30_000, (2, 1024, 1024)).astype("uint16")
FILES = {"small.tif": images.geotiff(SMALL), "big.tif": images.cog(BIG, blocksize=256)}
WINDOW = {"column": 600, "row": 520, "width": 100, "height": 80}
SECRETS = {
    "PESTO_STREAM__URLS__S3_ACCESS_KEY_ID": "AKIDOFTHESTORY01",
    "PESTO_STREAM__URLS__S3_SECRET_ACCESS_KEY": "s3cret/OfTheStory",
}
PATIENT = {"retry__attempts": 1000, "retry__initial_seconds": 0.05, "retry__max_seconds": 0.2}


class World:
    """Two places with the same files, each behind a wire that can be cut, and members that may read from both."""

    def __init__(self, kafka, folder, site, wires):
        self.kafka, self.folder, self.site, self.wires = kafka, folder, site, wires
        self.project = a_project(folder, process=PROCESS, inputs={"image": IMAGE, "gain": NUMBER}, outputs={"image": IMAGE})
        self.schemas = schemas_of(self.project)
        self.settings = {
            "urls__allow": json.dumps([f"{wires['http'].url}/", "s3://tiles/scenes/", f"{wires['s3'].url}/tiles/scenes/"]),
            "urls__allow_private": True,
            "urls__s3_endpoint": wires["s3"].url,
        }
        self._keys = tuple(SECRETS.values())

    def url(self, scheme, name):
        return f"s3://tiles/scenes/{name}" if scheme == "s3" else f"{self.wires['http'].url}/{name}"

    def presigned(self, name):
        return presigned(self.wires["s3"].url, "tiles", f"scenes/{name}", *self._keys)

    @contextlib.contextmanager
    def member(self, talk, **settings):
        """A runtime on the topics of this conversation; the keys of the store come by environment, as they should."""
        runtime = Member(self.project, self.folder, self.kafka, group=talk.group, topics=talk.topics, **self.settings, **settings)
        with runtime.start(SECRETS):
            yield runtime.wait_ready()

    def whole(self, url, **more):
        return json.dumps({"image": url, **more}).encode(), JSON

    def window(self, url):
        image = ("pesto.ImageReference", {"url": url, "window": WINDOW})
        return single_object(self.schemas["input"], {"image": image, "gain": None}), AVRO

    def window_of(self, answer):
        _, image = read_single_object(self.schemas["output"], answer.value())["image"]
        return pixels_of(image["data"])


@pytest.fixture(scope="module")
def world(kafka, tmp_path_factory):
    with contextlib.ExitStack() as stack:
        store, site = (
            stack.enter_context(object_store()),
            stack.enter_context(web.serving({f"/{name}": data for name, data in FILES.items()})),
        )
        for name, data in FILES.items():
            store.put("tiles", f"scenes/{name}", data)
        wires = {"http": stack.enter_context(relaying(site.url().rstrip("/"))), "s3": stack.enter_context(relaying(store.url))}
        yield World(kafka, tmp_path_factory.mktemp("urls"), site, wires)


@pytest.fixture(scope="module")
def served(world):
    """A patient member, and who talks to it."""
    with Conversation(world.kafka) as talk, world.member(talk, **PATIENT) as member:
        yield talk, member


def small_of(answer):
    return pixels_of(base64.b64decode(json.loads(answer.value())["image"]))


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_whole_image_is_read_from_where_the_request_says(world, served, scheme):
    talk, _ = served

    answer = talk.result(talk.send(*world.whole(world.url(scheme, "small.tif"), gain=2)))

    np.testing.assert_array_equal(small_of(answer), SMALL * np.uint8(2))


def test_a_presigned_url_is_read_with_its_query(world, served):
    talk, _ = served

    answer = talk.result(talk.send(*world.whole(world.presigned("small.tif"))))

    np.testing.assert_array_equal(small_of(answer), SMALL)


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_window_of_a_cog_is_read_without_the_rest(world, served, scheme):
    talk, member = served
    name = f'pesto_fetched_bytes_total{{scheme="{scheme}"}}'
    before, asked = member.metric(name), len(world.site.requests)

    answer = talk.result(talk.send(*world.window(world.url(scheme, "big.tif"))))

    np.testing.assert_array_equal(world.window_of(answer), BIG[:, 520:600, 600:700])
    assert 0 < member.metric(name) - before < len(FILES["big.tif"]) / 8
    requests = world.site.requests[asked:]
    assert len(requests) == (2 if scheme == "http" else 0)
    assert all(request.range for request in requests)


def test_many_requests_share_a_connection(world, served):
    """By HTTP; moto's server closes its connections after each answer."""
    talk, _ = served
    talk.result(talk.send(*world.whole(world.url("http", "small.tif"))))
    before = world.wires["http"].connections

    for mark in [talk.send(*world.whole(world.url("http", "small.tif"))) for _ in range(10)]:
        talk.result(mark)

    assert world.wires["http"].connections == before


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_an_image_that_is_not_there_is_one_dead_letter_and_work_goes_on(world, served, scheme):
    talk, _ = served

    missing, good = (
        talk.send(*world.whole(world.url(scheme, "none.tif"))),
        talk.send(*world.whole(world.url(scheme, "small.tif"))),
    )

    letter = talk.dead_letter(missing)
    assert (letter["pesto_error_type"], letter["pesto_error_stage"], letter["pesto_attempts"]) == ("FetchRefused", "decode", "1")
    assert f"cannot read '{world.url(scheme, 'none.tif')}': it is not there" in letter["pesto_error_message"]
    talk.result(good)


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_store_that_comes_back_within_the_retries_gives_the_result(world, served, scheme):
    talk, member = served
    retries = member.metric("pesto_retries_total")
    world.wires[scheme].down()
    try:
        mark = talk.send(*world.whole(world.url(scheme, "small.tif")))
        wait_until(lambda: member.metric("pesto_retries_total") >= retries + 2, "two tries")
    finally:
        world.wires[scheme].up()

    np.testing.assert_array_equal(small_of(talk.result(mark)), SMALL)


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_promise_8_a_store_that_stays_away_ends_with_code_4_and_nothing_committed_or_dead(world, scheme):
    url = world.url(scheme, "small.tif")
    with Conversation(world.kafka) as talk:
        with world.member(talk, retry__attempts=3, retry__initial_seconds=0.05) as member:
            talk.result(talk.send(*world.whole(url)))
            wait_until(lambda: talk.committed() == 1, "the first commit")
            world.wires[scheme].down()
            try:
                marks = [talk.send(*world.whole(url)) for _ in range(3)]
                assert member.wait_end(60) == 4
            finally:
                world.wires[scheme].up()
        assert member.log.count('"event":"interrupted"') >= 3
        assert f"cannot read '{url}'" in member.log
        assert talk.committed() == 1
        assert len(talk.everything()) == 1

        with world.member(talk):
            for mark in marks:
                np.testing.assert_array_equal(small_of(talk.result(mark)), SMALL)


def test_no_secret_is_told_anywhere(world, served):
    talk, member = served
    url, missing = world.presigned("small.tif"), world.presigned("none.tif")
    talk.result(talk.send(*world.whole(url)))
    talk.dead_letter(talk.send(*world.whole(missing)))
    talk.dead_letter(talk.send(*world.window(world.url("s3", "none.tif"))))
    world.wires["s3"].down()
    try:
        retries = member.metric("pesto_retries_total")
        marks = [talk.send(*world.whole(each)) for each in (url, world.url("s3", "small.tif"))]
        wait_until(lambda: member.metric("pesto_retries_total") >= retries + 4, "tries of both")
        shown = {
            path: member.get(path).text
            for path in ("/metrics", *(f"/api/v1/{name}" for name in ("status", "describe", "openapi")))
        }
    finally:
        world.wires["s3"].up()
    for mark in marks:
        talk.result(mark)
    told = {**shown, "log": member.log, "headers": repr([headers_of(message) for message in talk.everything()]), **configs(world)}

    assert "X-Amz-Signature=***" in told["headers"], "the address itself is shown"
    assert "none.tif" in told["log"]
    query = [part.partition("=")[2] for part in itertools.chain(*(each.partition("?")[2].split("&") for each in (url, missing)))]
    secrets = {*SECRETS.values(), *(value for value in query if len(value) > 20)}
    assert len(secrets) >= 5, "two keys, a credential, two signatures"
    assert [(place, secret) for place, text in told.items() for secret in secrets if secret in text] == []


def configs(world):
    """What `pesto-stream config` prints, by format."""
    command = [sys.executable, "-m", "pesto_stream", "config", str(world.project), "--format"]
    found = {}
    for form in ("table", "json", "yaml"):
        done = subprocess.run(
            [*command, form], check=True, capture_output=True, text=True, timeout=60, env={**os.environ, **SECRETS}
        )
        found[form] = done.stdout + done.stderr
        assert "s3_secret_access_key" in done.stdout
        assert "***" in done.stdout
    return found
