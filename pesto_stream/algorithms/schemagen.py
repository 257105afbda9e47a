"""The schema files of a project, made from its dataclasses Input and Output."""

from __future__ import annotations

import dataclasses
import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.class_docs import class_texts
from pesto_stream.algorithms.class_schema import SchemaMaker
from pesto_stream.algorithms.files import did_you_mean, read_object
from pesto_stream.algorithms.importing import INPUT_OUTPUT_FILE, import_input_output, unload
from pesto_stream.algorithms.interfaces import interface_of, whole_fields
from pesto_stream.algorithms.project import INPUT_SCHEMA, OUTPUT_SCHEMA, load_project
from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from pesto_stream.algorithms.project import Project

_CLASSES = {"Input": INPUT_SCHEMA, "Output": OUTPUT_SCHEMA}
_GENERATED = ("required", "description")
"""Of the keys that speak of the whole: those that are made from the class. The others are kept as they are in the file."""


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """`file` is its name below the project, `written` what is there now (None: nothing), `generated` what the class says."""

    path: Path
    file: str
    written: Mapping[str, Any] | None
    generated: Mapping[str, Any]

    @property
    def up_to_date(self) -> bool:
        """Whether both say the same; an empty description, as PESTO writes it, says nothing."""
        return self.written is not None and _without_empty(self.written) == _without_empty(self.generated)

    def difference(self) -> str:
        """A unified diff from the file to what would be written; "" where it is up to date."""
        if self.up_to_date:
            return ""
        before = [] if self.written is None else _text(_without_empty(self.written)).splitlines()
        lines = difflib.unified_diff(
            before, _text(self.generated).splitlines(), self.file, f"{self.file} (generated)", lineterm=""
        )
        return "\n".join(lines)

    def write(self) -> None:
        """Raises ProjectError where the file cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(_text(self.generated), encoding="utf-8")
        except OSError as error:
            raise ProjectError(f"cannot write '{self.file}': {error.strerror or error}") from error


def generated_schemas(path: Path, profiles: Sequence[str] = (), known_profiles: Collection[str] = ()) -> list[SchemaFile]:
    """Both schema files of the project in folder `path`; nothing is written.

    Raises ProjectError for classes that are missing, no dataclasses, or have a field of which no schema can be made.
    """
    project = load_project(path, profiles, known_profiles, with_schemas=False)
    try:
        module = import_input_output(project)
        return [_schema_file(project, module, name, file) for name, file in _CLASSES.items()]
    finally:
        unload()


def _schema_file(project: Project, module: ModuleType, name: str, file: str) -> SchemaFile:
    kind = _dataclass(module, name)
    texts = class_texts((project.code_path / INPUT_OUTPUT_FILE).read_text(encoding="utf-8-sig"))
    maker = SchemaMaker(INPUT_OUTPUT_FILE, project.user_definitions, texts)
    path = project.api_path / file
    written = read_object(path, file) if path.is_file() else None
    document = _document(maker, kind, written or {})
    interface_of(document, file, project.user_definitions)
    return SchemaFile(path, file, written, document)


def _document(maker: SchemaMaker, kind: Any, written: Mapping[str, Any]) -> dict[str, Any]:
    properties = maker.properties(kind)
    kept = {key: value for key, value in whole_fields(written).items() if key not in _GENERATED}
    whole: dict[str, Any] = {"required": maker.required(kind)}
    if description := maker.description(kind):
        whole = {"description": description, **whole}
    reserved = {*whole, *kept, "required", "description", "properties", "title", "type"} & properties.keys()
    return {**kept, "properties": properties, **whole} if reserved else {**kept, **properties, **whole}


def _dataclass(module: ModuleType, name: str) -> type:
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        names = (each for each, value in vars(module).items() if isinstance(value, type))
        raise ProjectError(f"'{INPUT_OUTPUT_FILE}' has no class '{name}'{did_you_mean(name, names)}")
    if not dataclasses.is_dataclass(kind):
        raise ProjectError(f"class {name} of '{INPUT_OUTPUT_FILE}' is no dataclass; write '@dataclass' above it")
    return kind


def _without_empty(value: Any, *, names: bool = False) -> Any:
    """A copy without empty descriptions. `names`: the keys of `value` are names of properties, not keywords."""
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: one for key, one in value.items() if names or key != "description" or one != ""}
    return {key: _without_empty(one, names=key == "properties" and not names) for key, one in kept.items()}


def _text(document: Mapping[str, Any]) -> str:
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"
