"""Logging: one event a line, JSON or console, on standard error; the standard library's loggers go the same way.

Modules write `log = get_logger(__name__)` and `log.info("result_delivered", topic=..., partition=..., offset=...)`. Until `configure`
is called events go to the standard library's loggers as they are, and importing this module changes nothing.

What a record holds never gets into a line: bytes and arrays are shown by their size, long text is cut, and the values of keys
and of URL parameters that carry secrets are masked.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, ExcInfo, Processor

MASK: Final = "***"
MAX_TEXT: Final = 2000
"""Characters of one value that are shown."""
MAX_FRAMES: Final = 6
"""Innermost calls of a traceback that are shown."""

QUIET: Final = ("asyncio", "botocore", "httpcore", "httpx", "rasterio", "uvicorn", "uvicorn.access", "uvicorn.error")
"""Loggers of libraries that are heard from warning on."""

_SECRET_KEY: Final = re.compile(
    r"password|passphrase|secret|token|authorization|signature|credential|api_?key|access_key", re.IGNORECASE
)
_SECRET_PARAMETER: Final = re.compile(
    r"([?&](?:[\w-]*(?:signature|credential|token|secret|password|api_?key)|sig|key)=)[^&\s\"']+", re.IGNORECASE
)
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
_LARGEST_JSON_INTEGER: Final = 1 << 63
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose events are key-value pairs. `name` is the module's."""
    wrapped = structlog.wrap_logger(logging.getLogger(name), processors=_EVENT_CHAIN, wrapper_class=structlog.stdlib.BoundLogger)
    return cast("structlog.stdlib.BoundLogger", wrapped.bind())


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["auto", "console", "json"] = "auto",  # noqa: A002 - named as the setting
    stream: TextIO | None = None,
) -> None:
    """Write events of `level` and above to `stream` (standard error). `auto`: console on a terminal, else JSON. May be called again."""
    target = stream or sys.stderr
    console = format == "console" or (format == "auto" and target.isatty())
    handler = _Handler(target)
    handler.setFormatter(_formatter(console=console, colors=target.isatty()))
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours among the root logger's handlers."""


def _formatter(*, console: bool, colors: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)
        if console
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_LINE_CHAIN,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, compact_exception, hide, lead, renderer],
    )


def _json(event: EventDict, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def compact_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A processor: `exc_info` becomes one line, the chain of causes and the innermost calls; never local variables."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["exception_chain"] = " <- ".join(f"{type(one).__name__}: {one}" for one in _causes(error))
        event["exception_at"] = " < ".join(reversed(list(_calls(error))))
    return event


def _exception(info: ExcInfo | BaseException | bool | None) -> BaseException | None:  # noqa: FBT001 - logging's own convention
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1]
    return sys.exception() if info else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _calls(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]:
        yield f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"


def hide(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A processor: values fit to be shown in one line, without secrets."""
    return {_fit_text(str(key)): MASK if _SECRET_KEY.search(str(key)) else _fit(value) for key, value in event.items()}


def lead(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A processor: what every line has comes first."""
    first = {key: event[key] for key in ("timestamp", "level", "logger", "event") if key in event}
    return {**first, **event}


def _fit(value: Any) -> Any:
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGEST_JSON_INTEGER):
        return value
    if isinstance(value, dict):
        return hide(None, "", value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_fit(item) for item in value]
    return _fit_text(_text(value))


def _text(value: Any) -> str:
    """Bulk by its size, anything else by its own text."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if getattr(value, "shape", ()) and hasattr(value, "dtype"):
        return f"<{value.dtype} array {tuple(value.shape)}>"
    return str(value)


def _fit_text(text: str) -> str:
    cut = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"
    masked = _SECRET_PARAMETER.sub(rf"\1{MASK}", _USER_INFO.sub(MASK, cut))
    return masked.encode("utf-8", "backslashreplace").decode().translate(_CONTROL)


_LINE_CHAIN: Final[list[Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_EVENT_CHAIN: Final[list[Processor]] = [
    structlog.stdlib.filter_by_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    *_LINE_CHAIN,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
