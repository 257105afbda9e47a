"""HTTPS against a loopback server whose certificate is made in the test: whom we trust, whom we refuse, and in what words."""

import numpy as np
import pytest
from support import images, web
from support.relay import relaying
from support.s3 import REGION
from support.tls import Authority, secure, self_signed, serving_tls

from pesto_stream.clock import SystemClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ConfigurationError, FetchRefused, StoreUnavailable
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.tile import Window

PIXELS = images.ramp(3, 40, 50)
PAGES = {"/a.tif": images.geotiff(PIXELS)}
UNKNOWN = r"the server's certificate is refused: .*; name the file of its authority in urls.ca_file"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def source_of(tmp_path, authority):
    """Builds a source that trusts the authority (or none, or what `ca_file` says) and may read from localhost; closes it at the end."""
    made = []
    (tmp_path / "authority.pem").write_text(authority.pem)

    def build(*allow, trusting=True, **settings):
        given = {"ca_file": str(tmp_path / "authority.pem")} if trusting else {}
        urls = Urls(**{"allow": list(allow), "allow_private": True, "timeout_seconds": 20, **given, **settings})
        made.append(UrlImageSource(urls, Limits(), Metrics(), SystemClock()))
        return made[-1]

    yield build
    for source in made:
        source.close()


def test_a_server_whose_authority_is_in_the_ca_file_is_read_whole_and_by_window(source_of, authority):
    with serving_tls(PAGES, authority.certificate("localhost", "127.0.0.1")) as server:
        source = source_of(secure(server), secure(server, host="127.0.0.1"))
        whole, media_type = source.read(secure(server, "/a.tif"))
        part, _ = source.read(secure(server, "/a.tif", host="127.0.0.1"), Window(5, 6, 7, 8))
    assert media_type == "image/tiff"
    assert np.array_equal(whole.array, PIXELS)
    assert np.array_equal(part.array, PIXELS[:, 6:14, 5:12])
    assert source._metrics.value("pesto_fetched_images_total", scheme="https", result="ok") == 2


def test_one_of_several_authorities_in_the_ca_file_is_enough(source_of, authority, tmp_path):
    (tmp_path / "several.pem").write_text("erste für Tests\n" + Authority("another").pem + "second\n" + authority.pem)
    with serving_tls(PAGES, authority.certificate("localhost")) as server:
        source = source_of(secure(server), ca_file=str(tmp_path / "several.pem"))
        assert source.read(secure(server, "/a.tif"))[1] == "image/tiff"


