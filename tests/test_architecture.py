"""The design's rules about the code's shape, checked on its syntax trees. Who may import whom is read from DESIGN.md itself."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pesto_stream"
OPEN_TO_ALL = {"errors", "clock", "metrics", "log", "model", ""}
LONGEST_FUNCTION = 60

ONE_ROOM = {
    "confluent_kafka": ["broker/kafka*.py"],
    "rasterio": ["converters/image.py", "converters/image_*.py", "scene/raster.py"],
}
"""Libraries, and the only files that may import them."""

ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.putenv"}
CLOCKS = {
    *(
        f"time.{name}"
        for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "gmtime")
    ),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
}
ONE_ROOM_NAMES = [(ENVIRONMENT, ["config/*", "algorithms/*"]), (CLOCKS, ["clock.py"])]
"""Names, and the only files that may use them."""


@cache
def modules() -> dict[str, ast.Module]:
    """Syntax trees by path below the package."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text()) for file in files}


def table() -> dict[str, set[str]]:
    """Room -> what it may import, from the fenced block under the heading of DESIGN.md."""
    section = (ROOT / "DESIGN.md").read_text().split("## Who may import whom", 1)[1]
    block = section.split("```")[1]
    allowed: dict[str, set[str]] = {}
    for line in block.strip().splitlines():
        rooms, targets = line.split("->")
        for room in re.split(r",\s*", rooms.strip()):
            allowed.setdefault(room, set()).update(re.split(r",\s*", targets.strip()))
    return allowed


def room_of(path: str) -> str:
    """The folder, or the name of a module at the top. `__main__` is the command line."""
    first = path.split("/", maxsplit=1)[0].removesuffix(".py")
    return {"__main__": "cli", "__init__": ""}.get(first, first)


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, those under TYPE_CHECKING and inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module is not None
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def may_import(room: str, target: str, allowed: dict[str, set[str]]) -> bool:
    """`target` is a dotted name below the package."""
    if target.split(".", maxsplit=1)[0] in OPEN_TO_ALL | {room} or target == "__version__":
        return True
    names = allowed.get(room, set())
    if "everything but cli" in names:
        return target.split(".", maxsplit=1)[0] != "cli"
    return any(target == name or target.startswith(f"{name}.") for name in names)


def test_every_room_is_in_the_table():
    rooms = {room_of(path) for path in modules()} - OPEN_TO_ALL
    assert rooms - set(table()) == set()


def test_rooms_import_only_what_the_design_lets_them():
    allowed = table()
    wrong = [
        f"{path}:{line}: {room_of(path)} imports {name}"
        for path, tree in modules().items()
        for line, name in imported(tree)
        if name.startswith("pesto_stream.") and not may_import(room_of(path), name.removeprefix("pesto_stream."), allowed)
    ]
    assert wrong == []


def test_the_open_modules_import_no_room():
    wrong = [
        f"{path}:{line}: {name}"
        for path, tree in modules().items()
        if room_of(path) in OPEN_TO_ALL - {""}
        for line, name in imported(tree)
        if name.startswith("pesto_stream.") and name.split(".")[1] not in OPEN_TO_ALL
    ]
    assert wrong == []


def test_a_library_with_a_room_of_its_own_is_imported_nowhere_else():
    wrong = [
        f"{path}:{line}: {name}"
        for path, tree in modules().items()
        for line, name in imported(tree)
        for library, files in ONE_ROOM.items()
        if name.split(".")[0] == library and not any(fnmatch(path, pattern) for pattern in files)
    ]
    assert wrong == []


def used(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is reached through an imported name."""
    known = dict(local_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, *rest = ast.unparse(node).split(".")
            if first in known:
                yield node.lineno, ".".join([known[first], *rest])


def local_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (alias.asname or alias.name.split(".")[0], (alias.asname and alias.name) or alias.name.split(".")[0])
                for alias in node.names
            )
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def test_environment_and_clock_are_read_in_their_rooms_only():
    wrong = [
        f"{path}:{line}: {name}"
        for path, tree in modules().items()
        for line, name in used(tree)
        for names, files in ONE_ROOM_NAMES
        if name in names and not any(fnmatch(path, pattern) for pattern in files)
    ]
    assert wrong == []


def test_no_handler_catches_everything_without_a_name():
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert wrong == []


def test_functions_are_short():
    wrong = [
        f"{path}:{node.lineno}: {node.name}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert wrong == []


def test_the_checks_see_what_they_should():
    tree = ast.parse(
        "import time as t\nfrom os import environ\nfrom datetime import datetime\nif TYPE_CHECKING:\n    from pesto_stream.cli import app\n"
        "def f():\n    import rasterio\n    return t.monotonic(), environ['A'], datetime.now()\n"
    )
    assert {"pesto_stream.cli.app", "rasterio"} <= {name for _, name in imported(tree)}
    assert {"time.monotonic", "os.environ", "datetime.datetime.now"} <= {name for _, name in used(tree)}
    allowed = {"fetch": {"converters", "broker.base"}}
    assert may_import("fetch", "converters.base.ImageSource", allowed)
    assert may_import("fetch", "broker.base.Consumer", allowed)
    assert not may_import("fetch", "broker.kafka", allowed)
    assert not may_import("fetch", "converters_too", allowed)
    assert not may_import("wiring", "cli.app", {"wiring": {"everything but cli"}})
