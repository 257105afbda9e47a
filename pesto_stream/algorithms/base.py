"""The port to user code: what the runtime calls, whatever shape `process` has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.spec import AlgorithmSpec


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

    def on_stop(self) -> None:
        """Release; called once after the last `process`."""
