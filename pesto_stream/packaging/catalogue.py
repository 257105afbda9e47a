"""What has been built, by the labels of images; and the projects of a workspace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.algorithms.files import profiles_in
from pesto_stream.algorithms.project import DESCRIPTION, load_project
from pesto_stream.errors import ConfigurationError, ProjectError
from pesto_stream.packaging.context import LABEL
from pesto_stream.packaging.engine import find_engine
from pesto_stream.packaging.names import image_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEPTH: Final = 2
"""How far below a workspace its projects are looked for."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """`size` in bytes; `created` as the engine writes it (RFC 3339); `names` are all its tags."""

    name: str
    version: str
    profiles: tuple[str, ...]
    runtime: str
    names: tuple[str, ...]
    id: str
    created: str
    size: int


@dataclass(frozen=True, slots=True)
class KnownProject:
    """`profiles` are those that the project has files for; `image` is the name of its image without any. `problem` says why it cannot be
    read, where that is so.
    """

    path: str
    name: str = ""
    version: str = ""
    image: str = ""
    profiles: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`engine` says why the engine could not be asked; empty where it was."""

    projects: tuple[KnownProject, ...] = ()
    images: tuple[BuiltImage, ...] = ()
    engine: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def catalogue(place: Path | None) -> Catalogue:
    """All images on this machine; with a project or a workspace, its projects and their images."""
    projects = tuple(_known(path) for path in find_projects(place)) if place else ()
    try:
        images = tuple(built_images(find_engine().images(f"{LABEL}.project")))
    except ConfigurationError as error:
        return Catalogue(projects, engine=str(error))
    names = {project.image.partition(":")[0] for project in projects}
    return Catalogue(projects, tuple(image for image in images if place is None or image.name in names))


def built_images(inspected: list[dict[str, Any]]) -> Iterator[BuiltImage]:
    """From what `docker image inspect` says; newest first. An image that lost its names to a later build is none any more."""
    named = (image for image in inspected if image.get("RepoTags"))
    for image in sorted(named, key=lambda found: str(found.get("Created")), reverse=True):
        labels = (image.get("Config") or {}).get("Labels") or {}
        yield BuiltImage(
            name=labels.get(f"{LABEL}.project", ""),
            version=labels.get(f"{LABEL}.version", ""),
            profiles=tuple(name for name in labels.get(f"{LABEL}.profiles", "").split(",") if name),
            runtime=labels.get(f"{LABEL}.runtime", ""),
            names=tuple(image["RepoTags"]),
            id=str(image.get("Id", "")),
            created=str(image.get("Created", "")),
            size=int(image.get("Size", 0)),
        )


def find_projects(place: Path) -> list[Path]:
    """The projects at or below `place`, two folders deep."""
    patterns = ("*/" * depth + DESCRIPTION for depth in range(_DEPTH + 1))
    return [file.parents[2] for pattern in patterns for file in sorted(place.glob(pattern))]


def _known(path: Path) -> KnownProject:
    try:
        project = load_project(path)
        name = image_name(project)
    except ProjectError as error:
        return KnownProject(str(path), name=path.name, problem=str(error))
    return KnownProject(
        path=str(path),
        name=project.name,
        version=project.version,
        image=name.reference,
        profiles=tuple(sorted(profiles_in({project.path, project.code_path}))),
    )
