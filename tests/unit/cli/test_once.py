"""`pesto-stream run --once`: one payload, no broker, files."""

import base64
import json

import numpy as np
import pytest
from support.command import command_line as main
from support.projects import a_project

from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.model.tile import Tile

IMAGE_FILE = encode_image(
    Tile(np.arange(24, dtype=np.uint8).reshape(1, 4, 6), "EPSG:32631", (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)), "image/tiff"
)


@pytest.fixture
def project(tmp_path):
    return a_project(tmp_path)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def test_a_payload_as_post_process_takes_it_becomes_files(project, tmp_path):
    payload = write(tmp_path / "payload.json", {"image": base64.b64encode(IMAGE_FILE).decode(), "threshold": 11.0})
    done = main("run", project, "--once", payload, "--out", tmp_path / "out")
    assert done.code == 0, done
    out = tmp_path / "out"
    assert done.out.split() == [str(out / name) for name in ("headers.json", "mask.tif", "result.json")]
    assert json.loads((out / "result.json").read_text()) == {"coverage": 0.5, "mask": "mask.tif"}
    tile, _ = decode_image((out / "mask.tif").read_bytes(), None, Limits())
    assert (tile.array.sum(), tile.crs) == (12, "EPSG:32631")


def test_a_folder_in_the_form_of_test_resources_does_as_well(project, tmp_path):
    write(tmp_path / "payload/image.tif", IMAGE_FILE)
    (tmp_path / "payload/threshold.float").write_text("11")
    done = main("run", project, "--once", tmp_path / "payload", "--out", tmp_path / "out")
    assert done.code == 0, done
    assert json.loads((tmp_path / "out/result.json").read_text())["coverage"] == 0.5


def test_a_payloads_own_urls_need_to_be_allowed(project, tmp_path):
    image = write(tmp_path / "tiles/image.tif", IMAGE_FILE)
    payload = write(tmp_path / "payload.json", {"image": image.as_uri()})
    done = main("run", project, "--once", payload, "--out", tmp_path / "out")
    assert done.code == 5
    assert f"it is not allowed; add '{image.parent.as_uri()}/' to urls.allow" in done.err
    assert not (tmp_path / "out").exists()
    allowed = f'urls.allow=["{image.parent.as_uri()}/"]'
    assert main("run", project, "--once", payload, "--out", tmp_path / "out", "--set", allowed).code == 0


def test_a_result_may_be_larger_than_a_record(project, tmp_path):
    payload = write(tmp_path / "payload.json", {"image": base64.b64encode(IMAGE_FILE).decode()})
    done = main("run", project, "--once", payload, "--out", tmp_path / "out", "--set", "kafka.max_record_mib=0.0001")
    assert done.code == 0, done


def test_avro_results_are_files_too(project, tmp_path):
    payload = write(tmp_path / "payload.json", {"image": base64.b64encode(IMAGE_FILE).decode()})
    done = main("run", project, "--once", payload, "--out", tmp_path / "out", "--set", "output.content_type=application/avro")
    assert done.code == 0, done
    assert (tmp_path / "out/mask.tif").is_file()


@pytest.mark.parametrize(
    ("payload", "code", "said"),
    [
        ({"imag": "x"}, 5, "input 'imag' is not declared; did you mean 'image'?"),
        ([], 5, "payload is a JSON list"),
        (b"{", 5, "payload is not valid JSON"),
        (b"", 5, "empty"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_as_a_record_would_be(project, tmp_path, payload, code, said):
    done = main("run", project, "--once", write(tmp_path / "payload.json", payload), "--out", tmp_path / "out")
    assert done.code == code
    assert said in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--docker"], "--docker goes with --once PAYLOAD"),
        (["--out", "x"], "--out goes with --once PAYLOAD"),
        (["--once", "gone.json"], "does not exist"),
    ],
)
def test_options_of_once_alone_are_refused(project, arguments, said):
    done = main("run", project, *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_folder_that_cannot_be_written_is_named(project, tmp_path):
    payload = write(tmp_path / "payload.json", {"image": base64.b64encode(IMAGE_FILE).decode()})
    (tmp_path / "file").write_text("")
    done = main("run", project, "--once", payload, "--out", tmp_path / "file" / "out")
    assert done.code == 2
    assert "cannot write" in done.err
