"""A project's `Process`, loaded, checked against its schemas, and ready to be called.

Methods that `Process` may have beside `process`, all optional: `on_start` (PESTO's own), `on_stop`, `process_batch` (see `batch`). Class
attributes that it may have, all optional and unknown to PESTO:

`max_concurrency`
    How many calls of `process` may run at the same time, at most (an integer from 1). `algorithm.concurrency` decides below that.
`read_only_inputs`
    True: input arrays are views that cannot be written to, which saves a copy where pixels arrive raw. By default arrays are writable,
    as in PESTO, and a view on a record's bytes is copied first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.arrays import read_only, writable
from pesto_stream.algorithms.base import ProjectAware
from pesto_stream.algorithms.batch import BatchShape, batch_shape_of
from pesto_stream.algorithms.blame import Blame
from pesto_stream.algorithms.defaults import check_defaults
from pesto_stream.algorithms.device import is_device_failure
from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.algorithms.importing import PROCESS_FILE, import_failure, import_process
from pesto_stream.algorithms.making import plain
from pesto_stream.algorithms.signature import Shape, shape_of
from pesto_stream.errors import AlgorithmError, ConfigurationError, DeviceLost, FatalError, ProjectError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from pesto_stream.algorithms.base import WithoutGpu
    from pesto_stream.algorithms.project import Project
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.spec import AlgorithmSpec, Interface


class BoundAlgorithm:
    """One instance of a project's `Process`: the port `pesto_stream.algorithms.base.Algorithm`. Keeps nothing between calls."""

    def __init__(self, project: Project, instance: Any, shape: Shape, batch: BatchShape | None = None) -> None:
        self._project = project
        self._instance = instance
        self._shape = shape
        self._batch = batch
        self._blame = Blame(project.code_path, project.python_path)
        self._max_concurrency = _max_concurrency(instance)
        self._prepare: Callable[[Any], Any] = read_only if getattr(instance, "read_only_inputs", False) is True else writable

    @property
    def spec(self) -> AlgorithmSpec:
        return self._project.spec

    @property
    def max_concurrency(self) -> int | None:
        return self._max_concurrency

    @property
    def takes_batches(self) -> bool:
        """Whether the project has a `process_batch` of its own."""
        return self._batch is not None

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
        with self._blamed():
            arguments = self._shape.arguments(self._prepare(invocation.inputs), invocation.context)
            returned = self._instance.process(**arguments)
        return _outputs(returned, "process")

    def process_batch(self, invocations: Sequence[Invocation]) -> list[dict[str, Any]]:
        """Outputs of each invocation, in their order: by one call of the project's `process_batch`, or, where it has none, one by one.

        Raises as `process`, for the batch as a whole: which tile is to blame is found out by giving them to `process`.
        """
        if self._batch is None or not invocations:
            return [self.process(invocation) for invocation in invocations]
        with self._blamed():
            items = [self._shape.item(self._prepare(invocation.inputs)) for invocation in invocations]
            contexts = [invocation.context for invocation in invocations]
            returned = self._instance.process_batch(**self._batch.arguments(items, contexts))
        return _batch_outputs(returned, len(invocations))

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, TransientError, FatalError):
            raise
        except BaseException as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> AlgorithmError | DeviceLost:
        message = self._blame.message(error)
        return DeviceLost(f"the accelerator failed: {message}") if is_device_failure(error) else AlgorithmError(message)

    def _hook(self, name: str) -> None:
        hook = getattr(self._instance, name, None)
        if hook is None:
            return
        try:
            hook()
        except (KeyboardInterrupt, TransientError, FatalError, ConfigurationError):
            raise
        except BaseException as error:
            raise self._hook_failure(name, error) from error

    def _hook_failure(self, name: str, error: BaseException) -> ProjectError | DeviceLost:
        message = f"{name} of project '{self._project.name}' failed: {self._blame.message(error)}"
        failure = DeviceLost(message) if is_device_failure(error) else ProjectError(message)
        if notes := self._blame.notes(error):
            failure.add_note(notes)
        return failure


def load_algorithm(project: Project, *, without_gpu: WithoutGpu = "error") -> BoundAlgorithm:
    """Import the project's `Process`, make an instance, and check it against the schemas. `on_start` is left to the caller.

    `without_gpu` is the setting `algorithm.without_gpu`, for those of our base classes that choose a device.

    Raises ProjectError, naming file, field and remedy.
    """
    module, classes = import_process(project)
    instance = _instance(project, module)
    if isinstance(instance, ProjectAware):
        instance.bound_to(project.spec, (project.path, project.code_path, *project.python_path), without_gpu)
    for name in ("on_start", "on_stop"):
        hook = getattr(instance, name, None)
        if hook is not None and not callable(hook):
            raise ProjectError(f"'{name}' of class Process in '{PROCESS_FILE}' cannot be called; expected a method, or none")
    input_class = _class(classes, "Input")
    shape = shape_of(_process_of(instance), project.spec.input, input_class)
    check_defaults(shape, project.spec.input)
    if shape.input_class is not None:
        _check_output_class(_class(classes, "Output"), project.spec.output)
    return BoundAlgorithm(project, instance, shape, _batch_shape(instance))


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


def _batch_shape(instance: Any) -> BatchShape | None:
    process_batch = getattr(instance, "process_batch", None)
    if process_batch is None or _is_older(instance, "process_batch", "process"):
        return None
    if not callable(process_batch):
        raise ProjectError(f"'process_batch' of class Process in '{PROCESS_FILE}' cannot be called; expected a method, or none")
    return batch_shape_of(process_batch)


def _is_older(instance: Any, method: str, other: str) -> bool:
    """Whether `method` comes from a base class that does not know the class's own `other`."""
    return any(other in vars(kind) and method not in vars(kind) for kind in _up_to(instance, method))


def _up_to(instance: Any, method: str) -> Iterator[type]:
    """The classes of an instance, the nearest first, up to the one that defines `method`."""
    for kind in type(instance).__mro__:
        yield kind
        if method in vars(kind):
            return


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


def _batch_outputs(returned: Any, count: int) -> list[dict[str, Any]]:
    if not isinstance(returned, (list, tuple)):
        raise AlgorithmError(
            f"process_batch returned {_shown(returned)}; expected a list of outputs, one for each of its {count} inputs"
        )
    if len(returned) != count:
        raise AlgorithmError(
            f"process_batch returned {len(returned)} outputs for {count} inputs; expected one for each, in their order"
        )
    return [_outputs(one, "process_batch") for one in returned]


def _outputs(returned: Any, method: str) -> dict[str, Any]:
    """A dict or a dataclass by its fields; dataclasses and enumerations inside become objects and values."""
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return {each.name: plain(getattr(returned, each.name)) for each in dataclasses.fields(returned)}
    if not isinstance(returned, Mapping):
        raise AlgorithmError(f"{method} returned {_shown(returned)}; expected a dict of outputs by name, or an Output")
    for name in returned:
        if not isinstance(name, str):
            raise AlgorithmError(
                f"{method} returned a dict with a key of type '{type(name).__name__}'; expected names of outputs"
            )
    return {name: plain(value) for name, value in returned.items()}


def _shown(returned: Any) -> str:
    return "None" if returned is None else f"a value of type '{type(returned).__name__}'"
