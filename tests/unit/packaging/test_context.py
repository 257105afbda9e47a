import io
import stat
import tarfile

import pytest
from support.projects import a_loaded_project

from pesto_stream.algorithms.project import load_project
from pesto_stream.errors import ProjectError
from pesto_stream.packaging.context import write_context
from pesto_stream.packaging.requirements import parse_requirements


def written(project, folder):
    """Paths below the context -> content."""
    write_context(project, parse_requirements(project.requirements), "pesto-stream:1-cpu", folder / "context")
    return {
        path.relative_to(folder / "context").as_posix(): path.read_bytes()
        for path in (folder / "context").rglob("*")
        if path.is_file()
    }


def a_required(tmp_path, requirements, **files):
    """A loaded project with these requirements; `files` by path."""
    declared = {"pesto/build/requirements.json": {"requirements": requirements}}
    return a_loaded_project(tmp_path, files={**declared, **files.get("files", {})})


def dockerfile_of(files):
    return files["Dockerfile"].decode()


def test_the_code_goes_in_and_what_no_image_needs_stays_out(tmp_path):
    unwanted = {
        ".git/config": "x",
        "algorithm/__pycache__/process.cpython-311.pyc": "x",
        ".venv/lib/x.py": "x",
        "pesto/tests/resources/test_1/input/a.string": "x",
        ".pytest_cache/x": "x",
    }
    project = a_loaded_project(tmp_path, files={**unwanted, "algorithm/model.onnx": b"model", "tests/test_a.py": "x"})

    files = written(project, tmp_path)

    assert files["project/algorithm/model.onnx"] == b"model"
    assert "project/tests/test_a.py" in files
    assert not [path for path in files if path.removeprefix("project/") in unwanted]


def test_everything_can_be_read_by_the_images_user_whatever_the_umask_was(tmp_path):
    project = a_loaded_project(tmp_path, files={"algorithm/weights.bin": b"x", "algorithm/tool.sh": "x"})
    (project.path / "algorithm/weights.bin").chmod(0o600)
    (project.path / "algorithm/tool.sh").chmod(0o700)

    written(project, tmp_path)

    modes = {
        name: stat.S_IMODE((tmp_path / "context/project/algorithm" / name).stat().st_mode) for name in ("weights.bin", "tool.sh")
    }
    assert modes == {"weights.bin": 0o644, "tool.sh": 0o755}
    assert stat.S_IMODE((tmp_path / "context/project/algorithm").stat().st_mode) == 0o755


def test_code_that_is_elsewhere_comes_along_and_is_found(tmp_path):
    code = tmp_path / "elsewhere"
    (code / "algorithm").mkdir(parents=True)
    (code / "algorithm/process.py").write_text("class Process: ...")
    build = {"name": "n", "version": "1", "algorithm_path": "../elsewhere"}
    project = a_loaded_project(tmp_path, files={"pesto/build/build.json": build, "algorithm/process.py": None})

    written(project, tmp_path)

    copied = load_project(tmp_path / "context/project")
    assert (copied.code_path / "algorithm/process.py").read_text() == "class Process: ..."
    assert copied.code_path.is_relative_to(copied.path)


def test_requirements_of_all_kinds_are_gathered(tmp_path):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("deep/weights.bin")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    sources = {
        "data/model.tar.gz": archive.getvalue(),
        "data/table.csv": b"1,2",
        "lib/helper.py": "x = 1",
        "wheels/x-1-py3-none-any.whl": b"wheel",
        "wheels/sdist-1.tar.gz": archive.getvalue(),
        "requirements.txt": "six",
    }
    requirements = {
        "model": {"from": "data/model.tar.gz", "to": "/opt/model"},
        "table": {"from": "data/table.csv", "to": "/opt/tables/main.csv", "type": "none"},
        "library": {"from": "lib", "to": "/opt/lib", "type": "python"},
        "wheel": {"from": "wheels/x-1-py3-none-any.whl", "type": "pip"},
        "sdist": {"from": f"file://{tmp_path}/an-algorithm/wheels/sdist-1.tar.gz", "type": "pip"},
    }

    files = written(a_required(tmp_path, requirements, files=sources), tmp_path)

    assert files["requirements/0/deep/weights.bin"] == b"abc"
    assert files["requirements/1/table.csv"] == b"1,2"
    assert files["requirements/2/helper.py"] == b"x = 1"
    text = dockerfile_of(files)
    assert 'COPY ["requirements/0", "/opt/model/"]' in text
    assert 'COPY ["requirements/1/table.csv", "/opt/tables/main.csv"]' in text
    assert 'COPY ["requirements/2", "/opt/lib/"]' in text
    assert 'ENV PYTHONPATH="/opt/lib"' in text
    assert "--requirement /pip/project/requirements.txt /pip/0/x-1-py3-none-any.whl /pip/1/sdist-1.tar.gz" in text
    assert "gathered" not in {path.partition("/")[0] for path in files}


def test_profiles_environment_and_labels_are_in_the_dockerfile(tmp_path):
    extra = {
        "pesto/build/requirements.json": {"environments": {"A": "1"}},
        "pesto/build/requirements.gpu.json": {"environments": {"A": "2"}},
    }
    project = a_loaded_project(tmp_path, profiles=("gpu",), files=extra, description={"licence": "MIT", "organization": "O"})

    text = dockerfile_of(written(project, tmp_path))

    assert 'ENV PESTO_PROFILE="1.2.3-gpu"' in text
    assert 'ENV A="2"' in text
    assert 'LABEL org.opencontainers.image.licenses="MIT"' in text
    assert 'LABEL org.pesto-stream.profiles="gpu"' in text
    assert '"-p", "container", "-p", "gpu"]' in text


def test_a_requirement_that_is_not_there_names_itself(tmp_path):
    project = a_required(tmp_path, {"model": {"from": "none.bin", "to": "/opt/m"}})

    with pytest.raises(ProjectError, match=r"cannot take 'none\.bin' for requirement 'model'.*no such file"):
        written(project, tmp_path)


def test_a_dangling_link_in_the_project_is_an_error_that_names_it(tmp_path):
    project = a_loaded_project(tmp_path)
    (project.path / "algorithm/model.bin").symlink_to("nowhere")

    with pytest.raises(ProjectError, match=r"cannot copy project 'an-algorithm' into a build context: .*model\.bin"):
        written(project, tmp_path)
