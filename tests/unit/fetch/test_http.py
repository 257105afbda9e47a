"""HTTP reading against servers on loopback ports."""

from __future__ import annotations

import gzip
import socket

import httpcore
import numpy as np
import pytest
from support import images, web

from pesto_stream.clock import SystemClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import FetchRefused, ImageError, StoreUnavailable
from pesto_stream.fetch.connect import CheckedBackend, Current
from pesto_stream.fetch.policy import Policy
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.tile import Window

PIXELS = images.ramp(3, 40, 50)


@pytest.fixture
def source_of():
    """Builds a source that may read from the given servers (or prefixes); closes it at the end."""
    made = []

    def build(*allow, limits: Limits | None = None, **settings) -> UrlImageSource:
        prefixes = [entry if isinstance(entry, str) else entry.url() for entry in allow]
        urls = Urls(allow=prefixes, **({"allow_private": True, "timeout_seconds": 20} | settings))
        made.append(UrlImageSource(urls, limits or Limits(), Metrics(), SystemClock()))
        return made[-1]

    yield build
    for source in made:
        source.close()


def test_a_whole_image_is_read_in_one_request_and_counted(source_of):
    data = images.geotiff(PIXELS)
    with web.serving({"/scene/a.tif": data}) as server:
        source = source_of(server)
        tile, media_type = source.read(server.url("/scene/a.tif"))
    assert media_type == "image/tiff"
    assert np.array_equal(tile.array, PIXELS)
    assert tile.crs == "EPSG:32631"
    assert [request.range for request in server.requests] == [None]
    assert source._metrics.value("pesto_fetched_images_total", scheme="http", result="ok") == 1
    assert source._metrics.value("pesto_fetched_bytes_total", scheme="http") == len(data)


def test_a_window_of_a_cog_is_read_by_ranges_without_the_rest(source_of):
    pixels = np.random.default_rng(1).integers(0, 60_000, (3, 1024, 1024)).astype("uint16")
    data = images.cog(pixels, blocksize=256)
    with web.serving({"/big.tif": data}) as server:
        source = source_of(server)
        tile, _ = source.read(server.url("/big.tif"), Window(600, 520, 100, 80))
    assert np.array_equal(tile.array, pixels[:, 520:600, 600:700])
    assert tile.transform == (10.0, 0.0, 506_000.0, 0.0, -10.0, 4_994_800.0)
    assert len(server.requests) == 2
    assert all(request.range for request in server.requests)
    assert server.sent < len(data) / 8


def test_a_window_over_a_directory_at_the_end_of_the_file_takes_few_requests(source_of):
    pixels = np.random.default_rng(1).integers(0, 60_000, (1, 512, 512)).astype("uint16")
    data = images.move_directory_to_end(images.geotiff(pixels, tiled=True, blockxsize=64, blockysize=64))
    with web.serving({"/plain.tif": data}) as server:
        tile, _ = source_of(server).read(server.url("/plain.tif"), Window(100, 100, 60, 60))
    assert np.array_equal(tile.array, pixels[:, 100:160, 100:160])
    assert len(server.requests) <= 4
    assert server.sent < len(data) / 2


def test_a_server_without_ranges_gives_the_whole_image_once(source_of):
    with web.serving({"/a.tif": images.geotiff(PIXELS)}, ranges=False) as server:
        tile, _ = source_of(server).read(server.url("/a.tif"), Window(5, 6, 7, 8))
    assert np.array_equal(tile.array, PIXELS[:, 6:14, 5:12])
    assert len(server.requests) == 1


def test_a_window_outside_of_the_image_is_refused(source_of):
    with (
        web.serving({"/a.tif": images.geotiff(PIXELS)}) as server,
        pytest.raises(ImageError, match="not inside the image of 50 x 40"),
    ):
        source_of(server).read(server.url("/a.tif"), Window(45, 0, 10, 10))


def test_a_file_that_changes_between_ranges_is_refused(source_of):
    pixels = np.random.default_rng(1).integers(0, 60_000, (1, 512, 512)).astype("uint16")
    data = images.cog(pixels, blocksize=128)

    def page(handler, request):
        first, last = (int(n) for n in request.range.removeprefix("bytes=").split("-"))
        tag = f'"{len(handler.server.requests)}"'
        piece = data[first : last + 1]
        handler.answer(request, 206, piece, {"Content-Range": f"bytes {first}-{first + len(piece) - 1}/{len(data)}", "ETag": tag})

    with web.serving({"/a.tif": page}) as server, pytest.raises(FetchRefused, match="changed while it was read"):
        source_of(server).read(server.url("/a.tif"), Window(300, 300, 100, 100))


