"""The Dockerfile of one project: what changes rarely comes first, the code last. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PROJECT: Final = "/app/project"
SBOM: Final = "/usr/local/share/pesto-stream"
"""Folder of `sbom.cdx.json` in an image."""
USER: Final = "10001:10001"

_CACHE: Final = "--mount=type=cache,target=/root/.cache/pip,id=pesto-stream-pip"
_PYTHON: Final = "/opt/pesto/bin/python"


@dataclass(frozen=True, slots=True)
class Recipe:
    """`pip`: files in the context's folder `pip`, in the order of installation; `*.txt` are lists. `copies`: (place in the context, place
    in the image). `profiles`: those that the runtime starts with.
    """

    base: str
    profiles: Sequence[str]
    pip: Sequence[str] = ()
    copies: Sequence[tuple[str, str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def dockerfile(recipe: Recipe) -> str:
    """The text, for BuildKit."""
    return "\n".join([*_lines(recipe), ""])


def _lines(recipe: Recipe) -> Iterator[str]:
    yield "# Written by pesto-stream build. It needs BuildKit."
    yield f"ARG RUNTIME={recipe.base}"
    yield ""
    yield "FROM ${RUNTIME} AS environment"
    if recipe.pip:
        yield from _pip(recipe.pip)
    yield from (f"COPY {_array(place)}" for place in recipe.copies)
    if recipe.pip:
        yield from ("", *_sbom())
    yield ""
    yield "FROM environment"
    if recipe.pip:
        yield f"COPY --from=sbom /tmp/sbom {SBOM}"
    yield f"COPY {_array(('project', PROJECT))}"
    yield from (f"ENV {name}={_quoted(value)}" for name, value in recipe.environment.items())
    yield from (f"LABEL {name}={_quoted(value)}" for name, value in recipe.labels.items())
    yield f"USER {USER}"
    profiles = [word for profile in recipe.profiles for word in ("-p", profile)]
    yield f"ENTRYPOINT {_array(('pesto-stream', 'run', PROJECT, *profiles))}"


def _pip(files: Sequence[str]) -> Iterator[str]:
    """One layer. A requirement that breaks the runtime's own fails the build: pip itself would only say so."""
    words = (_shell(f"/pip/{name}") for name in files)
    wanted = " ".join(f"--requirement {word}" if name.endswith(".txt") else word for name, word in zip(files, words, strict=True))
    yield "USER 0:0"
    yield f"RUN --mount=type=bind,source=pip,target=/pip {_CACHE} \\"
    yield f"    HOME=/root pip --python {_PYTHON} install --no-compile {wanted} && \\"
    yield f"    HOME=/root pip --python {_PYTHON} check"
    yield f"USER {USER}"


def _sbom() -> Iterator[str]:
    yield "FROM ${RUNTIME} AS tools"
    yield "USER 0:0"
    yield f"RUN {_CACHE} \\"
    yield "    HOME=/root python -m venv /opt/tools && \\"
    yield "    HOME=/root /opt/tools/bin/python -m pip install --no-compile 'cyclonedx-bom>=7,<8'"
    yield f"USER {USER}"
    yield ""
    yield "FROM environment AS sbom"
    yield "COPY --from=tools /opt/tools /opt/tools"
    yield "RUN mkdir /tmp/sbom && \\"
    yield f"    /opt/tools/bin/cyclonedx-py environment {_PYTHON} --output-format JSON --output-reproducible \\"
    yield "    --output-file /tmp/sbom/sbom.cdx.json"


def _array(words: Iterable[str]) -> str:
    """The form that no shell reads. Docker puts variables into that of COPY, whose places hold no `$`: `requirements` sees to it."""
    return json.dumps(list(words))


def _quoted(text: str) -> str:
    """A value of ENV and LABEL, taken as it is; a line end or another control character becomes a space: there is no escape for one."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _shell(word: str) -> str:
    """A word for the shell of RUN, where names are ours: letters, digits and `._+-/`, as `context` writes them."""
    assert all(character.isalnum() or character in "._+-/" for character in word), word
    return word
