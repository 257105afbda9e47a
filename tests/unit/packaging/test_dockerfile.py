import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.packaging.dockerfile import Recipe, dockerfile

ROOT = Path(__file__).parents[3]
FULL = Recipe(
    base="pesto-stream:1-cpu",
    profiles=("container", "gpu"),
    pip=("project/requirements.txt", "0/x-1-py3-none-any.whl"),
    copies=(("requirements/0", "/opt/model/"),),
    environment={"A": "b"},
    labels={"org.x": "y"},
)


def hadolint(text):
    command = str(Path(sys.executable).parent / "hadolint")
    return subprocess.run([command, "-"], input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.gpu"])
def test_the_base_images_dockerfiles_have_no_lint(name):
    done = hadolint((ROOT / name).read_text())

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("recipe", [FULL, Recipe(base="pesto-stream:1-cpu", profiles=())], ids=["full", "bare"])
def test_a_projects_dockerfile_has_no_lint(recipe):
    done = hadolint(dockerfile(recipe))

    assert (done.returncode, done.stdout) == (0, "")


def test_the_lint_sees_mistakes():
    assert hadolint("FROM python\nRUN cd /x\n").returncode != 0


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.gpu"])
def test_the_base_images_are_what_clusters_ask_for(name):
    text = (ROOT / name).read_text()

    assert "\nUSER 10001:10001\n" in text
    assert "\nSTOPSIGNAL SIGTERM\n" in text
    assert "/healthz/live" in text
    assert "curl" not in text
    assert "\nARG BASE_IMAGE=python:3.11-slim-bookworm\n" in text


def test_code_comes_after_everything_that_changes_less_often():
    lines = dockerfile(FULL).splitlines()
    places = [
        next(number for number, line in enumerate(lines) if part in line)
        for part in ("RUN --mount=type=bind", "/opt/model", '"/app/project"]')
    ]

    assert places == sorted(places)
    assert lines[-2:] == [
        "USER 10001:10001",
        'ENTRYPOINT ["pesto-stream", "run", "/app/project", "-p", "container", "-p", "gpu"]',
    ]


def test_without_pip_requirements_the_bases_own_bill_of_materials_stays():
    assert "sbom" not in dockerfile(Recipe(base="a", profiles=()))
    assert "COPY --from=sbom" in dockerfile(FULL)


@given(st.text())
def test_no_label_gets_out_of_its_line(text):
    """Read back by Docker's rules: within double quotes a backslash takes the next character as it is."""
    lines = dockerfile(Recipe(base="a", profiles=(), labels={"x": text})).splitlines()

    line = next(line for line in lines if line.startswith("LABEL"))
    assert (
        len([line for line in lines if not line.startswith(("#", "ARG", "FROM", "COPY", "USER", "ENTRYPOINT", "LABEL")) and line])
        == 0
    )
    quoted = re.fullmatch(r'LABEL x="((?:[^"\\$]|\\.)*)"', line)
    assert quoted
    expected = "".join(character if character.isprintable() else " " for character in text)
    assert re.sub(r"\\(.)", r"\1", quoted[1]) == expected


def test_the_entry_point_is_json():
    last = dockerfile(Recipe(base="a", profiles=('x"y',))).splitlines()[-1]

    assert json.loads(last.removeprefix("ENTRYPOINT "))[-1] == 'x"y'
