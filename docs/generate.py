"""Write the generated tables into Markdown files, between `<!-- generated:NAME -->` and `<!-- /generated -->`.

python docs/generate.py README.md docs/*.md           rewrite what is out of date
python docs/generate.py --check README.md docs/*.md   exit 1 when something is
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pesto_stream import metrics
from pesto_stream.cli import exit_codes
from pesto_stream.config import refused
from pesto_stream.config import table as settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings.table,
    "refused-properties": refused.table,
    "metrics": metrics.table,
    "exit-codes": exit_codes.table,
}

_BLOCK = re.compile(r"<!-- generated:(?P<name>[\w-]+) -->.*?<!-- /generated -->", re.DOTALL)
_MARK = re.compile(r"<!-- generated:")


def generated(text: str) -> str:
    """The document with its tables as they are now. Raises ValueError for an unknown table or a mark that is never closed."""
    if len(_BLOCK.findall(text)) != len(_MARK.findall(text)):
        raise ValueError("a generated table's opening mark has no '<!-- /generated -->' of its own")
    return _BLOCK.sub(_block, text)


def _block(found: re.Match[str]) -> str:
    name = found["name"]
    if name not in TABLES:
        raise ValueError(f"no table is called '{name}'; there are {', '.join(TABLES)}")
    return "\n".join((f"<!-- generated:{name} -->", *TABLES[name](), "<!-- /generated -->"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the generated tables into Markdown files.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is out of date")
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    stale = [path for path in options.files if not _up_to_date(path, write=not options.check)]
    for path in stale:
        sys.stdout.write(f"{path}: {'out of date; run docs/generate.py' if options.check else 'rewritten'}\n")
    return 1 if stale and options.check else 0


def _up_to_date(path: Path, *, write: bool) -> bool:
    old = path.read_text(encoding="utf-8")
    try:
        new = generated(old)
    except ValueError as error:
        raise SystemExit(f"{path}: {error}") from error
    if new != old and write:
        path.write_text(new, encoding="utf-8")
    return new == old


if __name__ == "__main__":
    sys.exit(main())
