"""A new project from one of the templates that the package ships. The template engine is copier; it needs no network and no git."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import copier
import yaml
from copier.errors import CopierError, InteractiveSessionError

import pesto_stream
from pesto_stream.algorithms.describe import describe_document
from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.algorithms.project import load_project
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES: Final = ("process", "onnx")
EXPECTED_DESCRIBE: Final = "pesto/tests/resources/expected_describe.json"
_NAME: Final = re.compile(r"[^a-z0-9]+")


def create_project(folder: Path, template: str, answers: Mapping[str, str], *, defaults: bool) -> None:
    """Write a project into `folder`, which is new or empty. What `answers` leaves open is asked for on the terminal, or with `defaults`
    taken from the template.

    Raises ConfigurationError where the folder is in use, a template or a question does not exist, or an answer is refused.
    """
    if template not in TEMPLATES:
        raise ConfigurationError(
            f"there is no template '{template}'{did_you_mean(template, TEMPLATES)}; expected {' or '.join(TEMPLATES)}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"cannot write a project to '{folder}': it exists and is not an empty folder")
    questions = _questions()
    for key in answers:
        if key not in questions:
            raise ConfigurationError(
                f"there is no question '{key}'{did_you_mean(key, questions)}; expected {', '.join(questions)}"
            )
    _render(folder, template, answers, defaults=defaults)
    _expect_describe(folder)


def default_name(folder: Path) -> str:
    """A project's name from that of its folder: lower case, digits and `-`, as a Docker image is called."""
    return _NAME.sub("-", folder.resolve().name.lower()).strip("-") or "algorithm"


def _templates() -> Path:
    return Path(pesto_stream.__file__).parent / "templates"


def _questions() -> list[str]:
    document = yaml.safe_load((_templates() / "copier.yml").read_text(encoding="utf-8"))
    return [key for key in document if not key.startswith("_")]


def _render(folder: Path, template: str, answers: Mapping[str, str], *, defaults: bool) -> None:
    """The template's own files, and those that all projects have, with the same answers."""
    shared: dict[str, Any] = {"user_defaults": {"name": default_name(folder)}, "quiet": True, "overwrite": True}
    try:
        own = copier.run_copy(str(_templates()), folder, data={**answers, "template": template}, defaults=defaults, **shared)
        given = {key: own.answers.combined[key] for key in _questions()}
        copier.run_copy(str(_templates()), folder, data={**given, "template": "common"}, defaults=True, **shared)
    except InteractiveSessionError:
        raise ConfigurationError(
            "there is no terminal to ask on; give --defaults, and --data KEY=VALUE for what differs"
        ) from None
    except (CopierError, ValueError) as error:
        raise ConfigurationError(f"cannot write a project to '{folder}': {error}") from error


def _expect_describe(folder: Path) -> None:
    """The first expected describe document is what the project says of itself now; links are not compared."""
    document = describe_document(load_project(folder))
    del document["_links"]
    (folder / EXPECTED_DESCRIBE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
