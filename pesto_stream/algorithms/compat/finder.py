"""Finds `pesto` where PESTO is not installed.

Every project has a folder `pesto` (of JSON files) beside its package `algorithm`, and Python takes it for a namespace package once the
project is on the import path. So the finder stands before the others, and steps aside when one of them finds a package with code of its
own.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_PESTO = "pesto"
_PACKAGES = frozenset({_PESTO, "pesto.common", "pesto.cli"})
_MODULES = {
    "pesto.cli.fields": "pesto_stream.algorithms.compat.fields",
    "pesto.common.pesto": "pesto_stream.algorithms.compat.profile",
}


class PestoFinder(MetaPathFinder):
    """Finds PESTO's names in this package, under PESTO's own."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == _PESTO:
            return None if self._is_installed(target) else _package(fullname)
        if path is None or list(path) or not fullname.startswith(f"{_PESTO}."):
            return None  # not of a package made here, which are the ones with an empty path
        return _package(fullname) if fullname in _PACKAGES else _twin(fullname)

    def _is_installed(self, target: ModuleType | None) -> bool:
        found = (finder.find_spec(_PESTO, None, target) for finder in sys.meta_path if finder is not self)
        return any(spec is not None and spec.origin is not None for spec in found)


def install() -> None:
    """Put the finder before all others, once."""
    if not any(isinstance(finder, PestoFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, PestoFinder())


def _package(fullname: str) -> ModuleSpec:
    spec = ModuleSpec(fullname, None, is_package=True)
    spec.submodule_search_locations = []
    return spec


def _twin(fullname: str) -> ModuleSpec | None:
    """The file of our module, to be executed under the name that PESTO has for it."""
    found = find_spec(_MODULES[fullname]) if fullname in _MODULES else None
    return None if found is None else spec_from_file_location(fullname, found.origin)
