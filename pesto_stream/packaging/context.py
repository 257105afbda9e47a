"""The build context of one project: its code, its requirements, its Dockerfile, in a folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pesto_stream import __version__
from pesto_stream.algorithms.project import BUILD
from pesto_stream.errors import ProjectError
from pesto_stream.packaging.archives import ArchiveLimits, is_archive, unpack
from pesto_stream.packaging.dockerfile import Recipe, dockerfile
from pesto_stream.packaging.gather import gather
from pesto_stream.packaging.names import image_name
from pesto_stream.packaging.requirements import DATA, PIP, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.algorithms.project import Project
    from pesto_stream.packaging.names import ImageName
    from pesto_stream.packaging.requirements import Requirement, Requirements

CONTAINER: Final = "container"
"""The shipped profile that every image starts with."""
LABEL: Final = "org.pesto-stream"
NOT_COPIED: Final = (
    *(".git", ".hg", ".svn", ".venv", "venv", ".idea", ".vscode", ".DS_Store"),
    *("__pycache__", "*.py[cod]", "*.egg-info", ".*_cache", ".hypothesis"),
)
_TESTS: Final = "pesto/tests"
_LISTED: Final = "requirements.txt"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._+-]")


def write_context(project: Project, requirements: Requirements, base: str, folder: Path, proxy: str | None = None) -> None:
    """Write the context into the new folder `folder`. `base` is the runtime's image that it starts from.

    Raises ProjectError for a requirement or a file that cannot be had, StoreUnavailable for a server that does not answer.
    """
    folder.mkdir(parents=True)
    try:
        _copy_project(project, folder)
        recipe = _recipe(project, requirements, base, folder, proxy)
    except (OSError, shutil.Error) as error:
        raise ProjectError(f"cannot copy project '{project.name}' into a build context: {_said(error)}") from error
    (folder / "Dockerfile").write_text(dockerfile(recipe), encoding="utf-8")
    _open_to_all(folder)


def _said(error: OSError) -> str:
    """`shutil.Error` holds (source, target, reason) for each file."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return "; ".join(f"'{source}': {reason}" for source, _, reason in error.args[0][:3])
    return f"'{error.filename}': {error.strerror}"


def _recipe(project: Project, requirements: Requirements, base: str, folder: Path, proxy: str | None) -> Recipe:
    name = image_name(project)
    python = [item.target.rstrip("/") for item in requirements.of_kind(PYTHON)]
    environment = {"PESTO_PROFILE": project.full_version, **requirements.environment}
    return Recipe(
        base=base,
        profiles=(CONTAINER, *project.profiles),
        pip=_pip_files(project, requirements, folder, proxy),
        copies=[_copy(item, number, project, folder, proxy) for number, item in enumerate(requirements.of_kind(PYTHON, DATA))],
        environment=environment | ({"PYTHONPATH": ":".join(python)} if python else {}),
        labels=labels(project, name),
    )


def labels(project: Project, name: ImageName) -> dict[str, str]:
    """OCI's own annotations, and ours that `pesto-stream list` finds images by."""
    about = project.description
    oci = {
        "title": about.get("title") or name.name,
        "description": about.get("description"),
        "version": name.version,
        "licenses": about.get("licence"),
        "vendor": about.get("organization"),
        "authors": about.get("email"),
    }
    ours = {
        "project": name.name,
        "version": name.version,
        "profiles": ",".join(project.profiles),
        "asynchronous": str(name.stateful).lower(),
        "runtime": __version__,
    }
    shown = {f"org.opencontainers.image.{key}": value for key, value in oci.items() if isinstance(value, str) and value}
    return {**shown, **{f"{LABEL}.{key}": value for key, value in ours.items()}}


def _pip_files(project: Project, requirements: Requirements, folder: Path, proxy: str | None) -> list[str]:
    """Files for pip below `folder / "pip"`, each in a folder of its own: the project's list first, then the requirements."""
    files = []
    if (project.code_path / _LISTED).is_file():
        _place(project.code_path / _LISTED, folder / "pip" / "project" / _LISTED)
        files.append(f"project/{_LISTED}")
    for number, item in enumerate(requirements.of_kind(PIP)):
        found = gather(item, project.path, folder / "gathered" / f"pip-{number}", proxy)
        name = f"{number}/{_UNSAFE.sub('_', found.name)}"
        _place(found, folder / "pip" / name)
        files.append(name)
    shutil.rmtree(folder / "gathered", ignore_errors=True)
    return files


def _copy(item: Requirement, number: int, project: Project, folder: Path, proxy: str | None) -> tuple[str, str]:
    """Place in the context and place in the image of a requirement that is files: what an archive or a folder holds, or the one file."""
    found = gather(item, project.path, folder / "gathered" / str(number), proxy)
    place = f"requirements/{number}"
    target = folder / place
    if found.is_file() and is_archive(found.name):
        unpack(found, target, item.source, ArchiveLimits())
        destination = f"{item.target.rstrip('/')}/"
    elif found.is_dir():
        _place(found, target)
        destination = f"{item.target.rstrip('/')}/"
    else:
        place = f"{place}/{_UNSAFE.sub('_', found.name)}"
        _place(found, folder / place)
        destination = item.target
    shutil.rmtree(folder / "gathered")
    return place, destination


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source_copy = shutil.copytree if source.is_dir() else shutil.copyfile
    source_copy(source, target)


def _copy_project(project: Project, folder: Path) -> None:
    """The project, and beside it its code where build.json has it elsewhere; the copy of build.json then names that place."""
    target = folder / "project"
    _copy_tree(project.path, target, beside=folder.parent)
    if project.code_path.is_relative_to(project.path):
        return
    _copy_tree(project.code_path, target / "code", beside=folder.parent)
    stem = BUILD.removesuffix(".json")
    for file in sorted(target.glob(f"{stem}*.json")):
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        if document.get("algorithm_path"):
            file.write_text(json.dumps({**document, "algorithm_path": "code"}, indent=2), encoding="utf-8")


def _copy_tree(source: Path, target: Path, beside: Path) -> None:
    """A copy without what no image needs: histories, environments, caches, PESTO's tests, and the context itself."""
    patterns = shutil.ignore_patterns(*NOT_COPIED)

    def ignored(folder: str, names: Iterable[str]) -> set[str]:
        listed = list(names)
        here = Path(folder)
        own = {name for name in listed if (here / name).resolve() == beside.resolve() or here / name == source / _TESTS}
        return own | patterns(folder, listed)

    shutil.copytree(source, target, ignore=ignored)


def _open_to_all(folder: Path) -> None:
    """The image's user is not the owner of the files: all may read, and modes do not depend on this machine's umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
