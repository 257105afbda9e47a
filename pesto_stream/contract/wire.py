"""The schemas of what travels, as they are shipped in `schemas/v1`, and the check of a document against one of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pesto_stream

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

VERSION: Final = "v1"
"""A schema that breaks a reader or a writer of the older one goes into a folder of its own."""
_ENDING: Final = ".schema.json"


def schemas_folder() -> Path:
    """Inside of the installed package, or beside it in a source tree."""
    package = Path(pesto_stream.__file__).parent
    installed = package / "_data" / "schemas"
    return (installed if installed.is_dir() else package.parent / "schemas") / VERSION


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON Schema `name` (such as `image`). Not to be changed: it is shared."""
    document: dict[str, Any] = json.loads((schemas_folder() / f"{name}{_ENDING}").read_text("utf-8"))
    return document


def problems(name: str, document: Any) -> list[str]:
    """What is wrong with a document, place first; empty where it is as schema `name` says."""
    errors = sorted(_validator(name).iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    return [
        f"'{'/'.join(map(str, error.absolute_path))}': {error.message}" if error.absolute_path else error.message
        for error in errors
    ]


def header_schemas() -> dict[str, dict[str, Any]]:
    """Of the records of each topic: `request`, `result`, `dead_letter`."""
    common, result = schema("headers"), schema("result")["properties"]["headers"]
    return {
        "request": common,
        "result": {**common, "required": result["required"], "title": "Headers of a result"},
        "dead_letter": schema("deadLetterHeaders"),
    }


@cache
def _validator(name: str) -> Validator:
    import jsonschema  # noqa: PLC0415 - slow to import, and the documents need only the schemas
    from referencing import Registry  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    files = schemas_folder().glob(f"*{_ENDING}")
    known = [(file.name, DRAFT202012.create_resource(schema(file.name.removesuffix(_ENDING)))) for file in files]
    return jsonschema.Draft202012Validator(schema(name), registry=Registry().with_resources(known))
