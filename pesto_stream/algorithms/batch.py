"""How `process_batch` wants to be called: `process_batch(self, inputs: list) -> list`, and, where it is asked for, the tiles' contexts
as a second list (a parameter annotated with `list[TileContext]`).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.signature import check_plain, speaks_of_context
from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pesto_stream.model.invocation import TileContext

_REMEDY = (
    "write 'process_batch(self, inputs: list) -> list', with 'contexts: list[pesto_stream.TileContext]' behind it where needed"
)
_COLLECTED = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The call to make: names of the parameters for the inputs and, None where there is none, for the contexts."""

    inputs_parameter: str
    contexts_parameter: str | None = None

    def arguments(self, inputs: Sequence[Any], contexts: Sequence[TileContext]) -> dict[str, Any]:
        given: dict[str, Any] = {self.inputs_parameter: list(inputs)}
        if self.contexts_parameter is not None:
            given[self.contexts_parameter] = list(contexts)
        return given


def batch_shape_of(process_batch: Callable[..., Any]) -> BatchShape:
    """The shape of a bound `process_batch`. Raises ProjectError where it cannot be called so."""
    check_plain(process_batch, "process_batch")
    parameters = list(inspect.signature(process_batch).parameters.values())
    contexts = next((each for each in parameters if speaks_of_context(each)), None)
    others = [each for each in parameters if each is not contexts and each.kind not in _COLLECTED]
    needed = [each for each in others if each.default is Parameter.empty]
    if not others or others[0].default is not Parameter.empty:
        raise ProjectError(f"process_batch of 'algorithm/process.py' takes no list of inputs; {_REMEDY}")
    if len(needed) > 1:
        raise ProjectError(
            f"process_batch of 'algorithm/process.py' has a parameter '{needed[1].name}' beside '{needed[0].name}'; it is given the "
            f"inputs of all tiles in one list: {_REMEDY}"
        )
    return BatchShape(needed[0].name, None if contexts is None else contexts.name)