def test_a_url_outside_of_the_allow_list_is_refused_before_any_request(source_of):
    with web.serving({"/secret/a.tif": images.geotiff(PIXELS)}) as server:
        source = source_of(server.url("/data/"))
        with pytest.raises(FetchRefused, match=r"add 'http://127.0.0.1:\d+/secret/' to urls.allow"):
            source.read(server.url("/data/../secret/a.tif"))
    assert server.requests == []
    assert source._metrics.value("pesto_fetched_images_total", scheme="http", result="refused") == 1


def test_a_private_address_is_refused_before_any_connection(source_of):
    with web.serving({"/a.tif": images.geotiff(PIXELS)}) as server:
        source = source_of(server, allow_private=False)
        with pytest.raises(FetchRefused, match=r"'127.0.0.1' is private.*urls.allow_private"):
            source.read(server.url("/a.tif"))
    assert server.requests == []


def test_redirects_are_followed_within_the_allow_list(source_of):
    pages = {"/a": web.redirect("/b"), "/b": web.redirect("c.tif", 307), "/c.tif": images.geotiff(PIXELS)}
    with web.serving(pages) as server:
        tile, _ = source_of(server).read(server.url("/a"))
    assert np.array_equal(tile.array, PIXELS)


def test_a_window_behind_a_redirect_asks_the_last_address_for_its_ranges(source_of):
    pixels = np.random.default_rng(1).integers(0, 60_000, (1, 512, 512)).astype("uint16")
    with web.serving({"/a": web.redirect("/b.tif"), "/b.tif": images.cog(pixels, blocksize=128)}) as server:
        tile, _ = source_of(server).read(server.url("/a"), Window(300, 300, 100, 100))
    assert np.array_equal(tile.array, pixels[:, 300:400, 300:400])
    assert [request.path for request in server.requests].count("/a") == 1


def test_a_redirect_out_of_the_allow_list_is_refused(source_of):
    with web.serving({"/a.tif": images.geotiff(PIXELS)}) as other:
        page = web.redirect(other.url("/a.tif"))
        with web.serving({"/a": page}) as server, pytest.raises(FetchRefused, match=r"cannot follow the redirect.*not allowed"):
            source_of(server).read(server.url("/a"))
        assert other.requests == []


def test_a_redirect_to_a_private_address_is_refused_though_its_name_is_allowed():
    policy = Policy(["http://public.example/", "http://inside.example/"], allow_private=False)
    names = {"public.example": ["93.184.216.34"], "inside.example": ["93.184.216.34", "10.0.0.7"]}
    backend = CheckedBackend(policy, Current(), lambda host, port: names[host])
    with pytest.raises(FetchRefused, match=r"'inside.example': its address '10.0.0.7' is private"):
        backend.connect_tcp("inside.example", 80, timeout=1)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://host/x", "gopher://host/", "s3://bucket/key"])
def test_a_redirect_to_another_scheme_is_refused(source_of, location):
    with web.serving({"/a": web.redirect(location)}) as server, pytest.raises(FetchRefused, match="redirects to another scheme"):
        source_of(server, "file:///etc/").read(server.url("/a"))


def test_a_redirect_loop_ends(source_of):
    with web.serving({"/a": web.redirect("/b"), "/b": web.redirect("/a")}) as server:
        with pytest.raises(FetchRefused, match="more than 3 redirects"):
            source_of(server, max_redirects=3).read(server.url("/a"))
        assert len(server.requests) == 4


def test_a_redirect_to_nowhere_is_refused(source_of):
    page = lambda handler, request: handler.answer(request, 302, b"")  # noqa: E731
    with web.serving({"/a": page}) as server, pytest.raises(FetchRefused, match="redirect to nowhere"):
        source_of(server).read(server.url("/a"))


@pytest.mark.parametrize(
    "page", [web.dripping(b"II*\0"), web.dripping_headers(), web.silent()], ids=["body", "headers", "nothing"]
)
def test_a_slow_server_is_refused_when_the_time_of_the_image_is_over(source_of, page):
    with web.serving({"/a": page}) as server, pytest.raises(FetchRefused, match="too slow"):
        source_of(server, timeout_seconds=0.3).read(server.url("/a"))


def test_an_endless_body_is_refused_at_the_limit(source_of):
    limits, words = Limits(max_encoded_bytes=1 << 20), r"the limit is 1048576 \(limits.max_encoded_mib\)"
    with web.serving({"/a": web.endless(b"II*\0")}) as server, pytest.raises(FetchRefused, match=words):
        source_of(server, limits=limits).read(server.url("/a"))


