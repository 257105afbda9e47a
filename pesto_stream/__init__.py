"""PESTO Stream: PESTO algorithms as consumer-group members on Apache Kafka."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pesto-stream")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
