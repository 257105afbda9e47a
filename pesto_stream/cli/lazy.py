"""A group of commands whose modules are imported when a command is called, not when the group is listed."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperGroup

from pesto_stream.cli.exit_codes import ExitCode, exit_code
from pesto_stream.errors import PestoStreamError

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(TyperGroup):
    """`modules` maps a command's name to the module whose `app` (a `typer.Typer`) it is. The commands that were registered in the
    ordinary way under these names stand in for them in listings.

    Errors end the process here, in one place: a message on standard error, and the exit code of `exit_codes`.
    """

    modules: ClassVar[Mapping[str, str]] = {}

    # The context's class has moved between typer's releases; nothing here depends on it.

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command about to run (or to be completed): the real one, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in self.modules:
            command = typer.main.get_command(importlib.import_module(self.modules[name]).app)
            command.name = name
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except Exception as error:
            if _is_typers_own(error):
                raise
            _show(error, debug=bool(ctx.params.get("debug")))
            raise typer.Exit(exit_code(error)) from error


def _is_typers_own(error: Exception) -> bool:
    """Usage errors, `typer.Exit` and `typer.Abort`, and a reader that went away: typer ends the process for these."""
    return hasattr(error, "exit_code") or isinstance(error, (typer.Abort, BrokenPipeError))


def _show(error: Exception, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, PestoStreamError):
        typer.echo("\n".join((f"Error: {error}", *getattr(error, "__notes__", ()))), err=True)
    else:
        text = (
            f"Error: unexpected {type(error).__name__}: {error}\nPlease report it, with what `pesto-stream --debug ...` prints."
        )
        typer.echo(text, err=True)
