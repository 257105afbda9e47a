"""The root of the command line: listing, errors and exit codes, and what is not imported."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from pesto_stream import __version__
from pesto_stream.cli import exit_codes, options
from pesto_stream.cli.app import COMMANDS, app, main
from pesto_stream.cli.exit_codes import MEANINGS, ExitCode, exit_code
from pesto_stream.cli.lazy import LazyGroup
from pesto_stream.errors import (
    AuthorizationFailed,
    BrokerUnavailable,
    ConfigurationError,
    DeadLetterUnavailable,
    ImageError,
    PestoStreamError,
    ProjectError,
)

HEAVY = ("rasterio", "confluent_kafka", "obstore", "jsonschema", "starlette", "uvicorn", "httpx", "numpy", "fastavro")


def modules_after(*arguments: str) -> set[str]:
    """The modules that a process has imported when the command line is done."""
    code = (
        "import sys, json\nfrom pesto_stream.cli import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["version"]])
def test_help_and_version_import_neither_heavy_libraries_nor_commands(arguments):
    imported = modules_after(*arguments)

    assert not imported & set(HEAVY)
    assert not imported & {command.module for command in COMMANDS.values()}


def test_a_command_imports_its_own_module_only():
    imported = modules_after("config", "--help")

    assert imported & {command.module for command in COMMANDS.values()} == {"pesto_stream.cli.config"}
    assert not imported & set(HEAVY)


def test_the_main_help_lists_the_commands_an_example_and_the_exit_codes():
    text = CliRunner().invoke(app, ["--help"]).output

    for name, command in COMMANDS.items():
        assert f"  {name} " in text
        assert command.help.split()[0] in text
    assert "pesto-stream run my-project -p gpu" in text
    for code, meaning in MEANINGS.items():
        assert f"{code.value:<4} {meaning}" in text


def command_lines() -> list[list[str]]:
    """Every command, those inside groups included."""
    root = typer.main.get_command(app)
    found = [["version"]]
    for name in COMMANDS:
        _, command, _ = root.resolve_command(None, [name])
        found += [[name, inner] for inner in getattr(command, "commands", {})] or [[name]]
    return found


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    outcome = CliRunner().invoke(app, [*words, "--help"])

    assert outcome.exit_code == 0, outcome.output
    assert "Example" in outcome.output
    assert f"  pesto-stream {' '.join(words)}" in outcome.output


def test_the_listing_says_each_sentence_to_its_end():
    assert "..." not in CliRunner().invoke(app, ["--help"]).output.partition("Commands:")[2].partition("Examples:")[0]


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_printed(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert (end.value.code, capsys.readouterr().out) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(["confg"], "Did you mean 'config'?"), (["config", "/none"], "does not exist"), (["--nope"], "--nope")],
)
def test_a_wrong_command_line_exits_with_2(arguments, part, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == ExitCode.CONFIGURATION
    assert part in capsys.readouterr().err


def failing(error: BaseException) -> typer.Typer:
    root = options.command_app(cls=LazyGroup)

    @root.callback()
    def _root(debug: bool = False) -> None: ...

    @root.command()
    def work() -> None:
        raise error

    return root


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (ProjectError("x"), 2),
        (DeadLetterUnavailable("x"), 3),
        (AuthorizationFailed("x"), 3),
        (BrokerUnavailable("x"), 4),
        (ImageError("x"), 5),
        (PestoStreamError("x"), 1),
        (ZeroDivisionError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_says_what_kind_of_error_it_was(error, code):
    outcome = CliRunner().invoke(failing(error), ["work"])

    assert outcome.exit_code == code == exit_code(error)
    assert "Traceback" not in outcome.output


def test_an_error_of_ours_is_shown_as_its_message_alone():
    outcome = CliRunner().invoke(failing(ConfigurationError("cannot read 'x': gone")), ["work"])

    assert outcome.stderr == "Error: cannot read 'x': gone\n"
    assert outcome.stdout == ""


def test_an_unexpected_error_asks_for_a_report():
    outcome = CliRunner().invoke(failing(ZeroDivisionError("division by zero")), ["work"])

    assert "unexpected ZeroDivisionError: division by zero" in outcome.stderr
    assert "report" in outcome.stderr


def test_debug_shows_the_traceback():
    outcome = CliRunner().invoke(failing(ConfigurationError("x")), ["--debug", "work"])

    assert outcome.exit_code == 2
    assert "Traceback" in outcome.stderr


def test_the_debug_variable_does_the_same(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PESTO_STREAM_DEBUG", "1")
    with pytest.raises(SystemExit) as end:
        main(["config", str(tmp_path), "--set", "a=1"])

    assert end.value.code == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("end", [typer.Exit(7), typer.Exit(ExitCode.NO)])
def test_a_command_may_choose_its_exit_code(end):
    assert CliRunner().invoke(failing(end), ["work"]).exit_code == end.exit_code


def test_a_usage_error_inside_a_command_is_2():
    assert CliRunner().invoke(failing(typer.BadParameter("no")), ["work"]).exit_code == 2


def complete(words: str, position: int, monkeypatch, capsys) -> list[str]:
    monkeypatch.setenv("_PESTO_STREAM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(position))
    with pytest.raises(SystemExit):
        main([])
    return capsys.readouterr().out.split()


def test_the_shell_completes_commands(monkeypatch, capsys):
    assert "config" in complete("pesto-stream c", 1, monkeypatch, capsys)


def test_the_shell_completes_the_options_of_a_command_that_is_imported_when_called(monkeypatch, capsys):
    assert complete("pesto-stream config --grou", 2, monkeypatch, capsys) == ["--group-id"]


def test_every_exit_code_has_a_meaning():
    assert set(MEANINGS) == set(ExitCode)
    assert len(list(exit_codes.table())) == len(ExitCode) + 2


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "pesto_stream", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"{__version__}\n"
