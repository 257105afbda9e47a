"""What a module's source says about its classes: docstrings of classes, and of their fields.

A field's text is the string that stands below it, or its line in the `Attributes:` section of the class's docstring (Google's style).
A dataclass without a docstring is given one by Python; that one is not in the source, and so not found here.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECTION = re.compile(r"^(Attributes|Args|Parameters|Fields):\s*$")
_ENTRY = re.compile(r"^(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class ClassText:
    """`description` is the class's own text, "" where it has none; `fields` the texts of its fields."""

    description: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def class_texts(source: str) -> dict[str, ClassText]:
    """The texts of all classes at the top of a module's source, by class name."""
    return {node.name: _text_of(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _text_of(node: ast.ClassDef) -> ClassText:
    description, listed = _sections(inspect.cleandoc(ast.get_docstring(node) or ""))
    return ClassText(description, {**listed, **_below_fields(node)})


def _below_fields(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for one, following in zip(node.body, node.body[1:], strict=False):
        is_field = isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if is_field and is_text and isinstance(following.value.value, str):  # type: ignore[attr-defined]  # an Expr of a Constant
            found[one.target.id] = _one_line(following.value.value)  # type: ignore[attr-defined]
    return found


def _sections(docstring: str) -> tuple[str, dict[str, str]]:
    """(text without the section of attributes, attribute -> text)."""
    kept: list[str] = []
    entries: dict[str, str] = {}
    name, inside = "", False
    for line in docstring.splitlines():
        if _SECTION.match(line):
            inside, name = True, ""
        elif not inside or (line and not line[0].isspace()):
            inside = False
            kept.append(line)
        elif found := _ENTRY.match(line.strip()):
            name = found[1]
            entries[name] = found[2]
        elif name and line.strip():
            entries[name] = f"{entries[name]} {line.strip()}"
    return _one_line("\n".join(kept)), {each: _one_line(text) for each, text in entries.items()}


def _one_line(text: str) -> str:
    """Lines of a paragraph joined, paragraphs kept apart."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()))
