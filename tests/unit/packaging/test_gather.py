import hashlib

import pytest
from support.s3 import REGION, object_store
from support.web import endless, redirect, serving, status

from pesto_stream.errors import ProjectError, StoreUnavailable
from pesto_stream.packaging.gather import gather
from pesto_stream.packaging.requirements import Requirement


def wanting(source, **fields):
    return Requirement("r", source, "/opt/r", "none", **fields)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def store():
    with object_store() as found:
        found.put("models", "deep/model.bin", b"weights")
        yield found


@pytest.fixture
def s3_endpoint(store, monkeypatch):
    """The machine's own settings, as the store's client reads them."""
    settings = {"ENDPOINT": store.url, "ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "REGION": REGION, "ALLOW_HTTP": "true"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def test_a_file_of_the_project_and_one_by_url_are_copied(tmp_path):
    (tmp_path / "a b.bin").write_bytes(b"x")

    for number, source in enumerate(("a b.bin", "a%20b.bin", f"file://{tmp_path}/a%20b.bin")):
        found = gather(wanting(source), tmp_path, tmp_path / str(number))
        assert (found.name, found.read_bytes()) == ("a b.bin", b"x")


def test_a_folder_is_copied_whole(tmp_path):
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib/deep/x.py").write_text("1")

    assert (gather(wanting("lib/"), tmp_path, tmp_path / "out") / "deep/x.py").is_file()


def test_a_file_is_downloaded_through_a_redirect(tmp_path):
    with serving({"/x": redirect("/m/model.bin"), "/m/model.bin": b"weights"}) as web:
        found = gather(wanting(web.url("/x")), tmp_path, tmp_path / "out")

    assert found.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("code", "error"), [(404, ProjectError), (403, ProjectError), (500, StoreUnavailable), (503, StoreUnavailable)]
)
def test_a_missing_file_is_the_projects_error_and_a_broken_server_is_not(tmp_path, code, error):
    with serving({"/x.bin": status(code)}) as web, pytest.raises(error, match=str(code)):
        gather(wanting(web.url("/x.bin")), tmp_path, tmp_path / "out")


def test_a_server_that_does_not_answer_is_unavailable(tmp_path):
    with serving({}) as web:
        url = web.url("/x.bin")
    with pytest.raises(StoreUnavailable, match=r"x\.bin"):
        gather(wanting(url), tmp_path, tmp_path / "out")


def test_an_endless_download_stops_at_the_limit(tmp_path):
    with serving({"/x.bin": endless()}) as web, pytest.raises(ProjectError, match="more than 5000 bytes"):
        gather(wanting(web.url("/x.bin")), tmp_path, tmp_path / "out", max_bytes=5000)


def test_the_digest_is_checked(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x")
    right = hashlib.sha256(b"x").hexdigest()

    gather(wanting("a.bin", sha256=right), tmp_path, tmp_path / "1")
    with pytest.raises(ProjectError, match=f"its sha256 is '{right}', expected '{'0' * 64}'"):
        gather(wanting("a.bin", sha256="0" * 64), tmp_path, tmp_path / "2")


@pytest.mark.parametrize("source", ["none.bin", "file:///none/none.bin", "file://host/x", "http://127.0.0.1:1/", "s3://bucket"])
def test_what_names_no_file_is_refused_with_the_requirements_name(tmp_path, source):
    with pytest.raises(ProjectError, match="requirement 'r'"):
        gather(wanting(source), tmp_path, tmp_path / "out")


def test_an_object_is_read_from_the_store_with_the_machines_settings(tmp_path, s3_endpoint):
    assert gather(wanting("s3://models/deep/model.bin"), tmp_path, tmp_path / "out").read_bytes() == b"weights"
    with pytest.raises(ProjectError, match="no such object"):
        gather(wanting("s3://models/none.bin"), tmp_path, tmp_path / "out2")


def test_a_store_that_is_down_is_unavailable(tmp_path, s3_endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")

    with pytest.raises(StoreUnavailable, match="s3://models/x"):
        gather(wanting("s3://models/x"), tmp_path, tmp_path / "out")
