"""One result as files: its outputs, each with the right ending, and its headers. Everything in it is a claim of its sender."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.converters.image import sniff
from pesto_stream.errors import ConfigurationError, DecodeError
from pesto_stream.model import envelope as media
from pesto_stream.serde import cloudevents, json_text

if TYPE_CHECKING:
    from pathlib import Path

    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.record import ConsumerRecord

ENDINGS: Final = {
    media.TIFF: ".tif",
    media.PNG: ".png",
    media.JPEG: ".jpg",
    media.JP2: ".jp2",
    media.NPY: ".npy",
    media.AVRO: ".avro",
}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME: Final = 100
_DIGEST: Final = 16
_MAX_FILES: Final = 1000
_SHORTEST_IMAGE: Final = 64
"""A JSON text of fewer characters is no base64 image."""


def safe_name(text: str) -> str:
    """A file name for any text: letters, digits, `.`, `_`, `-`, no leading dot, at most 100 characters. A text that had to change gets
    `~` and a part of its SHA-256, so that two texts share no name.
    """
    plain = _UNSAFE.sub("_", text).lstrip(".")
    if plain and plain == text and len(plain) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{plain[: _LONGEST_NAME - _DIGEST - 1] or '_'}~{digest}"


class ResultFolder:
    """Writes results below `folder`, one folder for each event id."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits

    def write(self, record: ConsumerRecord) -> Path:
        """The folder with the files of one result: `headers.json`; image outputs as files with their ending; the other outputs in
        `result.json`, where an image's place holds the name of its file. An Avro result stays one file, `result.avro`.

        Raises RecordError for a record that is no result, ConfigurationError where a file cannot be written.
        """
        target = self._folder / safe_name(cloudevents.parse(record, None).id)
        self.write_into(target, record)
        return target

    def write_into(self, target: Path, record: ConsumerRecord) -> None:
        """The files of one result into the folder `target`. Raises as `write`."""
        files = self._files(cloudevents.parse(record, None))
        files["headers.json"] = _json_bytes(_headers(record))
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (target / name).write_bytes(content)
        except OSError as failure:
            raise ConfigurationError(f"cannot write '{failure.filename}': {failure.strerror}") from failure

    def _files(self, envelope: media.Envelope) -> dict[str, bytes]:
        if envelope.content_type == media.JSON:
            return self._json_files(envelope.payload)
        files = {f"result{ENDINGS[envelope.content_type]}": envelope.payload}
        scalars = {
            name: _value(text) for name, text in envelope.parameters.items() if name not in cloudevents.RESERVED_PARAMETERS
        }
        return files | {"result.json": _json_bytes(scalars)} if scalars else files

    def _json_files(self, payload: bytes) -> dict[str, bytes]:
        limits = self._limits
        value = json_text.loads(payload, "result", max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)
        images: dict[str, bytes] = {}
        shown = self._without_images(value, "", images)
        return {**images, "result.json": _json_bytes(shown)}

    def _without_images(self, value: Any, path: str, images: dict[str, bytes]) -> Any:
        """The value with each base64 image replaced by the name of the file that it becomes."""
        if isinstance(value, dict):
            return {name: self._without_images(one, f"{path}.{name}" if path else name, images) for name, one in value.items()}
        if isinstance(value, list):
            return [self._without_images(one, f"{path}.{index}", images) for index, one in enumerate(value)]
        data = _image_bytes(value)
        if data is None:
            return value
        if len(images) >= _MAX_FILES:
            raise DecodeError(f"cannot write a result of more than {_MAX_FILES} images")
        name = safe_name(path or "result") + ENDINGS[str(sniff(data))]
        images[name] = data
        return name


def _image_bytes(value: Any) -> bytes | None:
    """The file behind a text that is a base64 image; None for every other value."""
    if not isinstance(value, str) or len(value) < _SHORTEST_IMAGE:
        return None
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if sniff(data) in ENDINGS else None


def _value(text: str) -> Any:
    """A header of ours holds JSON text; a foreign one may hold anything."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text


def _headers(record: ConsumerRecord) -> dict[str, Any]:
    """Where the record lay, and its headers in their order, as a list of pairs because a name may come several times."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
        "headers": [
            [name, None if value is None else value.decode("utf-8", "backslashreplace")] for name, value in record.headers
        ],
    }


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
