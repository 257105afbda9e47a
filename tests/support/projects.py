"""PESTO projects written into a folder, as small as a test needs them.

a_project(tmp_path)                                       # the default: image, threshold -> mask, coverage
a_project(tmp_path, process=body("return {'n': 1}"), inputs={"image": IMAGE}, outputs={"n": NUMBER})
an_algorithm(tmp_path, process=...)                       # written, loaded, checked, started
an_invocation(image=array)                                # what a converter would hand to the algorithm
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pesto_stream.algorithms.binding import BoundAlgorithm, load_algorithm
from pesto_stream.algorithms.project import Project, load_project
from pesto_stream.model.envelope import JSON, Envelope
from pesto_stream.model.invocation import Invocation, TileContext
from pesto_stream.model.tile import Tile

IMAGE = {"$ref": "#/definitions/Image"}
IMAGES = {"$ref": "#/definitions/Images"}
POLYGON = {"$ref": "#/definitions/Polygon"}
POLYGONS = {"$ref": "#/definitions/Polygons"}
METADATA = {"$ref": "#/definitions/Metadata"}
METADATAS = {"$ref": "#/definitions/Metadatas"}
NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}
STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}

THRESHOLD = """
    class Process:
        def process(self, image, threshold=None):
            mask = (image[0] > (threshold or 0)).astype("uint8")
            return {"mask": mask, "coverage": float(mask.mean())}
"""
THRESHOLD_INPUTS = {"image": IMAGE, "threshold": NUMBER}
THRESHOLD_OUTPUTS = {"mask": IMAGE, "coverage": NUMBER}


def body(statements: str, parameters: str = "image", imports: str = "") -> str:
    """A process.py whose `process` takes `parameters` and has these statements; statement 1 is line 4 where there are no imports."""
    lines = textwrap.indent(textwrap.dedent(statements).strip("\n"), " " * 8)
    head = f"{textwrap.dedent(imports).strip()}\n\n" if imports else "\n"
    return f"{head}class Process:\n    def process(self, {parameters}):\n{lines}\n"


def a_project(
    folder: Path,
    *,
    process: str = THRESHOLD,
    inputs: Mapping[str, Any] = THRESHOLD_INPUTS,
    outputs: Mapping[str, Any] = THRESHOLD_OUTPUTS,
    required: Sequence[str] | None = None,
    required_outputs: Sequence[str] | None = None,
    input_output: str | None = None,
    name: str = "an-algorithm",
    version: str = "1.2.3",
    definitions: Mapping[str, Any] | None = None,
    description: Mapping[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
) -> Path:
    """Write a project to `folder / name` and return that path.

    `inputs` and `outputs` map property names to schemas; `required` are names of inputs (None: every image), `required_outputs` of
    outputs (None: all). `process` and `input_output` are the text of algorithm/process.py and input_output.py, indented as you like.
    `files` are more files or other contents for the ones above, by path: text or bytes as they are, None leaves a file out, anything
    else as JSON.
    """
    needed = [key for key, schema in inputs.items() if schema == IMAGE] if required is None else list(required)
    given = list(outputs) if required_outputs is None else list(required_outputs)
    content: dict[str, Any] = {
        "algorithm/__init__.py": "",
        "algorithm/process.py": process,
        "algorithm/input_output.py": input_output,
        "pesto/api/description.json": {"name": name, "version": version, "title": name, **(description or {})},
        "pesto/api/input_schema.json": {**inputs, "required": needed},
        "pesto/api/output_schema.json": {**outputs, "required": given},
        "pesto/api/user_definitions.json": definitions,
        "pesto/build/build.json": {"name": name, "version": version, "algorithm_path": None, "workspace": None},
        **(files or {}),
    }
    for path, value in content.items():
        _write(folder / name / path, value)
    return folder / name


def a_loaded_project(folder: Path, *, profiles: Sequence[str] = (), **parts: Any) -> Project:
    """`a_project`, read and checked."""
    return load_project(a_project(folder, **parts), profiles)


def an_algorithm(folder: Path, *, profiles: Sequence[str] = (), started: bool = True, **parts: Any) -> BoundAlgorithm:
    """`a_project`, loaded, and `on_start` called."""
    algorithm = load_algorithm(a_loaded_project(folder, profiles=profiles, **parts))
    if started:
        algorithm.on_start()
    return algorithm


def an_image(bands: int = 1, height: int = 4, width: int = 5, dtype: str = "uint8") -> np.ndarray:
    """(C, H, W), each pixel another value as far as the dtype goes."""
    return np.arange(bands * height * width).reshape(bands, height, width).astype(dtype)


def an_invocation(context: TileContext | None = None, **inputs: Any) -> Invocation:
    """Decoded inputs by name; arrays count as tiles without georeference."""
    envelope = Envelope(id="1", source="/tests", type=None, content_type=JSON, payload=b"")
    tiles = tuple(Tile(value) for value in inputs.values() if isinstance(value, np.ndarray))
    return Invocation(
        envelope=envelope,
        inputs=inputs,
        context=context or TileContext(),
        tiles=tiles,
        decoded_bytes=sum(tile.array.nbytes for tile in tiles),
    )


def _write(file: Path, value: Any) -> None:
    if value is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, bytes):
        file.write_bytes(value)
    else:
        text = textwrap.dedent(value) if isinstance(value, str) else json.dumps(value, indent=2)
        file.write_text(text, encoding="utf-8")