def test_an_authority_of_the_systems_own_store_is_trusted_without_a_setting(source_of, authority, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with serving_tls(PAGES, authority.certificate("localhost")) as server:
        assert source_of(secure(server), trusting=False).read(secure(server, "/a.tif"))[1] == "image/tiff"


def refused(source_of, certificate, *, host="localhost", trusting=True):
    """The message of the refusal; nothing was asked."""
    with serving_tls(PAGES, certificate) as server:
        source = source_of(secure(server, host=host), trusting=trusting)
        url = secure(server, "/a.tif", host=host)
        with pytest.raises(FetchRefused) as caught:
            source.read(f"{url}?signature=5ecret")
        assert server.requests == []
    message = str(caught.value)
    assert message.startswith(f"cannot read '{url}?signature=***': the server's certificate is refused: ")
    assert "5ecret" not in message
    assert "_ssl.c" not in message
    return message


def test_a_self_signed_certificate_is_refused_and_the_setting_named(source_of):
    said = refused(source_of, self_signed("localhost"))
    assert "self-signed certificate; name the file of its authority in urls.ca_file" in said.replace("self signed", "self-signed")


def test_an_unknown_authority_is_refused_and_the_setting_named(source_of, authority):
    said = refused(source_of, authority.certificate("localhost"), trusting=False)
    assert "local issuer certificate; name the file of its authority in urls.ca_file" in said


@pytest.mark.parametrize(("host", "names"), [("localhost", ["elsewhere.example"]), ("127.0.0.1", ["localhost"])])
def test_a_certificate_for_another_name_is_refused(source_of, authority, host, names):
    said = refused(source_of, authority.certificate(*names), host=host)
    assert f"certificate is not valid for '{host}'" in said
    assert "urls.ca_file" not in said


def test_an_expired_certificate_is_refused(source_of, authority):
    said = refused(source_of, authority.certificate("localhost", days=(-30, -1)))
    assert said.endswith("certificate has expired")


def test_a_certificate_that_is_not_valid_yet_is_refused(source_of, authority):
    assert "not yet valid" in refused(source_of, authority.certificate("localhost", days=(1, 30)))


def test_a_redirect_from_https_to_http_is_refused_unless_the_list_allows_it(source_of, authority):
    with web.serving(PAGES) as plain:
        pages = {"/a.tif": web.redirect(plain.url("/a.tif", host="localhost"))}
        with serving_tls(pages, authority.certificate("localhost")) as server:
            url = secure(server, "/a.tif")
            with pytest.raises(FetchRefused, match=r"cannot follow the redirect of .* add 'http://localhost:\d+/' to urls.allow"):
                source_of(secure(server)).read(url)
            assert plain.requests == []
            tile, _ = source_of(secure(server), plain.url(host="localhost")).read(url)
    assert np.array_equal(tile.array, PIXELS)


def test_a_redirect_to_a_server_with_a_bad_certificate_is_refused(source_of, authority):
    with serving_tls(PAGES, self_signed("localhost")) as bad:
        pages = {"/a.tif": web.redirect(secure(bad, "/a.tif"))}
        with serving_tls(pages, authority.certificate("localhost")) as server:
            with pytest.raises(FetchRefused, match=UNKNOWN):
                source_of(secure(server), secure(bad)).read(secure(server, "/a.tif"))
            assert bad.requests == []


def test_one_connection_serves_many_images(source_of, authority):
    with serving_tls(PAGES, authority.certificate("localhost")) as server, relaying(server.url().rstrip("/")) as relay:
        url = f"https://localhost:{relay.port}/"
        source = source_of(url)
        for _ in range(5):
            source.read(f"{url}a.tif")
        assert len(server.requests) == 5
        assert relay.connections == 1


def test_a_port_that_speaks_no_tls_is_trouble_outside(source_of):
    with web.serving(PAGES) as server, pytest.raises(StoreUnavailable, match=r"cannot read 'https://localhost"):
        source_of(secure(server)).read(secure(server, "/a.tif"))


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\xff\xfe"]
)
def test_a_ca_file_without_a_certificate_is_a_configuration_error(source_of, tmp_path, content):
    (tmp_path / "bad.pem").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=r"cannot use urls.ca_file '.*bad.pem': it holds no certificate in PEM form"):
        source_of(ca_file=str(tmp_path / "bad.pem"))


def test_a_ca_file_that_is_not_there_is_a_configuration_error(source_of, tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read urls.ca_file '.*none.pem': No such file"):
        source_of(ca_file=str(tmp_path / "none.pem"))


KEYS = {"s3_access_key_id": "testing", "s3_secret_access_key": "5ecret-key", "s3_region": REGION}


def test_an_s3_endpoint_with_a_certificate_of_the_ca_file_is_read_over_one_connection(source_of, authority):
    pages = {"/tiles/a.tif": PAGES["/a.tif"]}
    with serving_tls(pages, authority.certificate("localhost")) as server, relaying(server.url().rstrip("/")) as relay:
        source = source_of("s3://tiles/", s3_endpoint=f"https://localhost:{relay.port}", **KEYS)
        tiles = [source.read("s3://tiles/a.tif")[0] for _ in range(5)]
        assert len(server.requests) == 5
        assert relay.connections == 1
    assert all(np.array_equal(tile.array, PIXELS) for tile in tiles)


def test_an_s3_endpoint_of_an_unknown_authority_stops_the_runtime_for_it_is_the_operators(source_of, authority):
    with serving_tls({"/tiles/a.tif": PAGES["/a.tif"]}, authority.certificate("localhost")) as server:
        source = source_of("s3://tiles/", trusting=False, s3_endpoint=secure(server).rstrip("/"), **KEYS)
        with pytest.raises(StoreUnavailable, match=r"its certificate is refused: UnknownIssuer; .* urls.ca_file") as caught:
            source.read("s3://tiles/a.tif")
        assert server.requests == []
    assert "5ecret" not in str(caught.value)
