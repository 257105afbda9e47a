"""What an image is called: PESTO's rule, and the names that Docker takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pesto_stream.algorithms.project import BUILD, DESCRIPTION
from pesto_stream.errors import ConfigurationError, ProjectError

if TYPE_CHECKING:
    from pesto_stream.algorithms.project import Project

STATEFUL: Final = "stateful"
GPU: Final = "gpu"
CPU: Final = "cpu"

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DOMAIN: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
_REFERENCE: Final = re.compile(rf"{_DOMAIN}{_COMPONENT}(?:/{_COMPONENT})*(?::{_TAG.pattern})?(?:@sha256:[0-9a-f]{{64}})?")
_LONGEST_REPOSITORY: Final = 255


@dataclass(frozen=True, slots=True)
class ImageName:
    """`name:version[-profile...]`, and `-stateful` where the project is asynchronous. Source of the rule: PESTO 1.7.2."""

    name: str
    version: str
    profiles: tuple[str, ...] = ()
    stateful: bool = False

    @property
    def tag(self) -> str:
        last = (STATEFUL,) if self.stateful and STATEFUL not in self.profiles else ()
        return "-".join((self.version, *self.profiles, *last))

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.tag}"

    @property
    def latest(self) -> str:
        return f"{self.name}:latest"


def image_name(project: Project) -> ImageName:
    """The name of a project's image; build.json's name and version come first, as in PESTO. Raises ProjectError where Docker does not
    take it.
    """
    name, version = (_declared(project, key) for key in ("name", "version"))
    image = ImageName(name, version, project.profiles, stateful=project.description.get("asynchronous") is True)
    where = f"of '{BUILD}' or '{DESCRIPTION}'"
    if len(name) > _LONGEST_REPOSITORY or not _REPOSITORY.fullmatch(name):
        raise ProjectError(
            f"cannot name an image '{name}': 'name' {where} must be lower-case letters and digits, with '.', '_', '-' or '/' between"
        )
    if not _TAG.fullmatch(image.tag):
        raise ProjectError(
            f"cannot tag an image '{image.tag}': 'version' {where} and the profiles must be letters, digits, '.', '_', '-', "
            "at most 128 in all"
        )
    return image


def _declared(project: Project, key: str) -> str:
    value = project.build.get(key)
    return value if isinstance(value, str) and value.strip() else str(getattr(project, key))


def check_reference(text: str) -> str:
    """`text` where it is an image reference such as `registry:5000/team/name:1.0`. Raises ConfigurationError."""
    if not _REFERENCE.fullmatch(text):
        raise ConfigurationError(f"'{text}' is no image name; expected [registry[:port]/]name[:tag] in lower case")
    return text
