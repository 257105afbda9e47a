"""A project is tested in all three ways, and says the same in each: what passes, what differs and by how much, what it cannot do."""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from support.images_built import BASE, docker_or_skip, run
from support.pesto_itself import NoPesto, pesto, pesto_environment
from support.projects import a_project

from pesto_stream.converters.image import encode_image
from pesto_stream.model.tile import Tile

EXAMPLE = Path(__file__).parents[2] / "examples" / "cloud-detector"
RESOURCES = Path("pesto/tests/resources")


def command(*words, seconds=280):
    done = subprocess.run(
        [sys.executable, "-m", "pesto_stream", *map(str, words)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def example(tmp_path):
    return shutil.copytree(EXAMPLE, tmp_path / "cloud-detector", ignore=shutil.ignore_patterns(".results", "__pycache__"))


def verdicts(output):
    return [tuple(line.split()[:2]) for line in output.splitlines()[1:] if re.match(r"  \S", line)]


@pytest.mark.embedded
def test_the_example_passes_as_a_local_runtime(example):
    done = command("test", example, "--local")
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(done.stdout) == [("ok", "describe"), ("ok", "test_clouds")]
    assert "sidecar listens" in (example / "pesto/tests/.results/runtime.log").read_text()


@pytest.mark.embedded
def test_both_ways_find_the_same_difference_and_an_update_over_the_broker_ends_it(example):
    process = example / "algorithm/process.py"
    process.write_text(process.read_text().replace("mask = np.where", "cloud[:2, 5:9] ^= True\n        mask = np.where"))
    said = []
    for way in ("--in-process", "--local"):
        done = command("test", example, way)
        assert done.returncode == 5
        assert re.search(
            r"mask: 8 of 2304 pixels differ \(0.3 %\), by at most 1, on average 1; drawn in '.*mask.difference.png'", done.stdout
        )
        said.append(json.loads((example / "pesto/tests/.results/results.json").read_text()))
    assert said[0] == said[1]
    assert command("test", example, "--local", "--update").returncode == 0
    assert command("test", example, "--in-process").returncode == 0


@pytest.mark.embedded
def test_a_dead_letter_is_the_tests_failure_and_a_region_of_interest_goes_through(tmp_path):
    image = encode_image(Tile(np.arange(64, dtype=np.uint8).reshape(1, 8, 8)), "image/png")
    roi = {"roi": {"target_in": ["image"], "target_out": ["mask"], "lines": {"first": 2, "number": 3, "margin": 1}}}
    process = """
        class Process:
            def process(self, image, threshold=None):
                if threshold is not None:
                    raise ValueError("it rains")
                return {"mask": image, "coverage": 0.5}
    """
    files = {
        f"{RESOURCES}/test_a/input/image.png": image,
        f"{RESOURCES}/test_a/input/pesto.json": roi,
        f"{RESOURCES}/test_a/output/coverage.float": "0.5",
        f"{RESOURCES}/test_a/output/mask.png": encode_image(
            Tile(np.arange(16, 40, dtype=np.uint8).reshape(1, 3, 8)), "image/png"
        ),
        f"{RESOURCES}/test_b/input/image.png": image,
        f"{RESOURCES}/test_b/input/threshold.float": "1",
        f"{RESOURCES}/test_b/output/coverage.float": "0.5",
    }
    done = command("test", a_project(tmp_path, process=process, files=files), "--local")
    assert done.returncode == 5
    assert verdicts(done.stdout) == [("skipped", "describe"), ("ok", "test_a"), ("FAILED", "test_b")]
    assert "AlgorithmError: ValueError: it rains" in done.stdout


@pytest.mark.embedded
def test_settings_for_a_real_broker_do_not_keep_a_project_from_being_tested(example):
    kafka = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "me",
        "sasl_password": "x",
        "bootstrap_servers": "far:9092",
    }
    (example / "pesto/stream").mkdir()
    (example / "pesto/stream/kafka.json").write_text(json.dumps({"kafka": kafka, "output": {"content_type": "application/avro"}}))
    done = command("test", example, "--local")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.embedded
def test_a_project_that_does_not_load_ends_with_2_and_the_runtimes_own_words(example):
    (example / "algorithm/process.py").write_text("import nothing_like_that\n")
    done = command("test", example, "--local")
    assert done.returncode == 2
    assert "the runtime ended with exit code 2; its last words" in done.stderr
    assert "nothing_like_that" in done.stderr


@pytest.mark.parametrize("way", ["--in-process", "--local"])
@pytest.mark.slow
def test_pestos_own_template_passes_its_own_tests_unchanged(tmp_path, way):
    try:
        pesto(pesto_environment(), tmp_path / "home", "init", "--default", tmp_path / "made")
    except NoPesto as reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))
    (project,) = (tmp_path / "made").iterdir()
    done = command("test", project, way)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(done.stdout) == [("ok", "describe"), ("ok", "test_1"), ("ok", "test_2")]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The example under a name of its own, and its image. Skipped without a Docker engine."""
    docker = docker_or_skip()
    name = f"tested-{uuid.uuid4().hex[:8]}"
    project = shutil.copytree(
        EXAMPLE, tmp_path_factory.mktemp("workspace") / name, ignore=shutil.ignore_patterns(".results", "__pycache__")
    )
    for file in ("pesto/api/description.json", "pesto/build/build.json", f"{RESOURCES}/expected_describe.json"):
        (project / file).write_text((project / file).read_text().replace('"name": "cloud-detector"', f'"name": "{name}"'))
    done = command("build", project, "--base", BASE, seconds=600)
    assert done.returncode == 0, done.stderr[-4000:]
    names = done.stdout.split()
    yield project
    run(docker, "image", "rm", "--force", *names, check=False)


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_image_passes_with_a_broker_beside_it_and_runs_one_payload_with_none(built, tmp_path):
    for form in ((), ("--base64",)):
        done = command("test", built, "--docker", *form)
        assert done.returncode == 0, done.stdout + done.stderr
        assert verdicts(done.stdout) == [("ok", "describe"), ("ok", "test_clouds")]
    expected = built / RESOURCES / "test_clouds/output/coverage.float"
    before = expected.read_text()
    expected.write_text("0.5")
    done = command("test", built, "--docker")
    expected.write_text(before)
    assert done.returncode == 5
    assert "coverage: 0.17447916666666666, expected 0.5 (off by 0.326)" in done.stdout

    out = tmp_path / "out"
    done = command("run", built, "--docker", "--once", built / RESOURCES / "test_clouds/input", "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "result.json").read_text()) == {"mask": "mask.tif", "coverage": 0.17447916666666666}


def test_an_image_that_was_never_built_is_named_with_the_command_that_builds_it(example):
    docker_or_skip()
    for file in ("pesto/api/description.json", "pesto/build/build.json"):
        (example / file).write_text((example / file).read_text().replace('"cloud-detector"', '"never-built"'))
    done = command("test", example, "--docker", "-p", "gpu")
    assert done.returncode == 2
    assert f"there is no image 'never-built:1.0.0-gpu'; build it first: pesto-stream build {example} -p gpu" in done.stderr