def test_an_announced_length_over_the_limit_is_refused_before_the_body(source_of):
    with (
        web.serving({"/a": web.lying(b"II*\0", 1 << 40)}) as server,
        pytest.raises(FetchRefused, match="1099511627776 bytes announced"),
    ):
        source_of(server).read(server.url("/a"))


def test_a_body_that_ends_before_its_announced_length_is_refused_after_a_second_try(source_of):
    data = images.geotiff(PIXELS)
    with web.serving({"/a": web.lying(data[:1000], len(data))}) as server:
        with pytest.raises(FetchRefused, match="ends early"):
            source_of(server).read(server.url("/a"))
        assert len(server.requests) == 2


def test_a_compressed_body_is_refused_not_inflated(source_of):
    bomb = gzip.compress(bytes(50 << 20))
    with web.serving({"/a": web.encoded(bomb, "gzip")}) as server:
        with pytest.raises(FetchRefused, match="encoded as 'gzip'"):
            source_of(server).read(server.url("/a"))
        assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("code", "words"), [(404, "not there"), (403, "denied"), (410, "gone"), (401, "credentials"), (418, "418"), (204, "204")]
)
def test_an_answer_without_an_image_is_a_dead_letter(source_of, code, words):
    with web.serving({"/a": web.status(code)}) as server, pytest.raises(FetchRefused, match=words):
        source_of(server).read(server.url("/a"))


@pytest.mark.parametrize("code", [500, 502, 503, 429])
def test_a_server_in_trouble_is_trouble_outside(source_of, code):
    with web.serving({"/a": web.status(code)}) as server:
        source = source_of(server)
        with pytest.raises(StoreUnavailable, match=str(code)):
            source.read(server.url("/a"))
        assert source._metrics.value("pesto_fetched_images_total", scheme="http", result="unavailable") == 1


def test_a_refused_connection_is_trouble_outside(source_of):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(StoreUnavailable, match="ConnectError"):
            source_of(url).read(url + "a.tif")


def test_a_name_that_does_not_resolve_is_trouble_outside(source_of):
    with pytest.raises(StoreUnavailable, match=r"cannot resolve host 'no-such-host.invalid'"):
        source_of("http://no-such-host.invalid/").read("http://no-such-host.invalid/a.tif")


def test_the_connection_goes_to_the_address_that_was_checked():
    with web.serving({"/": b"x"}) as server:
        asked = []
        backend = CheckedBackend(
            Policy([], allow_private=True), Current(), lambda host, port: asked.append(host) or ["127.0.0.1"]
        )
        with httpcore.ConnectionPool(network_backend=backend) as pool:
            assert pool.request("GET", f"http://name.invalid:{server.port}/").status == 200
        assert asked == ["name.invalid"]


def test_answers_that_are_no_http_are_refused(source_of):
    def page(handler, request):
        handler.close_connection = True
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    with web.serving({"/a": page}) as server, pytest.raises(FetchRefused, match="not valid"):
        source_of(server).read(server.url("/a"))


def test_a_wrong_content_type_does_not_matter_the_signature_does(source_of):
    page = lambda handler, request: handler.answer(request, 200, images.geotiff(PIXELS), {"Content-Type": "image/png"})  # noqa: E731
    with web.serving({"/a": page}) as server:
        assert source_of(server).read(server.url("/a"))[1] == "image/tiff"


def test_an_image_that_cannot_be_read_names_its_url_without_secrets(source_of):
    with web.serving({"/a": b"<html>login</html>"}) as server, pytest.raises(ImageError) as caught:
        source_of(server).read(server.url("/a?X-Amz-Signature=5ecret"))
    assert "5ecret" not in str(caught.value)
    assert "/a?X-Amz-Signature=***" in str(caught.value)


def test_proxies_of_the_environment_are_not_used(source_of, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    with web.serving({"/a": images.geotiff(PIXELS)}) as server:
        assert source_of(server).read(server.url("/a"))[1] == "image/tiff"


def test_connections_are_kept_and_a_closed_one_is_replaced(source_of):
    with web.serving({"/a": images.geotiff(PIXELS)}) as server:
        source = source_of(server)
        for _ in range(3):
            source.read(server.url("/a"))
        assert len(server.requests) == 3


@pytest.mark.parametrize("value", ["bytes 0-9/*", "nonsense", "bytes 5-9/100"])
def test_a_range_answer_that_is_another_one_is_refused(source_of, value):
    page = lambda handler, request: handler.answer(request, 206, b"II*\0" + bytes(6), {"Content-Range": value})  # noqa: E731
    with web.serving({"/a": page}) as server, pytest.raises(FetchRefused, match=r"range|Content-Range"):
        source_of(server).read(server.url("/a"), Window(0, 0, 1, 1))
