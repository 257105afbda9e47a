"""What PESTO algorithms import of PESTO, for machines where PESTO is not installed.

`install()` makes `pesto.common.pesto` and `pesto.cli.fields` importable. An installed PESTO is found first, and nothing here is used.
"""

from pesto_stream.algorithms.compat.finder import install

__all__ = ["install"]
