"""The projects in examples/."""

from pathlib import Path
from types import ModuleType

from pesto_stream.algorithms.importing import import_process
from pesto_stream.algorithms.project import load_project

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    """The module algorithm/process.py of an example."""
    module, _ = import_process(load_project(EXAMPLES / name))
    return module
