"""A project's `Process`, loaded, checked against its schemas, and ready to be called.

Class attributes that `Process` may have, all optional and unknown to PESTO:

`max_concurrency`
    How many calls of `process` may run at the same time, at most (an integer from 1). `algorithm.concurrency` decides below that.
`read_only_inputs`
    True: input arrays are views that cannot be written to, which saves a copy where pixels arrive raw. By default arrays are writable,
    as in PESTO, and a view on a record's bytes is copied first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.arrays import read_only, writable
from pesto_stream.algorithms.blame import Blame
from pesto_stream.algorithms.device import is_device_failure
from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.algorithms.importing import PROCESS_FILE, import_failure, import_process
from pesto_stream.algorithms.signature import Shape, shape_of
from pesto_stream.errors import AlgorithmError, DeviceLost, FatalError, ProjectError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pesto_stream.algorithms.project import Project
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.spec import AlgorithmSpec, Interface


class BoundAlgorithm:
    """One instance of a project's `Process`: the port `pesto_stream.algorithms.base.Algorithm`. Keeps nothing between calls."""

    def __init__(self, project: Project, instance: Any, shape: Shape) -> None:
        self._project = project
        self._instance = instance
        self._shape = shape
        self._blame = Blame(project.code_path, project.python_path)
        self._max_concurrency = _max_concurrency(instance)
        self._prepare: Callable[[Any], Any] = read_only if getattr(instance, "read_only_inputs", False) is True else writable

    @property
    def spec(self) -> AlgorithmSpec:
        return self._project.spec

    @property
    def max_concurrency(self) -> int | None:
        return self._max_concurrency

    def on_start(self) -> None:
        """Raises ProjectError with the user's own lines as a note, DeviceLost where the accelerator failed."""
        self._hook("on_start")

    def on_stop(self) -> None:
        """Raises as `on_start` does."""
        self._hook("on_stop")

    def process(self, invocation: Invocation) -> dict[str, Any]:
        """Outputs by name.

        Raises AlgorithmError where user code raises or returns what it may not, DeviceLost where the accelerator failed. A SystemExit
        is a failed tile as well: no tile may stop the fleet.
        """
        try:
            arguments = self._shape.arguments(self._prepare(invocation.inputs), invocation.context)
            returned = self._instance.process(**arguments)
        except (KeyboardInterrupt, TransientError, FatalError):
            raise
        except BaseException as error:
            raise self._failure(error) from error
        return _outputs(returned)

    def _failure(self, error: BaseException) -> AlgorithmError | DeviceLost:
        message = self._blame.message(error)
        return DeviceLost(f"the accelerator failed: {message}") if is_device_failure(error) else AlgorithmError(message)

    def _hook(self, name: str) -> None:
        hook = getattr(self._instance, name, None)
        if hook is None:
            return
        try:
            hook()
        except (KeyboardInterrupt, TransientError, FatalError):
            raise
        except BaseException as error:
            raise self._hook_failure(name, error) from error

    def _hook_failure(self, name: str, error: BaseException) -> ProjectError | DeviceLost:
        message = f"{name} of project '{self._project.name}' failed: {self._blame.message(error)}"
        failure = DeviceLost(message) if is_device_failure(error) else ProjectError(message)
        if notes := self._blame.notes(error):
            failure.add_note(notes)
        return failure


def load_algorithm(project: Project) -> BoundAlgorithm:
    """Import the project's `Process`, make an instance, and check it against the schemas. `on_start` is left to the caller.

    Raises ProjectError, naming file, field and remedy.
    """
    module, classes = import_process(project)
    instance = _instance(project, module)
    for name in ("on_start", "on_stop"):
        hook = getattr(instance, name, None)
        if hook is not None and not callable(hook):
            raise ProjectError(f"'{name}' of class Process in '{PROCESS_FILE}' cannot be called; expected a method, or none")
    input_class = _class(classes, "Input")
    shape = shape_of(_process_of(instance), project.spec.input, input_class)
    if shape.input_class is not None:
        _check_output_class(_class(classes, "Output"), project.spec.output)
    return BoundAlgorithm(project, instance, shape)


def _instance(project: Project, module: ModuleType) -> Any:
    process_class = getattr(module, "Process", None)
    if not isinstance(process_class, type):
        names = (name for name, value in vars(module).items() if isinstance(value, type))
        raise ProjectError(f"'{PROCESS_FILE}' of project '{project.name}' has no class 'Process'{did_you_mean('Process', names)}")
    try:
        return process_class()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise import_failure(project, PROCESS_FILE, error) from error


def _process_of(instance: Any) -> Callable[..., Any]:
    process = getattr(instance, "process", None)
    if callable(process):
        return process  # type: ignore[no-any-return]
    if process is not None:
        raise ProjectError(f"'process' of class Process in '{PROCESS_FILE}' cannot be called; expected a method")
    raise ProjectError(
        f"class Process in '{PROCESS_FILE}' has no method 'process'{did_you_mean('process', vars(type(instance)))}"
    )


def _class(module: ModuleType | None, name: str) -> type | None:
    found = getattr(module, name, None)
    return found if isinstance(found, type) else None


def _check_output_class(output_class: type | None, output: Interface) -> None:
    """An output that is required, and that the class Output cannot hold, would fail on every tile."""
    if output_class is None or not dataclasses.is_dataclass(output_class):
        return
    names = {each.name for each in dataclasses.fields(output_class)}
    for name in sorted(output.required - names):
        raise ProjectError(
            f"'pesto/api/output_schema.json' requires '{name}', for which class Output of 'algorithm/input_output.py' has no field"
            f"{did_you_mean(name, names)}"
        )


def _max_concurrency(instance: Any) -> int | None:
    value = getattr(instance, "max_concurrency", None)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ProjectError(
        f"'max_concurrency' of class Process in '{PROCESS_FILE}' is '{value}'; expected an integer from 1, or none at all"
    )


def _outputs(returned: Any) -> dict[str, Any]:
    """A dict as it is; a dataclass by its fields, not looking inside them."""
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return {each.name: getattr(returned, each.name) for each in dataclasses.fields(returned)}
    if not isinstance(returned, Mapping):
        raise AlgorithmError(f"process returned {_shown(returned)}; expected a dict of outputs by name, or an Output")
    for name in returned:
        if not isinstance(name, str):
            raise AlgorithmError(f"process returned a dict with a key of type '{type(name).__name__}'; expected names of outputs")
    return dict(returned)


def _shown(returned: Any) -> str:
    return "None" if returned is None else f"a value of type '{type(returned).__name__}'"
