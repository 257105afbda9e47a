"""One project for each kind of mistake that the start finds, and the message that its author gets: for a test, and for the documentation.

PYTHONPATH=tests python -m support.project_mistakes docs/project-errors.md      rewrite the page's table
"""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.projects import IMAGE, INTEGER, NUMBER, STRING, a_project, body

START, END = "<!-- mistakes -->", "<!-- /mistakes -->"

CLASSES = """
from dataclasses import dataclass
from pesto.cli.fields import Definition, definition, field, user_definition

@dataclass
class Input:
    image: object = definition(Definition.Image, required=True)
    gain: float = field("factor", default=1.0)

@dataclass
class Output:
    mask: object = definition(Definition.Image)
"""
WHOLE = """
from algorithm.input_output import Input

class Process:
    def process(self, input: Input): return {}
"""
BOTH = {"inputs": {"image": IMAGE, "gain": NUMBER}, "outputs": {"mask": IMAGE}, "input_output": CLASSES, "process": WHOLE}
ONE = {"inputs": {"image": IMAGE, "gain": NUMBER}, "outputs": {"mask": IMAGE}}


def method(parameters: str, body_of_it: str = "return {}", extra: str = "") -> str:
    return body(body_of_it, parameters) + textwrap.indent(extra, "    ")


@dataclass(frozen=True)
class Mistake:
    """`parts` are those of `support.projects.a_project`."""

    what: str
    message: str
    parts: dict[str, Any] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()


