"""`pesto.cli.fields`: how the dataclasses Input and Output say what a field is.

The names, parameters and metadata keys are PESTO 1.7.2's, so that a class reads the same with either.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any


class Definition(Enum):
    """PESTO's own definitions, as in `#/definitions/Image`."""

    Image = 1
    Images = 2
    Polygon = 3
    Polygons = 4
    Metadata = 5
    Metadatas = 6


class Param:
    """Keys of a field's metadata."""

    type = "pesto.type"
    description = "pesto.description"
    required = "pesto.required"


NATIVES = {str: "string", int: "integer", float: "number"}


def field(description: str = "", required: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - PESTO's signature
    """A field whose annotation says its type. `kwargs` are those of `dataclasses.field`."""
    return dataclasses.field(metadata={Param.description: description, Param.required: required}, **kwargs)


def definition(definition: Definition, description: str = "", required: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - PESTO's signature
    """A field of one of PESTO's own types."""
    return _typed(definition, description, required=required, kwargs=kwargs)


def user_definition(definition: str, description: str = "", required: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - PESTO's signature
    """A field of a type from the project's user_definitions.json."""
    return _typed(definition, description, required=required, kwargs=kwargs)


def _typed(kind: Definition | str, description: str, *, required: bool, kwargs: dict[str, Any]) -> Any:
    return dataclasses.field(metadata={Param.type: kind, Param.description: description, Param.required: required}, **kwargs)
