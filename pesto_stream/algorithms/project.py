"""A PESTO project on disk, read and checked as a whole before anything of it is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import jsonschema
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from pesto_stream.algorithms.files import check_profiles, json_type, profiles_in, read_optional, read_profiled
from pesto_stream.algorithms.interfaces import check_definitions, interface_of, redefined
from pesto_stream.errors import ProjectError
from pesto_stream.model.spec import AlgorithmSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

DESCRIPTION = "pesto/api/description.json"
INPUT_SCHEMA = "pesto/api/input_schema.json"
OUTPUT_SCHEMA = "pesto/api/output_schema.json"
USER_DEFINITIONS = "pesto/api/user_definitions.json"
CONFIG = "pesto/api/config.json"
CONFIG_SCHEMA = "pesto/api/config_schema.json"
VERSION = "pesto/api/version.json"
BUILD = "pesto/build/build.json"
REQUIREMENTS = "pesto/build/requirements.json"


@dataclass(frozen=True, slots=True)
class Project:
    """What a project's files say, profiles merged in.

    `path` is the project folder, `code_path` the folder that holds the `algorithm` package (the same unless build.json has an
    `algorithm_path`), `api_path` the one that holds the `pesto/api` in force, `python_path` the folders that its requirements of type
    `python` add to the import path. `input_schema` and `output_schema` are the documents as written; `spec` is their meaning. `notes`
    are oddities that PESTO lives with as well.
    """

    path: Path
    code_path: Path
    api_path: Path
    profiles: tuple[str, ...]
    spec: AlgorithmSpec
    description: Mapping[str, Any]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    config_schema: Mapping[str, Any] = field(default_factory=dict)
    version_document: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)
    requirements: Mapping[str, Any] = field(default_factory=dict)
    user_definitions: Mapping[str, Any] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def version(self) -> str:
        return self.spec.version

    @property
    def full_version(self) -> str:
        """`version[-profile]...`, which is what PESTO_PROFILE holds in an image that PESTO builds."""
        version = self.build.get("version")
        return "-".join([version if isinstance(version, str) else self.version, *self.profiles])


def load_project(
    path: Path, profiles: Sequence[str] = (), known_profiles: Collection[str] = (), *, with_schemas: bool = True
) -> Project:
    """Read the project in folder `path`. `known_profiles` exist elsewhere (shipped with the runtime), and need no file in the project.
    `with_schemas` False: as if the two schema files were empty, for a project whose schemas are still to be generated.

    Raises ProjectError, naming file, field and remedy.
    """
    path = path.resolve()
    if not (path / "pesto").is_dir():
        raise ProjectError(
            f"'{path}' is no PESTO project: it has no folder 'pesto'; give the folder that holds 'pesto' and 'algorithm'"
        )
    build = read_optional(path, BUILD, profiles)
    code_path = _code_path(path, build)
    root = code_path if (code_path / "pesto").is_dir() else path
    check_profiles(profiles, profiles_in({path, root}) | set(known_profiles))
    return _assembled(path, code_path, root, tuple(profiles), build, with_schemas=with_schemas)


def _assembled(
    path: Path, code_path: Path, root: Path, profiles: tuple[str, ...], build: dict[str, Any], *, with_schemas: bool
) -> Project:
    description = read_profiled(root, DESCRIPTION, profiles)
    definitions = read_optional(root, USER_DEFINITIONS, profiles)
    check_definitions(definitions, USER_DEFINITIONS)
    version = read_optional(root, VERSION, profiles)
    inputs, outputs = (read_profiled(root, file, profiles) if with_schemas else {} for file in (INPUT_SCHEMA, OUTPUT_SCHEMA))
    config, config_schema = (read_optional(root, file, profiles) for file in (CONFIG, CONFIG_SCHEMA))
    requirements = read_optional(root, REQUIREMENTS, profiles)
    return Project(
        path=path,
        code_path=code_path,
        api_path=root,
        profiles=profiles,
        spec=AlgorithmSpec(
            name=_text("name", (description, DESCRIPTION), (build, BUILD)) or path.name,
            version=_text("version", (description, DESCRIPTION), (version, VERSION), (build, BUILD)) or "0",
            input=interface_of(inputs, INPUT_SCHEMA, definitions),
            output=interface_of(outputs, OUTPUT_SCHEMA, definitions),
            description=description,
        ),
        description=description,
        input_schema=inputs,
        output_schema=outputs,
        config=config,
        config_schema=config_schema,
        version_document=version,
        build=build,
        requirements=requirements,
        user_definitions=definitions,
        python_path=_python_path(path, requirements),
        notes=(*_hidden_definitions(definitions), *_config_notes(config, config_schema)),
    )


def _text(key: str, *documents: tuple[Mapping[str, Any], str]) -> str | None:
    """The value of `key` in the first document that has it; it must be a text that is not empty."""
    for document, file in documents:
        value = document.get(key)
        if value is None:
            continue
        if not isinstance(value, str) or not value.strip():
            shown = "an empty string" if isinstance(value, str) else json_type(value)
            raise ProjectError(f"'{key}' of '{file}' is {shown}; expected a text")
        return value
    return None


def _code_path(path: Path, build: Mapping[str, Any]) -> Path:
    """The folder of the `algorithm` package: `algorithm_path` of build.json (relative to the project), else the project."""
    declared = build.get("algorithm_path")
    if declared is None:
        return path
    if not isinstance(declared, str):
        raise ProjectError(
            f"'algorithm_path' of '{BUILD}' is {json_type(declared)}; expected a folder, or null for the project's own"
        )
    code_path = (path / declared).resolve()
    if not code_path.is_dir():
        raise ProjectError(
            f"'algorithm_path' of '{BUILD}' names '{declared}', which is no folder; null stands for the project's own"
        )
    return code_path


def _python_path(path: Path, requirements: Mapping[str, Any]) -> tuple[Path, ...]:
    """Where the requirements of type `python` are: at their place in the image (`to`), else at their source on this machine."""
    declared = requirements.get("requirements") or {}
    if not isinstance(declared, dict):
        raise ProjectError(
            f"'requirements' of '{REQUIREMENTS}' is {json_type(declared)}; expected an object of name -> {{from, to, type}}"
        )
    found = []
    for name, requirement in declared.items():
        if not isinstance(requirement, dict):
            raise ProjectError(
                f"requirement '{name}' of '{REQUIREMENTS}' is {json_type(requirement)}; expected {{from, to, type}}"
            )
        if requirement.get("type") == "python":
            found.extend(_folders_of(path, requirement))
    return tuple(found)


def _folders_of(path: Path, requirement: Mapping[str, Any]) -> list[Path]:
    target, source = requirement.get("to"), urlsplit(str(requirement.get("from", "")))
    candidates = [Path(target)] if isinstance(target, str) and target else []
    if source.scheme in {"", "file"} and source.path:
        candidates.append(path / unquote(source.path))
    return next(([folder] for folder in candidates if folder.is_dir()), [])


def _hidden_definitions(definitions: Mapping[str, Any]) -> list[str]:
    return [
        f"definition '{name}' of '{USER_DEFINITIONS}' has no effect: PESTO's own comes first" for name in redefined(definitions)
    ]


def _config_notes(config: Mapping[str, Any], schema: dict[str, Any]) -> list[str]:
    """Where config.json is not what config_schema.json says. PESTO does not look, so such a project has to run."""
    if not schema:
        return []
    kind = validator_for(schema, default=jsonschema.Draft6Validator)
    try:
        kind.check_schema(schema)
        errors = list(kind(schema, registry=Registry()).iter_errors(config))
    except (jsonschema.SchemaError, Unresolvable) as error:
        return [f"'{CONFIG_SCHEMA}' is not a usable JSON Schema: {error}".splitlines()[0]]
    places = ["/".join(map(str, error.absolute_path)) for error in errors]
    return [
        f"'{CONFIG}' breaks '{CONFIG_SCHEMA}' at '/{place}': {error.message}" for place, error in zip(places, errors, strict=True)
    ]