SCHEMAS = (
    Mistake(
        "a schema file is missing",
        "cannot read 'pesto/api/input_schema.json': the file is missing; create it as PESTO's project layout has it",
        {"files": {"pesto/api/input_schema.json": None}},
    ),
    Mistake(
        "a file is not JSON",
        "'pesto/api/output_schema.json' is not JSON: Expecting property name enclosed in double quotes at line 1 column 2",
        {"files": {"pesto/api/output_schema.json": "{mask: 1}"}},
    ),
    Mistake(
        "a file holds something other than an object",
        "'pesto/api/description.json' holds an array; expected a JSON object {...}",
        {"files": {"pesto/api/description.json": []}},
    ),
    Mistake(
        "a property is no schema",
        "property 'gain' of 'pesto/api/input_schema.json' is a string; expected a schema, as in {\"type\": \"number\"}",
        {"inputs": {"gain": "number"}},
    ),
    Mistake(
        "a property's schema is not valid",
        "property 'gain' of 'pesto/api/input_schema.json' is not a valid JSON Schema at 'type': 'nuber' is not valid under any of the given "
        "schemas",
        {"inputs": {"gain": {"type": "nuber"}}},
    ),
    Mistake(
        "a definition that is not there",
        "property 'image' of 'pesto/api/input_schema.json' refers to '#/definitions/Imag', which is not defined; did you mean 'Image'?; "
        "defined are Image, Images, Metadata, Metadatas, Polygon, Polygons",
        {"inputs": {"image": {"$ref": "#/definitions/Imag"}}},
    ),
    Mistake(
        "a definition in another file",
        "property 'area' of 'pesto/api/input_schema.json' refers to 'https://example.org/area.json', which is not read; copy it into "
        "'pesto/api/user_definitions.json'",
        {"inputs": {"area": {"$ref": "https://example.org/area.json"}}},
    ),
    Mistake(
        "user definitions that go in circles",
        "definitions of 'pesto/api/user_definitions.json' refer to each other without end: a -> b -> a; give one of them a type",
        {"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}},
    ),
    Mistake(
        "`required` names no property",
        "'required' of 'pesto/api/input_schema.json' names 'imgae', which is no property of it; did you mean 'image'?",
        {"required": ["imgae"]},
    ),
    Mistake(
        "a schema's own default that it refuses",
        "'pesto/api/input_schema.json' gives 'gain' the default 'high', which its schema in 'pesto/api/input_schema.json' refuses: 'high' is "
        "not of type 'number'; correct it, or the schema beside it",
        {"inputs": {"gain": {"type": "number", "default": "high"}}, "process": method("gain")},
    ),
    Mistake(
        "a profile that no file belongs to",
        "profile 'gpo' has no file F.gpo.json in the project; did you mean 'gpu'?; profiles that exist: 'gpu'",
        {"files": {"pesto/api/config.gpu.json": {}}},
        ("gpo",),
    ),
)
SIGNATURE = (
    Mistake(
        "no algorithm/process.py",
        "project 'an-algorithm' has no file 'algorithm/process.py'; it holds the class Process",
        {"files": {"algorithm/process.py": None}},
    ),
    Mistake(
        "no class Process",
        "'algorithm/process.py' of project 'an-algorithm' has no class 'Process'; did you mean 'Proces'?",
        {"process": "class Proces: pass"},
    ),
    Mistake(
        "no method process",
        "class Process in 'algorithm/process.py' has no method 'process'; did you mean 'proces'?",
        {"process": "class Process:\n    def proces(self, image): pass"},
    ),
    Mistake(
        "a declared input that process does not take",
        "'pesto/api/input_schema.json' declares 'gain', for which process of 'algorithm/process.py' has no parameter; did you mean 'gains'?",
        {**ONE, "process": method("image, gains=1")},
    ),
    Mistake(
        "a parameter that is not declared",
        "process of 'algorithm/process.py' has a parameter 'gains', which 'pesto/api/input_schema.json' does not declare; did you mean 'gain'?",
        {**ONE, "process": method("image, gain, gains")},
    ),
    Mistake(
        "one parameter for all inputs without its annotation",
        "process of 'algorithm/process.py' has a parameter 'input', which 'pesto/api/input_schema.json' does not declare; write 'input: "
        "Input' to be given all inputs in one object",
        {**BOTH, "process": method("input")},
    ),
    Mistake(
        "a parameter beside the one for all inputs",
        "process of 'algorithm/process.py' has a parameter 'gain' beside 'input: Input'; the inputs are all in 'input', and only a parameter "
        "annotated with pesto_stream.TileContext may stand beside it",
        {**BOTH, "process": WHOLE.replace("input: Input", "input: Input, gain")},
    ),
    Mistake(
        "class Input without a field for a declared input",
        "'pesto/api/input_schema.json' declares 'gian', for which class Input of 'algorithm/input_output.py' has no field; did you mean 'gain'?",
        {**BOTH, "inputs": {"image": IMAGE, "gain": NUMBER, "gian": NUMBER}},
    ),
    Mistake(
        "class Output without a field for a required output",
        "'pesto/api/output_schema.json' requires 'maks', for which class Output of 'algorithm/input_output.py' has no field; did you mean "
        "'mask'?",
        {**BOTH, "outputs": {"maks": IMAGE}},
    ),
    Mistake(
        "a default that the schema refuses",
        "process of 'algorithm/process.py' gives 'gain' the default '0.5', which its schema in 'pesto/api/input_schema.json' refuses: 0.5 is "
        "not of type 'integer'; leave it out, set it to None, or correct one of the two",
        {"inputs": {"image": IMAGE, "gain": INTEGER}, "process": method("image, gain=0.5")},
    ),
    Mistake(
        "a default of class Input that the schema refuses",
        "class Input of 'algorithm/input_output.py' gives 'gain' the default '1.0', which its schema in 'pesto/api/input_schema.json' "
        "refuses: 1.0 is not of type 'string'; leave it out, set it to None, or correct one of the two",
        {**BOTH, "inputs": {"image": IMAGE, "gain": STRING}},
    ),
    Mistake(
        "process is a coroutine or a generator",
        "process of 'algorithm/process.py' is a generator function; expected a plain function that returns its outputs",
        {**ONE, "process": method("image, gain", "yield {}")},
    ),
    Mistake(
        "positional parameters",
        "process of 'algorithm/process.py' has a parameter 'image' before '/'; inputs are given by name, so take the '/' away",
        {**ONE, "process": method("image, gain, /")},
    ),
    Mistake(
        "a hook that is no method",
        "'on_start' of class Process in 'algorithm/process.py' cannot be called; expected a method, or none",
        {**ONE, "process": method("image, gain", extra="on_start = 3\n")},
    ),
    Mistake(
        "process_batch with a parameter for each input",
        "process_batch of 'algorithm/process.py' has a parameter 'gain' beside 'image'; it is given the inputs of all tiles in one list: "
        "write 'process_batch(self, inputs: list) -> list', with 'contexts: list[pesto_stream.TileContext]' behind it where needed",
        {**ONE, "process": method("image, gain", extra="def process_batch(self, image, gain): pass\n")},
    ),
    Mistake(
        "max_concurrency is no count",
        "'max_concurrency' of class Process in 'algorithm/process.py' is '0'; expected an integer from 1, or none at all",
        {**ONE, "process": method("image, gain", extra="max_concurrency = 0\n")},
    ),
)
IMPORTS = (
    Mistake(
        "a package that is not installed",
        "cannot import 'algorithm/process.py' of project 'an-algorithm': ModuleNotFoundError: No module named 'not_there' (process.py:1 in "
        "<module>); install 'not_there', or add it to pesto/build/requirements.json\n"
        "  process.py:1 in <module>\n    import not_there.deep",
        {"process": "import not_there.deep"},
    ),
    Mistake(
        "an error while it is imported",
        "cannot import 'algorithm/process.py' of project 'an-algorithm': ZeroDivisionError: division by zero (beside.py:2 in rate, from "
        "process.py:2 in <module>)\n"
        "  process.py:2 in <module>\n    rate()\n  beside.py:2 in rate\n    return 1 / 0",
        {"process": "from beside import rate\nrate()\n", "files": {"beside.py": "def rate():\n    return 1 / 0\n"}},
    ),
    Mistake(
        "a syntax error",
        "cannot import 'algorithm/process.py' of project 'an-algorithm': SyntaxError: '(' was never closed (process.py:1)",
        {"process": "x = (1"},
    ),
)
GROUPS = {"Files and schemas": SCHEMAS, "Class, methods and defaults": SIGNATURE, "Imports": IMPORTS}
ALL = [mistake for group in GROUPS.values() for mistake in group]


def shown(error: BaseException) -> str:
    """An error as the command line shows it, without its first word."""
    return "\n".join((str(error), *getattr(error, "__notes__", ())))


def project_of(mistake: Mistake, folder: Path) -> Path:
    return a_project(folder, **mistake.parts)


def table() -> str:
    """The page's part between the marks."""
    lines = []
    for title, mistakes in GROUPS.items():
        lines += [f"## {title}", "", "| the mistake | the message |", "|---|---|"]
        lines += [f"| {mistake.what} | {_cell(mistake.message)} |" for mistake in mistakes]
        lines += [""]
    return "\n".join(lines)


def _cell(message: str) -> str:
    return "<br>".join(f"`{line.replace('|', chr(92) + '|')}`" for line in message.splitlines())


def page(text: str) -> str:
    """The page with its table as it is now."""
    return re.sub(f"{START}.*?{END}", lambda _: f"{START}\n\n{table()}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    assert tempfile.gettempdir() not in table()
    path.write_text(page(path.read_text("utf-8")), "utf-8")
