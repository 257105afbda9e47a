"""`pesto-stream match`: which services take an image."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated, Any

import typer

from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.contract.match import Answer, check_image, match
from pesto_stream.errors import ConfigurationError

app = options.command_app()

_EXAMPLES = (
    "pesto-stream match --image scene.json clouds.json ships.json",
    "pesto-stream match --image scene.json --json services/*.json | jq -r '.[] | select(.accepts).service'",
)
_FILE = {"exists": True, "dir_okay": False, "show_default": False}


@app.command("match", epilog=options.examples(*_EXAMPLES))
def match_command(
    image: Annotated[Path, typer.Option(metavar="META.json", help="Description of the image (schemas/v1/image).", **_FILE)],
    describe: Annotated[list[Path], typer.Argument(metavar="DESCRIBE.json...", help="Describe documents of services.", **_FILE)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Say which services take an image, by the `inputCapabilities` of their describe documents, and why the others do not.

    Exit code 0 when there is one, 5 when there is none.
    """
    description = _object(image)
    check_image(description, str(image))
    answers = [match(description, _object(path)) for path in describe]
    if as_json:
        typer.echo(json.dumps([answer.document() for answer in answers], indent=2))
    else:
        for answer in answers:
            typer.echo(_text(answer))
    if not any(answer.accepts for answer in answers):
        raise typer.Exit(ExitCode.NO)


def _text(answer: Answer) -> str:
    name = f"{answer.service} {answer.version}"
    inputs = ", ".join(f"'{one}'" for one in answer.inputs)
    verdict = f"{name}: yes, as {inputs}" if answer.accepts else f"{name}: no"
    return "\n  ".join((verdict, *answer.reasons))


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"cannot read '{path}': {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"cannot read '{path}': it is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"cannot read '{path}': expected a JSON object, found {type(document).__name__}")
    return document
