"""The port to user code: what the runtime calls, whatever shape `process` has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.spec import AlgorithmSpec


WithoutGpu = Literal["error", "cpu"]
"""What to do where the profile `gpu` is active and there is no GPU to be used: the setting `algorithm.without_gpu`."""


@runtime_checkable
class ProjectAware(Protocol):
    """A base class of ours for `Process`: it is told about its project before anything is checked."""

    def bound_to(self, spec: AlgorithmSpec, folders: Sequence[Path], without_gpu: WithoutGpu) -> None:
        """`folders` are where the project's files may be, the project first. Raises ProjectError for what does not fit."""


class Algorithm(Protocol):
    """A loaded PESTO algorithm.

    `max_concurrency` is the algorithm's own cap on parallel `process` calls, None where it sets none.
    """

    @property
    def spec(self) -> AlgorithmSpec: ...

    @property
    def max_concurrency(self) -> int | None: ...

    def on_start(self) -> None:
        """Load models; called once before the first `process`."""

    def process(self, invocation: Invocation) -> dict[str, Any]:
        """Outputs by name; arrays (C, H, W) or (H, W) for images.

        Raises AlgorithmError with the user's own traceback lines when the code raises.
        """

    @property
    def takes_batches(self) -> bool:
        """Whether `process_batch` is more than a loop over `process`."""

    def process_batch(self, invocations: Sequence[Invocation]) -> list[dict[str, Any]]:
        """Outputs of each, in their order; raises as `process`, for all of them together."""

    def on_stop(self) -> None:
        """Release; called once after the last `process`."""
