"""PESTO Stream: PESTO algorithms as consumer-group members on Apache Kafka.

For algorithms: a parameter of `process` annotated with `pesto_stream.TileContext` is given the tile's context.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pesto_stream.model.invocation import TileContext

try:
    __version__ = version("pesto-stream")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

__all__ = ["TileContext", "__version__"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import pesto_stream` stays light."""
    if name != "TileContext":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from pesto_stream.model.invocation import TileContext  # noqa: PLC0415 - on first use

    return TileContext
