"""Values against the algorithm's JSON Schema (draft 6, PESTO's), with messages for people.

`Image` is a type of its own here: what stands for an image in memory passes, its content is not the schema's business. References are
only followed inside the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
from referencing import Registry

from pesto_stream.converters.words import shortened
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.errors import RecordError
    from pesto_stream.model.spec import Interface

_LONGEST_MESSAGE = 200
_EXPECTED = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "image": "an image (in JSON: its URL, or its file in base64)",
}


class SchemaCheck:
    """A compiled validator. Safe to use from several threads.

    `what` ("input", "output") starts the messages; `image_types` are the Python types that stand for an image; `refused` is the error
    that is raised.
    """

    def __init__(self, interface: Interface, what: str, image_types: tuple[type, ...], refused: type[RecordError]) -> None:
        self._what = what
        self._refused = refused
        document = interface.json_schema()
        try:
            jsonschema.Draft6Validator.check_schema(document)
        except jsonschema.SchemaError as error:
            raise ConfigurationError(f"the {what} schema is not valid: {error.message[:_LONGEST_MESSAGE]}") from None
        document["definitions"] = document["definitions"] | {"Image": {"type": "image"}}
        document["definitions"].setdefault("Images", {"type": "array", "items": {"$ref": "#/definitions/Image"}})
        checker = jsonschema.Draft6Validator.TYPE_CHECKER.redefine("image", lambda _, value: isinstance(value, image_types))
        validator = jsonschema.validators.extend(jsonschema.Draft6Validator, type_checker=checker)
        self._validator = validator(document, registry=Registry())

    def check(self, values: dict[str, Any]) -> None:
        """Raises the error that was chosen, naming the place of the first value that does not fit."""
        error = next(self._validator.iter_errors(values), None)
        if error is not None:
            raise self._refused(f"{place(self._what, error.absolute_path)}{_why(error)}")


def place(what: str, path: Iterable[str | int]) -> str:
    """`input 'options.masks[2]'`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{what} '{text}'" if text else what


def _why(error: jsonschema.ValidationError) -> str:
    expected = error.validator_value
    if error.validator == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        return f": {shortened(error.instance)} where {' or '.join(_EXPECTED.get(kind, kind) for kind in kinds)} was expected"
    if error.validator == "enum":
        return f": {shortened(error.instance)} where one of {', '.join(map(shortened, expected))} was expected"
    if error.validator in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        return f": {shortened(error.instance)} where {_BOUNDS[error.validator]} {expected} was expected"
    message = error.message
    return f": {message if len(message) <= _LONGEST_MESSAGE else '… ' + message[1 - _LONGEST_MESSAGE :]}"


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
