"""An algorithm with one input of every declared kind, good requests for it, and what a message for people looks like."""

from __future__ import annotations

import base64
import ctypes
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from support import images

IMAGE = {"$ref": "#/definitions/Image"}
INPUTS: dict[str, Any] = {
    "image": IMAGE,
    "images": {"$ref": "#/definitions/Images"},
    "area": {"$ref": "#/definitions/Polygon"},
    "info": {"$ref": "#/definitions/Metadata"},
    "gain": {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.25},
    "count": {"type": "integer"},
    "label": {"type": "string", "maxLength": 1000},
    "flag": {"type": "boolean"},
    "mode": {"type": "string", "enum": ["fast", "slow"]},
    "weights": {"type": "array", "items": {"type": "number"}, "maxItems": 8},
    "options": {
        "type": "object",
        "required": ["limit"],
        "properties": {"limit": {"type": "integer"}, "mask": IMAGE, "tags": {"type": "array", "items": {"type": "string"}}},
    },
    "sensor": {"$ref": "#/definitions/Sensor"},
}
DEFINITIONS: dict[str, Any] = {
    "Sensor": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "bands": {"type": "integer"}}}
}
OUTPUTS: dict[str, Any] = {
    "image": IMAGE,
    "mean": {"type": "number"},
    "label": {"type": "string"},
    "info": {"$ref": "#/definitions/Metadata"},
}
WRONG: dict[str, Any] = {
    "image": 7,
    "images": ["not base64!"],
    "area": {"type": "Point", "coordinates": [1, 2]},
    "info": ["no", "object"],
    "gain": "much",
    "count": 1.5,
    "label": 12,
    "flag": "yes",
    "mode": "medium",
    "weights": [1, "two"],
    "options": {"limit": "none"},
    "sensor": {"bands": 3},
}
"""A value of the wrong type for each input."""

