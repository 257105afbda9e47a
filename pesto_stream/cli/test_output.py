"""What `pesto-stream test` prints and writes: a line for each test, what differs below it, and the files of its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from pesto_stream.algorithms.files import read_object
from pesto_stream.cli.files import ResultFolder, safe_name
from pesto_stream.errors import ConfigurationError, ProjectError
from pesto_stream.testing.describe import EXPECTED, updated
from pesto_stream.testing.resources import RESOURCES
from pesto_stream.testing.results import failure_lines, junit_document, results_document
from pesto_stream.testing.session import DESCRIBE
from pesto_stream.testing.update import document_bytes, update_case

if TYPE_CHECKING:
    from pathlib import Path

    from pesto_stream.algorithms.project import Project
    from pesto_stream.converters.limits import Limits
    from pesto_stream.testing.resources import Case
    from pesto_stream.testing.session import Report

OWN_FOLDER: Final = ".results"
"""The folder where none is given; git passes over it."""
_MOST_LINES: Final = 10
"""Differences of one test that are printed; all are in results.json."""
_VERDICTS: Final = {
    "passed": ("ok", "green"),
    "failed": ("FAILED", "red"),
    "skipped": ("skipped", "yellow"),
    "updated": ("updated", "yellow"),
}
_WAYS: Final = {"in-process": "in this process", "local": "as a local runtime", "docker": "in its image"}


class Output:
    """With `update`, what differs becomes what is expected."""

    def __init__(self, folder: Path, project: Project, limits: Limits, *, update: bool) -> None:
        self._folder = folder
        self._project = project
        self._results = ResultFolder(folder, limits)
        self._update = update
        self._reports: list[Report] = []
        self._updated = 0

    def prepare(self, way: str) -> Path:
        """Make the folder; the file for a runtime's log. Raises ConfigurationError."""
        resources = (self._project.path / RESOURCES).resolve()
        if self._folder.resolve().is_relative_to(resources):
            raise ConfigurationError(
                f"cannot write results to '{self._folder}': the tests themselves are there; give another --out"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._folder.name == OWN_FOLDER:
                (self._folder / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"cannot write '{error.filename}': {error.strerror}; give another folder with --out"
            ) from error
        typer.echo(f"{self._project.name} {self._project.version}, {_WAYS[way]}")
        return self._folder / "runtime.log"

    def add(self, report: Report, case: Case | None) -> None:
        """Print one report, write its result, and take it as expected where that is wanted."""
        self._reports.append(report)
        takes = self._update and report.verdict != "passed" and report.answer is not None
        word, colour = _VERDICTS["updated" if takes else report.verdict]
        seconds = f"{report.seconds:8.2f} s" if report.verdict != "skipped" else f"({report.note})"
        typer.echo(f"  {typer.style(word.ljust(8), fg=colour)} {report.name:<24} {seconds}")
        pictures = self._write(report)
        if report.verdict == "failed":
            self._explain(failure_lines(report), pictures)
        if takes:
            self._updated += 1
            for line in self._update_describe(report) if case is None else update_case(case, report):
                typer.echo(f"      now expected: {_one_line(line)}")

    @staticmethod
    def _explain(lines: list[str], pictures: list[Path | None]) -> None:
        for line, picture in zip(lines[:_MOST_LINES], [*pictures, *[None] * len(lines)], strict=False):
            typer.echo(f"      {_one_line(line)}" + (f"; drawn in '{picture}'" if picture else ""))
        if len(lines) > _MOST_LINES:
            typer.echo(f"      and {len(lines) - _MOST_LINES} more, all in results.json")

    def finish(self) -> bool:
        """Write the documents and print the last line; whether all is as expected, or is now."""
        failed = sum(report.verdict == "failed" and not (self._update and report.answer) for report in self._reports)
        self._write_file("results.json", document_bytes(results_document(self._reports)))
        self._write_file("junit.xml", junit_document(self._project.name, self._reports))
        passed = sum(report.verdict == "passed" for report in self._reports)
        updated_too = f", {self._updated} updated" if self._update else ""
        typer.echo(f"{passed} passed, {failed} failed{updated_too}; results in '{self._folder}'")
        return failed == 0

    def _write(self, report: Report) -> list[Path | None]:
        """The result as files; the pictures of its differences, in their order."""
        if report.name == DESCRIBE:
            self._write_file("actual_describe.json", document_bytes(report.answer))
            return []
        target = self._folder / report.name
        _remove_old(target)
        if report.record is not None:
            self._results.write_into(target, report.record)
        pictures: list[Path | None] = []
        for difference in report.differences:
            name = f"{report.name}/{safe_name(difference.place)}.difference.png"
            pictures.append(self._write_file(name, difference.drawing) if difference.drawing else None)
        return pictures

    def _update_describe(self, report: Report) -> list[str]:
        """With profiles, the last one's overlay, as PESTO lays files of profiles over each other."""
        suffix = f".{self._project.profiles[-1]}.json" if self._project.profiles else ".json"
        path = self._project.path / RESOURCES / EXPECTED.replace(".json", suffix)
        base = self._project.path / RESOURCES / EXPECTED
        old = read_object(base, EXPECTED) if base.is_file() else None
        try:
            path.write_bytes(document_bytes(updated(old, report.answer or {})))
        except OSError as error:
            raise ProjectError(f"cannot write '{path}': {error.strerror}") from error
        return [f"'{path.name}'"]

    def _write_file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise ConfigurationError(f"cannot write '{error.filename}': {error.strerror}") from error
        return path


def _remove_old(folder: Path) -> None:
    """The files of an earlier result, which is known by its headers.json."""
    if (folder / "headers.json").is_file():
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()


def _one_line(text: str) -> str:
    """Nothing in a message acts on a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
