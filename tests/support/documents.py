"""Documents as the tests read them: fenced blocks with what their info strings and the comments before them say, and links.

```sh                       a command that is run, in terminal 0
```sh terminal=2            in another terminal, whose exports are its own
```sh background            stays until Ctrl-C
```python file=a/b.py       a file to be written
```text output              what the command before it prints
<!-- not run by the tests: REASON -->      before a block of commands
<!-- ctrl-c: terminal=2 -->                ends what runs in that terminal
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHELLS = {"sh", "console", "bash", "shell"}
_PARTS = re.compile(
    r"<!-- ctrl-c: terminal=(?P<interrupt>\w+) -->"
    r"|(?:<!-- not run by the tests: (?P<reason>[^>]+?) -->\n)?^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_LINKS = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    words: dict[str, str] = field(default_factory=dict)
    text: str = ""
    reason: str | None = None

    @property
    def is_command(self) -> bool:
        return self.language in SHELLS

    @property
    def terminal(self) -> str:
        return self.words.get("terminal", "0")


@dataclass(frozen=True, slots=True)
class Interrupt:
    terminal: str


def parts(path: Path) -> Iterator[Block | Interrupt]:
    """What happens in a document, in its order."""
    for found in _PARTS.finditer(path.read_text("utf-8")):
        if found["interrupt"]:
            yield Interrupt(found["interrupt"])
            continue
        language, *words = found["info"].split() or [""]
        named = dict(word.partition("=")[::2] for word in words)
        yield Block(language, named, found["text"], found["reason"])


def blocks(path: Path) -> list[Block]:
    return [part for part in parts(path) if isinstance(part, Block)]


def links(path: Path) -> list[str]:
    """Targets of links and images outside of fenced blocks."""
    return _LINKS.findall(_FENCED.sub("", path.read_text("utf-8")))


def anchors(path: Path) -> set[str]:
    """The names that a forge gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