PIXELS = images.ramp(1, 8, 8)
PNG = images.hand_png(4, 4, images.zlib.compress(bytes(20)))
TIFF = images.geotiff(PIXELS)
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def a_request(**changes: Any) -> dict[str, Any]:
    """Every input, as JSON takes it. A change to None leaves the input out."""
    values = {
        "image": base64_of(TIFF),
        "images": [base64_of(PNG), base64_of(PNG)],
        "area": SQUARE,
        "info": {"source": {"name": "x"}},
        "gain": 2.0,
        "count": 3,
        "label": "a label",
        "flag": True,
        "mode": "fast",
        "weights": [0.5, 1],
        "options": {"limit": 4, "mask": base64_of(PNG), "tags": ["a"]},
        "sensor": {"name": "s", "bands": 4},
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def a_datum(**changes: Any) -> dict[str, Any]:
    """Every input, as the derived Avro schema takes it."""
    raster = {"dtype": "uint8", "shape": [1, 8, 8], "data": PIXELS.tobytes(), "crs": None, "transform": None, "nodata": None}
    png = ("pesto.EncodedImage", {"data": PNG, "media_type": "image/png"})
    values = {
        "image": ("pesto.Raster", raster),
        "images": [png, png],
        "area": '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}',
        "info": '{"source": 1}',
        "gain": 2.0,
        "count": 3,
        "label": "a label",
        "flag": True,
        "mode": "fast",
        "weights": [0.5, 1.0],
        "options": {"limit": 4, "mask": None, "tags": ["a"]},
        "sensor": {"name": "s", "bands": 4},
    }
    return {**values, **changes}


def raster(**changes: Any) -> tuple[str, dict[str, Any]]:
    name, record = a_datum()["image"]
    return name, {**record, **changes}


_PLACES = tuple({sys.prefix, sys.base_prefix, str(Path(importlib.util.find_spec("pesto_stream").origin).parent)} - {"/", "/usr"})
_INTERNALS = re.compile(r"Traceback|File \"|/vsimem|0x[0-9a-f]{6,}|<[\w.]+ object")


def check_message(message: str) -> None:
    """One line of bounded length that a person can read, and that tells nothing about this machine. Raises AssertionError."""
    assert 10 < len(message) <= 2000, len(message)
    assert message.isprintable(), f"not printable: {message!r}"
    assert message[:1].islower() or re.match(r"Avro |[A-Z]\w+(:| \() ?", message), f"starts oddly: {message}"
    assert not message.endswith("."), message
    assert not _INTERNALS.search(message), f"internals in: {message}"
    assert not [place for place in _PLACES if place in message], f"a path of this machine in: {message}"


class RawProducer:
    """librdkafka by its C interface: header names that Python's client cannot even write. One record of topic, value and header a call."""

    def __init__(self, bootstrap_servers: str) -> None:
        folder = Path(importlib.util.find_spec("confluent_kafka").origin).parent.parent / "confluent_kafka.libs"
        self._library = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
        self._library.rd_kafka_conf_new.restype = self._library.rd_kafka_new.restype = ctypes.c_void_p
        settings, problem = ctypes.c_void_p(self._library.rd_kafka_conf_new()), ctypes.create_string_buffer(512)
        for name, value in (("bootstrap.servers", bootstrap_servers), ("log_level", "2")):
            assert self._library.rd_kafka_conf_set(settings, name.encode(), value.encode(), problem, 512) == 0, problem.value
        self._client = ctypes.c_void_p(self._library.rd_kafka_new(0, settings, problem, 512))
        assert self._client.value, problem.value

    def send(self, topic: str, value: bytes, header: tuple[bytes, bytes]) -> None:
        """Waits until the broker has it. The numbers are `rd_kafka_vtype_t`."""
        pairs = (
            *(ctypes.c_int(1), ctypes.c_char_p(topic.encode())),
            *(ctypes.c_int(3), ctypes.c_int32(0)),
            *(ctypes.c_int(7), ctypes.c_int(2)),
            *(ctypes.c_int(4), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
            *(ctypes.c_int(9), ctypes.c_char_p(header[0]), ctypes.c_char_p(header[1]), ctypes.c_ssize_t(len(header[1]))),
        )
        assert self._library.rd_kafka_producev(self._client, *pairs, ctypes.c_int(0)) == 0
        assert self._library.rd_kafka_flush(self._client, 30_000) == 0

    def close(self) -> None:
        self._library.rd_kafka_destroy(self._client)


EVERYTHING_PROCESS = """
    import sys

    import numpy as np

    endless = []
    endless.append(endless)

    class Silent(Exception):
        def __str__(self):
            raise ValueError("no text")

    def fail(error):
        raise error

    def recurse(number=0):
        return recurse(number + 1) + 1

    def path():
        raise ImportError(f"cannot import from {sys.prefix}/lib/python/site.py and {np.__file__}")

    ACTS = {
        "raise": lambda: 1 / 0,
        "exit": lambda: sys.exit(7),
        "interrupt": lambda: fail(KeyboardInterrupt()),
        "generator-exit": lambda: fail(GeneratorExit()),
        "recurse": recurse,
        "long-message": lambda: fail(ValueError("x" * 3_000_000)),
        "surrogate-message": lambda: fail(ValueError("half \\ud800 a character")),
        "control-message": lambda: fail(ValueError("red \\x1b[31m text")),
        "path-message": path,
        "silent-message": lambda: fail(Silent()),
        "none": lambda: None,
        "list": lambda: [1.0],
        "number-as-name": lambda: {1: 2},
        "wrong-shape": lambda: {"image": np.zeros(5), "mean": 1.0},
        "object-array": lambda: {"image": np.array([[object()]]), "mean": 1.0},
        "complex-array": lambda: {"image": np.zeros((2, 2), complex), "mean": 1.0},
        "half-array": lambda: {"image": np.zeros((2, 2), "float16"), "mean": 1.0},
        "list-as-image": lambda: {"image": [[1, 2]], "mean": 1.0},
        "nan": lambda: {"info": {"a": {"b": [1.0, float("nan")]}}, "mean": 1.0},
        "bytes": lambda: {"info": {"a": b"x"}, "mean": 1.0},
        "endless": lambda: {"info": {"a": endless}, "mean": 1.0},
        "surrogate": lambda: {"label": "\\ud800", "mean": 1.0},
        "unknown-output": lambda: {"maen": 1.0},
        "missing-output": lambda: {"label": "x"},
        "wrong-output": lambda: {"mean": "many"},
    }

    class Process:
        def process(self, image, images=None, area=None, info=None, gain=None, count=None, label=None, flag=None, mode=None,
                    weights=None, options=None, sensor=None, act=None):
            if act is not None:
                return ACTS[act]()
            outputs = {"image": image, "mean": float(image.mean()), "label": label, "info": info}
            return {name: value for name, value in outputs.items() if value is not None}
"""
PLAIN_PROCESS = """
    class Process:
        def process(self, image, gain=None, label=None, flag=None, info=None, act=None):
            outputs = {"image": image, "mean": float(image.mean())}
            if act == "surrogate":
                return outputs | {"label": "\\ud800"}
            if act == "large":
                return outputs | {"label": "x" * 20_000_000}
            return outputs if label is None else outputs | {"label": label}
"""
