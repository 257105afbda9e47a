"""The command line `pesto-stream`."""

from pesto_stream.cli.app import main

__all__ = ["main"]
