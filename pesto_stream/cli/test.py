"""`pesto-stream test`: a project's own tests, through the runtime's converters, and what differs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pesto_stream.algorithms.files import read_optional
from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.cli.test_output import OWN_FOLDER, Output
from pesto_stream.cli.ways import WAYS, Tested
from pesto_stream.clock import SystemClock
from pesto_stream.config.files import shipped_profiles
from pesto_stream.errors import ConfigurationError
from pesto_stream.log import configure
from pesto_stream.testing.describe import EXPECTED
from pesto_stream.testing.difference import Tolerance
from pesto_stream.testing.payload import folder_url
from pesto_stream.testing.resources import RESOURCES, read_cases
from pesto_stream.testing.session import Session
from pesto_stream.wiring.parts import limits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings
    from pesto_stream.testing.resources import Case
    from pesto_stream.testing.session import Report

app = options.command_app()

DEFAULT_OUT: Final = f"pesto/tests/{OWN_FOLDER}"
"""Below the project; tests are no part of an image."""


@app.command(
    epilog=options.examples(
        "pesto-stream test my-project",
        "pesto-stream test my-project --only test_clouds --tolerance pixels=1",
        "pesto-stream test my-project -p gpu --docker",
        "pesto-stream test my-project --update",
    )
)
def run_tests(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    *,
    in_process: Annotated[bool, typer.Option("--in-process", help="In this process, with no broker (default).")] = False,
    local: Annotated[bool, typer.Option("--local", help="As a runtime of its own, on the embedded broker.")] = False,
    docker: Annotated[
        bool, typer.Option("--docker", help="In the image that `build` made, with the embedded broker beside it.")
    ] = False,
    update: Annotated[bool, typer.Option("--update", help="Rewrite what is expected from what comes out.")] = False,
    tolerance: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=NUMBER",
            help="`relative` (1e-6) and `absolute` (1e-9) for floats, `pixels` (0) for whole-numbered images. Repeatable.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    only: Annotated[
        list[str], typer.Option(metavar="NAME", help="One test, without describe. Repeatable.", show_default=False)
    ] = [],  # noqa: B006
    base64: Annotated[bool, typer.Option("--base64", help="Images inside the request, in place of file:// URLs.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", file_okay=False, help=f"Folder for results; default: {DEFAULT_OUT} of the project.", show_default=False
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Longest wait for one result over a broker.")] = 120.0,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
) -> None:
    """Send each `pesto/tests/resources/test_*/input` and compare the result with its `output`, and describe with expected_describe.json.

    Writes results.json, junit.xml, the results themselves and pictures of what differs. Exits with 5 where something differs.
    """
    way = _way(in_process=in_process, local=local, docker=docker)
    allowed = _tolerance(tolerance)
    names = options.names(profile)
    settings = options.load_settings(project, names, config_file=config_file, assignments=assignments).settings
    found = load_project(project, names, shipped_profiles())
    configure("warning", settings.log.format)
    cases = read_cases(found.path, only)
    output = Output(out or found.path / DEFAULT_OUT, found, limits_of(settings), update=update)
    log = output.prepare(way)
    tested = Tested(found, _reading(settings, found), config_file, tuple(assignments), log, timeout)
    clock = SystemClock()
    with WAYS[way](tested, clock) as reached:
        session = Session(reached, found.spec, limits_of(settings), allowed, clock, embedded=base64)
        for report, case in _reports(session, found, cases, describe=not only):
            output.add(report, case)
    if not output.finish():
        raise typer.Exit(ExitCode.NO)


def _reports(session: Session, project: Project, cases: list[Case], *, describe: bool) -> Iterator[tuple[Report, Case | None]]:
    if describe:
        file = f"{RESOURCES}/{EXPECTED}"
        yield session.describe(read_optional(project.path, file, project.profiles) or None), None
    for case in cases:
        yield session.run(case), case


def _reading(settings: Settings, project: Project) -> Settings:
    """The settings, with the test resources to be read."""
    allow = [*settings.urls.allow, folder_url(project.path / RESOURCES)]
    return settings.model_copy(update={"urls": settings.urls.model_copy(update={"allow": allow})})


def _way(**given: bool) -> str:
    chosen = [name.replace("_", "-") for name, wanted in given.items() if wanted]
    if len(chosen) > 1:
        raise ConfigurationError(f"--{chosen[0]} and --{chosen[1]} are two ways to run the tests; give one of them")
    return chosen[0] if chosen else "in-process"


def _tolerance(given: list[str]) -> Tolerance:
    values = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if name not in Tolerance.__slots__ or not 0 <= value < float("inf"):
            raise ConfigurationError(
                f"cannot read --tolerance '{text}': expected relative, absolute or pixels, and a number from 0, such as pixels=1"
            )
        values[name] = value
    return Tolerance(**values)
