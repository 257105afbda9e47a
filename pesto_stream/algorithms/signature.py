"""How `process` wants to be called, read once from its signature.

PESTO knows two shapes: one parameter annotated with the project's own class Input, or one parameter for each declared input. Beside them,
a parameter annotated with TileContext is given the tile's context.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from inspect import Parameter
from typing import TYPE_CHECKING, Any, get_args

from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.algorithms.making import makers_of
from pesto_stream.errors import ProjectError
from pesto_stream.model.invocation import TileContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pesto_stream.algorithms.making import Maker
    from pesto_stream.model.spec import Interface

_POSITIONAL_OR_KEYWORD = Parameter.POSITIONAL_OR_KEYWORD


@dataclass(frozen=True, slots=True)
class Shape:
    """The call to make.

    `input_class` is None for separate parameters, else `input_parameter` takes an instance of it. `defaults` are those of the signature
    or class, by input; such an input is left out of the call when the request has none. The others are None then. `makers` make objects
    of the project's own classes of the plain values of some inputs.
    """

    defaults: Mapping[str, Any]
    input_class: type | None = None
    input_parameter: str | None = None
    context_parameter: str | None = None
    makers: Mapping[str, Maker] = field(default_factory=dict)

    def arguments(self, inputs: Mapping[str, Any], context: TileContext) -> dict[str, Any]:
        """Keyword arguments of `process`. Building an Input may raise whatever its class raises."""
        whole = self.input_parameter
        given = self._without_defaults(inputs) if whole is None else {whole: self.item(inputs)}
        if self.context_parameter is not None:
            given[self.context_parameter] = context
        return given

    def item(self, inputs: Mapping[str, Any]) -> Any:
        """The inputs of one tile as `process_batch` has them in its list: an Input, or a dict of all inputs by name."""
        if self.input_class is None:
            return {name: self.defaults.get(name) if value is None else value for name, value in inputs.items()}
        given = self._without_defaults(inputs)
        made = {name: self.makers[name](value) if name in self.makers else value for name, value in given.items()}
        return self.input_class(**made)

    def _without_defaults(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in inputs.items() if value is not None or name not in self.defaults}


def shape_of(process: Callable[..., Any], inputs: Interface, input_class: type | None) -> Shape:
    """The shape of a bound `process`. Raises ProjectError where it and the input schema do not fit."""
    check_plain(process, "process")
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
    return Shape(_class_defaults(input_class, inputs), input_class, taker.name, context_name, makers_of(input_class))


@dataclass(frozen=True, slots=True)
class _Place:
    """How messages name what holds the parameters, and one of them."""

    holder: str
    one: str
    hint: str = ""


def check_plain(function: Callable[..., Any], name: str) -> None:
    """Raises ProjectError for a coroutine or generator function."""
    for test, shown in (
        (inspect.iscoroutinefunction, "a coroutine function"),
        (inspect.isgeneratorfunction, "a generator function"),
        (inspect.isasyncgenfunction, "an asynchronous generator function"),
    ):
        if test(function):
            raise ProjectError(f"{name} of 'algorithm/process.py' is {shown}; expected a plain function that returns its outputs")


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


def _class_defaults(input_class: type, inputs: Interface) -> dict[str, Any]:
    """A dataclass field with a default factory has a default in the signature too."""
    parameters = inspect.signature(input_class).parameters.values()
    return _checked(parameters, inputs, _Place("class Input of 'algorithm/input_output.py'", "a field"))


def _checked(parameters: Iterable[Parameter], inputs: Interface, place: _Place) -> dict[str, Any]:
    """The declared inputs that have a default, with it, after the names of both sides were compared."""
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
    return {
        name: each.default for name, each in named.items() if each.default is not Parameter.empty and name in inputs.properties
    }


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


def speaks_of_context(parameter: Parameter) -> bool:
    """Whether the annotation names TileContext anywhere, as `list[TileContext]` does."""
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return re.search(rf"\b{TileContext.__name__}\b", text) is not None


def _names(text: str, wanted: type, names: Mapping[str, Any]) -> bool:
    """Whether a dotted name means `wanted`. A name that was only imported for type checking is judged by its last part."""
    first, *rest = text.split(".")
    if first not in names:
        return text.rpartition(".")[2] == wanted.__name__
    found = names[first]
    for part in rest:
        found = getattr(found, part, None)
    return found is wanted
