"""How `process` wants to be called, read once from its signature.

PESTO knows two shapes: one parameter annotated with the project's own class Input, or one parameter for each declared input. Beside them,
a parameter annotated with TileContext is given the tile's context.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Any, get_args

from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.errors import ProjectError
from pesto_stream.model.invocation import TileContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pesto_stream.model.spec import Interface

_POSITIONAL_OR_KEYWORD = Parameter.POSITIONAL_OR_KEYWORD


@dataclass(frozen=True, slots=True)
class Shape:
    """The call to make.

    `input_class` is None for separate parameters, else `input_parameter` takes an instance of it. `with_default` are the inputs that
    are left out of the call when the request has none, so that the default of the signature or class applies; the others are None then.
    """

    with_default: frozenset[str]
    input_class: type | None = None
    input_parameter: str | None = None
    context_parameter: str | None = None

    def arguments(self, inputs: Mapping[str, Any], context: TileContext) -> dict[str, Any]:
        """Keyword arguments of `process`. Building an Input may raise whatever its class raises."""
        given = {name: value for name, value in inputs.items() if value is not None or name not in self.with_default}
        if self.input_class is not None and self.input_parameter is not None:
            given = {self.input_parameter: self.input_class(**given)}
        if self.context_parameter is not None:
            given[self.context_parameter] = context
        return given


def shape_of(process: Callable[..., Any], inputs: Interface, input_class: type | None) -> Shape:
    """The shape of a bound `process`. Raises ProjectError where it and the input schema do not fit."""
    _check_kind(process)
    parameters = list(inspect.signature(process).parameters.values())
    _check_by_name(parameters)
    names = getattr(inspect.unwrap(process), "__globals__", {})
    context = next((parameter for parameter in parameters if _is_annotated(parameter, TileContext, names)), None)
    others = [parameter for parameter in parameters if parameter is not context]
    context_name = None if context is None else context.name
    taker = next((each for each in others if input_class is not None and _is_annotated(each, input_class, names)), None)
    if taker is None or input_class is None:
        defaults = _checked(
            others, inputs, _Place("process of 'algorithm/process.py'", "a parameter", hint=_hint(others, input_class))
        )
        return Shape(defaults, context_parameter=context_name)
    _check_alone(taker, others)
    return Shape(_class_defaults(input_class, inputs), input_class, taker.name, context_name)


@dataclass(frozen=True, slots=True)
class _Place:
    """How messages name what holds the parameters, and one of them."""

    holder: str
    one: str
    hint: str = ""


def _check_kind(process: Callable[..., Any]) -> None:
    for test, shown in (
        (inspect.iscoroutinefunction, "a coroutine function"),
        (inspect.isgeneratorfunction, "a generator function"),
        (inspect.isasyncgenfunction, "an asynchronous generator function"),
    ):
        if test(process):
            raise ProjectError(
                f"process of 'algorithm/process.py' is {shown}; expected a plain function that returns its outputs"
            )


def _check_by_name(parameters: Iterable[Parameter]) -> None:
    for parameter in parameters:
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            raise ProjectError(
                f"process of 'algorithm/process.py' has a parameter '{parameter.name}' before '/'; inputs are given by name, so take the "
                "'/' away"
            )


def _check_alone(taker: Parameter, others: Iterable[Parameter]) -> None:
    for parameter in others:
        needed = parameter.default is Parameter.empty and parameter.kind not in {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}
        if parameter is not taker and needed:
            raise ProjectError(
                f"process of 'algorithm/process.py' has a parameter '{parameter.name}' beside '{taker.name}: Input'; the inputs are all in "
                f"'{taker.name}', and only a parameter annotated with pesto_stream.TileContext may stand beside it"
            )


def _class_defaults(input_class: type, inputs: Interface) -> frozenset[str]:
    """A dataclass field with a default factory has a default in the signature too."""
    parameters = inspect.signature(input_class).parameters.values()
    return _checked(parameters, inputs, _Place("class Input of 'algorithm/input_output.py'", "a field"))


def _checked(parameters: Iterable[Parameter], inputs: Interface, place: _Place) -> frozenset[str]:
    """The declared inputs that have a default, after the names of both sides were compared."""
    taken = {each.name: each for each in parameters}
    takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in taken.values())
    named = {name: each for name, each in taken.items() if each.kind in {_POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}}
    for name, parameter in named.items():
        if name not in inputs.properties and parameter.default is Parameter.empty:
            raise ProjectError(
                f"{place.holder} has {place.one} '{name}', which 'pesto/api/input_schema.json' does not declare"
                f"{place.hint or did_you_mean(name, inputs.properties)}"
            )
    for name in inputs.properties:
        if name not in named and not takes_any:
            raise ProjectError(
                f"'pesto/api/input_schema.json' declares '{name}', for which {place.holder} has no {place.one.removeprefix('a ')}"
                f"{did_you_mean(name, named)}"
            )
    return frozenset(name for name, each in named.items() if each.default is not Parameter.empty)


def _hint(parameters: list[Parameter], input_class: type | None) -> str:
    """For the single parameter that was meant to be the whole input, but is not annotated as such."""
    if input_class is None or len(parameters) != 1 or parameters[0].annotation is not Parameter.empty:
        return ""
    return f"; write '{parameters[0].name}: Input' to be given all inputs in one object"


def _is_annotated(parameter: Parameter, wanted: type, names: Mapping[str, Any]) -> bool:
    """Whether the annotation is `wanted`, by itself or in a union; also as text, as `from __future__ import annotations` makes it."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation is wanted or wanted in get_args(annotation)
    return any(_names(part.strip().strip("'\""), wanted, names) for part in annotation.split("|"))


def _names(text: str, wanted: type, names: Mapping[str, Any]) -> bool:
    """Whether a dotted name means `wanted`. A name that was only imported for type checking is judged by its last part."""
    first, *rest = text.split(".")
    if first not in names:
        return text.rpartition(".")[2] == wanted.__name__
    found = names[first]
    for part in rest:
        found = getattr(found, part, None)
    return found is wanted
