"""Importing a project's `algorithm` package: every project calls it that, and a process runs one of them.

Loading another project afterwards replaces the first one's modules; its objects stay usable, but what they import late would be the new
project's.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from pesto_stream.algorithms.blame import Blame
from pesto_stream.algorithms.compat import install
from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pesto_stream.algorithms.project import Project

_Modules = TypeVar("_Modules")

PACKAGE = "algorithm"
PROCESS_MODULE = "algorithm.process"
INPUT_OUTPUT_MODULE = "algorithm.input_output"
PROCESS_FILE = "algorithm/process.py"
INPUT_OUTPUT_FILE = "algorithm/input_output.py"
PROFILE_VARIABLE = "PESTO_PROFILE"

_DISTRIBUTIONS = {"pesto": "processing-factory"}
"""What to install for a package that is named otherwise; PyPI's own `pesto` is something else."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What loading changed in this process, so that it can be taken back."""

    path_entries: tuple[str, ...]
    modules: frozenset[str]
    profile_before: str | None


_lock = RLock()
_loaded: list[_Loaded] = []


def import_process(project: Project) -> tuple[ModuleType, ModuleType | None]:
    """`algorithm.process` and, where the project has it, `algorithm.input_output`. PESTO_PROFILE is set for the algorithm to read.

    Raises ProjectError where the files are missing, or fail to import.
    """
    _check_files(project)
    return _loading(project, _imported)


def import_input_output(project: Project) -> ModuleType:
    """`algorithm.input_output` alone, without what the algorithm itself imports. Raises as `import_process`."""
    if not (project.code_path / INPUT_OUTPUT_FILE).is_file():
        raise ProjectError(
            f"project '{project.name}' has no file '{INPUT_OUTPUT_FILE}'; it holds the dataclasses Input and Output that schemas are "
            "generated from"
        )
    return _loading(project, lambda each: _import(each, INPUT_OUTPUT_MODULE, INPUT_OUTPUT_FILE))


def _loading(project: Project, load: Callable[[Project], _Modules]) -> _Modules:
    with _lock:
        unload()
        _check_nothing_foreign(project)
        before = set(sys.modules)
        entries, profile_before = _prepare(project)
        try:
            return load(project)
        finally:
            _loaded.append(_Loaded(entries, _new_modules(project, before), profile_before))


def _check_files(project: Project) -> None:
    if not (project.code_path / PROCESS_FILE).is_file():
        raise ProjectError(f"project '{project.name}' has no file '{PROCESS_FILE}'; it holds the class Process")


def _check_nothing_foreign(project: Project) -> None:
    module = sys.modules.get(PACKAGE)
    if module is not None:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
        place = next((str(found) for found in places if found), "an unknown place")
        raise ProjectError(
            f"cannot import '{PROCESS_FILE}' of project '{project.name}': a module named '{PACKAGE}' was imported already, from "
            f"'{place}'; a process runs one algorithm"
        )


def _prepare(project: Project) -> tuple[tuple[str, ...], str | None]:
    install()
    entries = tuple(str(folder) for folder in (project.code_path, *project.python_path))
    sys.path[:0] = entries
    importlib.invalidate_caches()
    profile_before = os.environ.get(PROFILE_VARIABLE)
    if project.profiles or profile_before is None:
        os.environ[PROFILE_VARIABLE] = project.full_version
    return entries, profile_before


def _imported(project: Project) -> tuple[ModuleType, ModuleType | None]:
    process = _import(project, PROCESS_MODULE, PROCESS_FILE)
    has_classes = (project.code_path / INPUT_OUTPUT_FILE).is_file()
    return process, _import(project, INPUT_OUTPUT_MODULE, INPUT_OUTPUT_FILE) if has_classes else None


def _import(project: Project, module: str, file: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise import_failure(project, file, error) from error


def import_failure(project: Project, file: str, error: BaseException) -> ProjectError:
    blame = Blame(project.code_path, project.python_path)
    failure = ProjectError(f"cannot import '{file}' of project '{project.name}': {blame.message(error)}{_remedy(error)}")
    if notes := blame.notes(error):
        failure.add_note(notes)
    return failure


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"; install '{_DISTRIBUTIONS.get(package, package)}', or add it to pesto/build/requirements.json"
    return ""


def _new_modules(project: Project, before: set[str]) -> frozenset[str]:
    """The modules that loading brought in and that are the project's own."""
    blame = Blame(project.code_path, project.python_path)
    files = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
    own = {name for name, file in files.items() if file and blame.relative(file)}
    return frozenset(own | {name for name in files if name == PACKAGE or name.startswith(f"{PACKAGE}.")})


def unload() -> None:
    """Take back what the last loading changed: the project's modules, import path and PESTO_PROFILE."""
    while _loaded:
        last = _loaded.pop()
        ours = {name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")}
        for name in last.modules | ours:
            sys.modules.pop(name, None)
        for entry in last.path_entries:
            if entry in sys.path:
                sys.path.remove(entry)
        _restore_profile(last.profile_before)


def _restore_profile(value: str | None) -> None:
    if value is None:
        os.environ.pop(PROFILE_VARIABLE, None)
    else:
        os.environ[PROFILE_VARIABLE] = value
