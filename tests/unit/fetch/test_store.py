"""S3 against moto's server in a child process; Google Cloud Storage as far as it goes without an emulator."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import obstore
import pytest
from obstore.store import S3Store
from support import images, web

from pesto_stream.clock import SystemClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import FetchRefused, StoreUnavailable
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.tile import Window

PIXELS = images.ramp(3, 40, 50)
BIG = np.random.default_rng(1).integers(0, 60_000, (3, 1024, 1024)).astype("uint16")
KEYS = {"s3_access_key_id": "testing", "s3_secret_access_key": "5ecret-key"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def endpoint():
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port, server)
            url = f"http://127.0.0.1:{port}"
            urllib.request.urlopen(urllib.request.Request(f"{url}/tiles", method="PUT"), timeout=20).close()
            fill(url)
            yield url
        finally:
            server.terminate()
            server.wait(20)


def wait_for(port: int, server: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.poll() is None, "moto's server ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("moto's server did not start")


def fill(url: str) -> None:
    config = {"endpoint": url, "region": "us-east-1", "access_key_id": "testing", "secret_access_key": "testing"}
    store = S3Store("tiles", config=config, client_options={"allow_http": True})
    obstore.put(store, "scene/a.tif", images.geotiff(PIXELS))
    obstore.put(store, "scene/with+plus=and@.tif", images.geotiff(PIXELS))
    obstore.put(store, "scene/big.tif", images.cog(BIG, blocksize=256))
    obstore.put(store, "secret/a.tif", images.geotiff(PIXELS))


def source_of(endpoint: str, limits: Limits | None = None, **settings) -> UrlImageSource:
    urls = Urls(**({"allow": ["s3://tiles/scene", "s3://none/"], "s3_endpoint": endpoint} | KEYS | settings))
    return UrlImageSource(urls, limits or Limits(), Metrics(), SystemClock())


@pytest.mark.parametrize("key", ["a.tif", "with+plus=and@.tif"])
def test_an_object_is_read(endpoint, key):
    source = source_of(endpoint)
    tile, media_type = source.read(f"s3://tiles/scene/{key}")
    assert media_type == "image/tiff"
    assert np.array_equal(tile.array, PIXELS)
    assert source._metrics.value("pesto_fetched_images_total", scheme="s3", result="ok") == 1


def test_a_window_of_an_object_is_read_by_ranges(endpoint):
    source = source_of(endpoint)
    tile, _ = source.read("s3://tiles/scene/big.tif", Window(600, 520, 100, 80))
    assert np.array_equal(tile.array, BIG[:, 520:600, 600:700])
    assert source._metrics.value("pesto_fetched_bytes_total", scheme="s3") < BIG.nbytes / 8


def test_an_object_outside_of_the_allow_list_is_refused(endpoint):
    with pytest.raises(FetchRefused, match=r"add 's3://tiles/secret/' to urls.allow"):
        source_of(endpoint).read("s3://tiles/secret/a.tif")


@pytest.mark.parametrize("url", ["s3://tiles/scene/none.tif", "s3://none/a.tif"])
@pytest.mark.parametrize("window", [None, Window(0, 0, 1, 1)])
def test_a_missing_object_or_bucket_is_refused(endpoint, url, window):
    with pytest.raises(FetchRefused, match="not there"):
        source_of(endpoint).read(url, window)


def test_an_object_over_the_limit_is_refused(endpoint):
    with pytest.raises(FetchRefused, match="limit is 1000"):
        source_of(endpoint, Limits(max_encoded_bytes=1000)).read("s3://tiles/scene/a.tif")


def test_a_store_that_is_down_is_trouble_outside():
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        source_of(f"http://127.0.0.1:{free_port()}", timeout_seconds=5).read("s3://tiles/scene/a.tif")
    assert "5ecret" not in str(caught.value)


def test_a_denied_object_is_refused():
    with web.serving({"/tiles/scene/a.tif": web.status(403)}) as server, pytest.raises(FetchRefused, match="denied"):
        source_of(server.url("").rstrip("/")).read("s3://tiles/scene/a.tif")


def test_a_silent_store_ends_with_the_time_of_the_image():
    with web.serving({"/tiles/scene/a.tif": web.silent()}) as server, pytest.raises((FetchRefused, StoreUnavailable)):
        source_of(server.url("").rstrip("/"), timeout_seconds=0.3).read("s3://tiles/scene/a.tif")


def test_public_buckets_are_read_without_a_signature():
    with web.serving({"/tiles/scene/a.tif": images.geotiff(PIXELS)}) as server:
        settings = {"s3_anonymous": True, "s3_access_key_id": None, "s3_secret_access_key": None}
        tile, _ = source_of(server.url("").rstrip("/"), **settings).read("s3://tiles/scene/a.tif")
    assert np.array_equal(tile.array, PIXELS)
    assert "authorization" not in server.requests[0].headers


@pytest.fixture
def google(tmp_path):
    """What Google's object endpoint answers to a GET; the account file says that no token is needed."""
    account = tmp_path / "account.json"
    account.write_text('{"disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}')
    with web.serving(
        {"/tiles/scene/a.tif": images.geotiff(PIXELS), "/tiles/scene/big.tif": images.cog(BIG, blocksize=256)}
    ) as server:
        settings = Urls(allow=["gs://tiles/scene"], gs_service_account_file=str(account), gs_endpoint=server.url("").rstrip("/"))
        yield UrlImageSource(settings, Limits(), Metrics(), SystemClock()), server


def test_a_google_object_is_read_whole_or_by_window(google):
    source, server = google
    assert np.array_equal(source.read("gs://tiles/scene/a.tif")[0].array, PIXELS)
    tile, _ = source.read("gs://tiles/scene/big.tif", Window(600, 520, 100, 80))
    assert np.array_equal(tile.array, BIG[:, 520:600, 600:700])
    assert server.sent < BIG.nbytes / 8


def test_google_objects_go_through_the_allow_list(google):
    source, server = google
    with pytest.raises(FetchRefused, match="add 'gs://tiles/secret/'"):
        source.read("gs://tiles/secret/a.tif")
    with pytest.raises(FetchRefused, match="not there"):
        source.read("gs://tiles/scene/none.tif")
    assert all("/secret/" not in request.path for request in server.requests)
