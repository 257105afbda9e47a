"""The result of an asynchronous job, taken apart: PESTO hands out each output under a name of its own. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from pesto_stream.model.spec import IMAGE_REF, IMAGES_REF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pesto_stream.model.spec import Schema

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x93NUMPY", "application/x-npy"),
)
"""The first bytes of the files that our own encoders write; PESTO's clients look at the media type."""


class Part(NamedTuple):
    media_type: str
    body: bytes


class Results(NamedTuple):
    """`parts` by the name in their link; `layout` is, by output, the name of its part, or the names of a list of images."""

    parts: dict[str, Part]
    layout: dict[str, str | list[str]]

    @property
    def size(self) -> int:
        return sum(len(part.body) for part in self.parts.values())


def results_of(value: bytes, properties: Mapping[str, Schema]) -> Results:
    """`value` is the result as JSON; an output that is null has no part. Images are files, texts text, the rest is JSON."""
    results = Results({}, {})
    for name, output in orjson.loads(value).items():
        schema = properties.get(name, {})
        if output is None:
            continue
        if _is_images(schema):
            results.layout[name] = [_added(results, f"{name}{index}", _image(one)) for index, one in enumerate(output)]
        else:
            results.layout[name] = _added(results, name, _part(output, schema))
    return results


def links(results: Results, base: str) -> Iterator[tuple[str, str | list[str]]]:
    """By output, the address of each part below `base`."""
    for name, parts in results.layout.items():
        yield name, [f"{base}/{part}" for part in parts] if isinstance(parts, list) else f"{base}/{parts}"


def _is_images(schema: Schema) -> bool:
    items = schema.get("items")
    return schema.get("$ref") == IMAGES_REF or (isinstance(items, dict) and items.get("$ref") == IMAGE_REF)


def _added(results: Results, name: str, part: Part) -> str:
    """The part's own name: an output may be called as an image of a list."""
    while name in results.parts:
        name += "_"
    results.parts[name] = part
    return name


def _part(output: Any, schema: Schema) -> Part:
    if schema.get("$ref") == IMAGE_REF:
        return _image(output)
    if isinstance(output, str):
        return Part("text/plain; charset=utf-8", output.encode())
    return Part("application/json", orjson.dumps(output))


def _image(text: str) -> Part:
    data = base64.b64decode(text, validate=True)
    kind = next((media_type for start, media_type in _SIGNATURES if data.startswith(start)), "application/octet-stream")
    return Part(kind, data)
