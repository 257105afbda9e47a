import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution

import pytest

from pesto_stream.errors import ConfigurationError
from pesto_stream.packaging.wheel import docker_file, source_tree, write_runtime, write_wheel

METADATA = "Metadata-Version: 2.1\nName: pesto-stream\nVersion: 7.0\nRequires-Dist: numpy\n"


def installed(site, *, files=("pesto_stream/__init__.py", "pesto_stream/_data/x.json")):
    info = site / "pesto_stream-7.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text("[console_scripts]\npesto-stream = pesto_stream:main\n")
    (info / "INSTALLER").write_text("pip")
    listed = [
        *files,
        "../../bin/pesto-stream",
        "pesto_stream/__pycache__/x.cpython-311.pyc",
        *(f"{info.name}/{name}" for name in ("METADATA", "entry_points.txt", "INSTALLER", "RECORD")),
    ]
    for name in files:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("x = 1")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    return PathDistribution(info)


def test_an_installed_runtime_becomes_a_wheel_that_pip_takes(tmp_path):
    wheel = write_wheel(tmp_path, installed(tmp_path / "site"))

    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        str(tmp_path / "new"),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "new/pesto_stream/_data/x.json").is_file()
    assert (tmp_path / "new/bin/pesto-stream").is_file()
    assert "Requires-Dist: numpy" in (tmp_path / "new/pesto_stream-7.0.dist-info/METADATA").read_text()


def test_nothing_but_the_package_is_packed(tmp_path):
    names = zipfile.ZipFile(write_wheel(tmp_path, installed(tmp_path / "site"))).namelist()

    assert not [name for name in names if name.startswith("..") or name.endswith((".pyc", "INSTALLER"))]


def test_the_same_files_are_the_same_wheel(tmp_path):
    found = installed(tmp_path / "site")
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()

    one, other = write_wheel(tmp_path / "1", found), write_wheel(tmp_path / "2", found)

    assert one.read_bytes() == other.read_bytes()
    assert {member.date_time for member in zipfile.ZipFile(one).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_installation_without_files_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no files of its own"):
        write_wheel(tmp_path, installed(tmp_path / "site", files=()))


def test_a_source_tree_goes_in_without_what_no_wheel_needs(tmp_path):
    assert source_tree() is not None

    write_runtime(tmp_path)

    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert {"pyproject.toml", "Dockerfile.cpu", "pesto_stream/packaging/wheel.py", "schemas", "profiles"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", ".git", ".venv"))]


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.gpu", "constraints.txt"])
def test_the_files_for_images_are_found(name):
    assert docker_file(name).is_file()
