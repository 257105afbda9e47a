"""One event a line, masked, and through one configuration."""

import io
import json
import logging
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream import log as log_module
from pesto_stream.log import MASK, MAX_TEXT, configure, get_logger, hide


@pytest.fixture
def stream(monkeypatch):
    """What is written; the root logger and the warnings machinery are as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in log_module.QUIET}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_logger_and_its_pairs(stream):
    configure("info", "json", stream)

    get_logger("pesto_stream.runtime.sender").info("result_delivered", topic="t", partition=1, offset=2)

    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "logger", "event", "topic", "partition", "offset"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["logger"], line["event"]) == ("info", "pesto_stream.runtime.sender", "result_delivered")
    assert (line["topic"], line["partition"], line["offset"]) == ("t", 1, 2)


def test_events_below_the_level_are_not_written(stream):
    configure("warning", "json", stream)
    log = get_logger("pesto_stream.x")

    log.info("no")
    log.warning("yes")

    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_a_logger_made_before_configure_follows_it(stream):
    log = get_logger("pesto_stream.early")
    configure("debug", "json", stream)

    log.debug("seen")

    assert len(lines(stream)) == 1


def test_configuring_again_replaces_the_first_configuration(stream):
    configure("info", "json", io.StringIO())
    configure("info", "json", stream)

    get_logger("x").info("once")

    assert len(lines(stream)) == 1


def test_the_clients_lines_go_through_the_same_renderer(stream):
    configure("info", "json", stream)

    logging.getLogger("pesto_stream.broker").error("FAIL [%s]", "thrd:127.0.0.1")

    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("FAIL [thrd:127.0.0.1]", "pesto_stream.broker", "error")


@pytest.mark.parametrize("name", ["uvicorn.access", "httpx", "rasterio"])
def test_libraries_are_heard_from_warning_on(stream, name, monkeypatch):
    monkeypatch.setattr(logging.getLogger(name), "propagate", True)  # a server of another module's tests turns its access log off
    configure("debug", "json", stream)

    logging.getLogger(name).info("no")
    logging.getLogger(name).warning("yes")

    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_python_warnings_are_lines_too(stream):
    configure("info", "json", stream)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("something is old", stacklevel=1)

    assert "something is old" in lines(stream)[0]["event"]


def test_auto_is_json_where_there_is_no_terminal(stream):
    configure("info", "auto", stream)

    get_logger("x").info("event")

    assert lines(stream)[0]["event"] == "event"


def test_auto_is_console_on_a_terminal(stream, monkeypatch):
    monkeypatch.setattr(stream, "isatty", lambda: True)
    configure("info", "auto", stream)

    get_logger("x").info("event", offset=3)

    assert not stream.getvalue().startswith("{")
    assert "offset" in stream.getvalue()


def failed() -> Exception:
    try:
        try:
            int("a\nb")
        except ValueError as error:
            secret = "hunter2"  # noqa: F841 - a local variable that may not be shown
            raise RuntimeError("could not") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_one_line_with_its_causes_and_calls(stream, form):
    configure("info", form, stream)

    get_logger("x").error("failed", exc_info=failed())

    (line,) = stream.getvalue().splitlines()
    assert "RuntimeError: could not <- ValueError: invalid literal" in line
    assert "test_log.py:" in line
    assert "hunter2" not in line


def test_the_exception_being_handled_is_found(stream):
    configure("info", "json", stream)

    try:
        int("bad")
    except ValueError:
        get_logger("x").exception("failed")

    assert lines(stream)[0]["exception_chain"].startswith("ValueError: invalid literal")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_hostile_value_cannot_forge_a_line(stream, form):
    configure("info", form, stream)

    get_logger("x").info("bad\nevent", value="a\r\n2026 [info] forged", **{"k\ney": "v\x1b[31m"})

    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[31m" not in stream.getvalue()


def test_pixels_and_payloads_are_shown_by_their_size(stream):
    configure("info", "json", stream)

    get_logger("x").info("e", value=b"\x00" * 70, tile=np.zeros((4, 8, 8), np.uint16), nested=[b"ab"], scalar=np.int64(3))

    (line,) = lines(stream)
    assert (line["value"], line["tile"], line["nested"]) == ("<70 bytes>", "<uint16 array (4, 8, 8)>", ["<2 bytes>"])
    assert line["scalar"] == "3"


def test_long_text_is_cut():
    text = hide(None, "", {"event": "x" * 5000})["event"]

    assert len(text) < MAX_TEXT + 40
    assert text.endswith("... (5000 characters)")


@pytest.mark.parametrize(
    "key", ["password", "sasl_password", "Authorization", "api_key", "s3_secret_access_key", "token", "X-Signature"]
)
def test_the_value_of_a_secret_key_is_masked(key):
    assert hide(None, "", {key: "hunter2", "deep": {key: ["hunter2"]}}) == {key: MASK, "deep": {key: MASK}}


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@host/x",
        "https://host/x?X-Amz-Signature=hunter2&a=1",
        "https://host/x?a=1&X-Goog-Signature=hunter2",
        "https://host/x?sv=1&sig=hunter2",
        "https://host/x?X-Amz-Credential=hunter2",
        "https://host/x?access_token=hunter2#f",
    ],
)
def test_the_secrets_of_a_url_are_masked_wherever_it_stands(url):
    shown = hide(None, "", {"event": f"cannot read '{url}': gone", "url": url, "list": [url]})

    assert "hunter2" not in str(shown)
    assert shown["url"].startswith("https://")


def test_the_secrets_of_a_url_in_an_exception_are_masked(stream):
    configure("info", "json", stream)

    get_logger("x").error("failed", exc_info=OSError("GET https://h/x?X-Amz-Signature=hunter2"))

    assert "hunter2" not in stream.getvalue()


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _values, max_size=4))
def test_any_values_make_one_line_of_json(pairs):
    formatter = log_module._formatter(console=False, colors=False)
    record = logging.LogRecord("x", logging.INFO, "f", 1, {**pairs, "event": "e"}, None, None)
    record._logger, record._name = None, "info"

    line = formatter.format(record)

    assert "\n" not in line
    assert json.loads(line)["event"] == "e"


def test_importing_changes_nothing():
    code = (
        "import logging, warnings; before = (logging.root.handlers[:], logging.root.level, warnings.showwarning);"
        "import pesto_stream.log as log; log.get_logger('x');"
        "assert before == (logging.root.handlers[:], logging.root.level, warnings.showwarning)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
