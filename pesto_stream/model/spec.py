"""What an algorithm takes and gives, as its project declares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]

IMAGE_REF = "#/definitions/Image"
IMAGES_REF = "#/definitions/Images"


@dataclass(frozen=True, slots=True)
class Interface:
    """The input or the output of an algorithm.

    `properties` maps each name to its JSON Schema, with references into `definitions` (`{"$ref": "#/definitions/Image"}`).
    """

    properties: Mapping[str, Schema]
    required: frozenset[str] = frozenset()
    definitions: Mapping[str, Schema] = field(default_factory=dict)

    def json_schema(self) -> Schema:
        """A complete JSON Schema of the whole object."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": sorted(self.required),
            "definitions": dict(self.definitions),
        }


@dataclass(frozen=True, slots=True)
class AlgorithmSpec:
    name: str
    version: str
    input: Interface
    output: Interface
    description: Mapping[str, Any] = field(default_factory=dict)
