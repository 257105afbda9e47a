"""librdkafka's mock cluster, reached by ctypes in the library that the confluent-kafka wheel carries.

The functions are declared in librdkafka's `rdkafka_mock.h`, which calls them experimental: what is used here is checked against the
installed library when it is loaded, and a missing function is a clear error. Only the process of `kafka_embedded` hosts a cluster.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TOPIC_ALREADY_EXISTS: Final = 36

_PRODUCER: Final = 0
_OK: Final = 0
_RETENTION: Final = struct.pack("<qq", 5 * 1024 * 1024, 100_000)
"""Bytes and batches kept per partition: two constants side by side in `rd_kafka_mock_partition_init`."""

_TOPIC_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")

_PROT_READ: Final = 1
_PROT_WRITE: Final = 2

_Pointer = ctypes.c_void_p
_Text = ctypes.c_char_p
_Int = ctypes.c_int
_FUNCTIONS: Final = {
    "rd_kafka_conf_new": (_Pointer, []),
    "rd_kafka_conf_set": (_Int, [_Pointer, _Text, _Text, _Text, ctypes.c_size_t]),
    "rd_kafka_new": (_Pointer, [_Int, _Pointer, _Text, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_Pointer]),
    "rd_kafka_err2str": (_Text, [_Int]),
    "rd_kafka_mock_cluster_new": (_Pointer, [_Pointer, _Int]),
    "rd_kafka_mock_cluster_destroy": (None, [_Pointer]),
    "rd_kafka_mock_cluster_bootstraps": (_Text, [_Pointer]),
    "rd_kafka_mock_topic_create": (_Int, [_Pointer, _Text, _Int, _Int]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_Pointer, ctypes.c_int32]),
    "rd_kafka_mock_set_group_consumer_heartbeat_interval_ms": (None, [_Pointer, _Int]),
    "rd_kafka_mock_set_group_consumer_session_timeout_ms": (None, [_Pointer, _Int]),
    "rd_kafka_mock_push_request_errors_array": (None, [_Pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(_Int)]),
    "rd_kafka_mock_clear_request_errors": (None, [_Pointer, ctypes.c_int16]),
    "rd_kafka_mock_broker_set_down": (_Int, [_Pointer, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (_Int, [_Pointer, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_rtt": (_Int, [_Pointer, ctypes.c_int32, _Int]),
}


class MockCluster:
    """A cluster of one broker in this process. Not for use beside other clients of the library: the retention patch is process-wide."""

    BROKER = 1

    def __init__(self, *, partition_bytes: int | None = None) -> None:
        """`partition_bytes`: what a partition keeps before it drops its oldest batches; None: everything.

        Raises ConfigurationError when the library has no mock cluster.
        """
        self._library, path = load_library()
        limit = (1 << 62) if partition_bytes is None else partition_bytes
        self.retention_patched = _patch_retention(path, limit)
        self._handle = self._new_handle()
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._handle, 1)
        if not self._cluster:
            raise ConfigurationError("librdkafka refused to start its mock cluster")
        self.bootstrap_servers: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        self._make_groups_quick()

    def _new_handle(self) -> int:
        conf = self._library.rd_kafka_conf_new()
        reason = ctypes.create_string_buffer(512)
        settings = {"log_level": "2", "receive.message.max.bytes": "200000000"}
        for name, value in settings.items():
            if self._library.rd_kafka_conf_set(conf, name.encode(), value.encode(), reason, len(reason)) != _OK:
                raise ConfigurationError(f"librdkafka refused '{name}={value}': {reason.value.decode()}")
        handle = self._library.rd_kafka_new(_PRODUCER, conf, reason, len(reason))
        if not handle:
            raise ConfigurationError(f"librdkafka gave no handle for its mock cluster: {reason.value.decode()}")
        return int(handle)

    def _make_groups_quick(self) -> None:
        """Defaults: 3 s before a group's first assignment, 3 s between heartbeats, 30 s until a dead member is replaced."""
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self._library.rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(self._cluster, 300)
        self._library.rd_kafka_mock_set_group_consumer_session_timeout_ms(self._cluster, 4000)

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; one that exists stays as it is. Raises ConfigurationError for a name or number that a real broker refuses."""
        if not _TOPIC_NAME.fullmatch(name) or partitions < 1:
            raise ConfigurationError(
                f"cannot create topic '{name}' with {partitions} partitions: expected letters, digits, '.', '_', '-', and 1 or more"
            )
        code = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if code not in (_OK, TOPIC_ALREADY_EXISTS):
            raise ConfigurationError(f"cannot create topic '{name}' with {partitions} partitions: {self._text(code)}")

    def push_errors(self, api_key: int, codes: Sequence[int]) -> None:
        """The next requests of that kind (Kafka protocol's key) are answered with these error codes; -195 cuts the connection."""
        array = (_Int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, api_key, len(codes), array)

    def clear_errors(self, api_key: int) -> None:
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, api_key)

    def set_up(self, *, up: bool) -> None:
        """Cut all connections and refuse new ones, or take them again."""
        change = self._library.rd_kafka_mock_broker_set_up if up else self._library.rd_kafka_mock_broker_set_down
        change(self._cluster, self.BROKER)

    def set_round_trip(self, milliseconds: int) -> None:
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, self.BROKER, milliseconds)

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def _text(self, code: int) -> str:
        return str(self._library.rd_kafka_err2str(code).decode())


def load_library() -> tuple[ctypes.CDLL, Path]:
    """The library with the declarations set, and where it is. Raises ConfigurationError when it, or a function, is not there."""
    path = _library_path()
    library = ctypes.CDLL(str(path))
    missing = [name for name in _FUNCTIONS if not hasattr(library, name)]
    if missing:
        raise ConfigurationError(
            f"the installed '{path.name}' lacks '{', '.join(missing)}': use confluent-kafka 2.16 from its wheel"
        )
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library, path


def _library_path() -> Path:
    """The wheel keeps it beside the package (Linux) or inside it (macOS); its name carries a hash."""
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the embedded broker needs confluent-kafka, which is not installed")
    package = Path(spec.origin).parent
    found = [*package.parent.glob("confluent_kafka.libs/librdkafka-*"), *package.glob(".dylibs/librdkafka*")]
    if not found:
        raise ConfigurationError(f"no librdkafka beside '{package}': the embedded broker needs confluent-kafka from its wheel")
    return found[0]


def _patch_retention(path: Path, limit: int) -> bool:
    """Set how many bytes a partition keeps, in this process's copy of the library. True when done.

    There is no function for it. The pair of constants is overwritten only where it is found exactly once; else nothing is touched
    and partitions keep 5 MiB.
    """
    if not sys.platform.startswith("linux") or sys.byteorder != "little":
        return False
    found = [address for start, end in _read_only_pages(path) for address in _occurrences(start, end)]
    if len(found) != 1:
        return False
    return _overwrite(found[0], struct.pack("<qq", limit, 1 << 62))


def _read_only_pages(path: Path) -> Iterator[tuple[int, int]]:
    """Address ranges of the library that hold constants."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(path.resolve()) and fields[1] == "r--p":  # noqa: PLR2004 - proc(5)
            start, end = fields[0].split("-")
            yield int(start, 16), int(end, 16)


def _occurrences(start: int, end: int) -> Iterator[int]:
    memory = ctypes.string_at(start, end - start)
    at = memory.find(_RETENTION)
    while at >= 0:
        yield start + at
        at = memory.find(_RETENTION, at + 1)


def _overwrite(address: int, data: bytes) -> bool:
    page = ctypes.c_size_t(address & ~0xFFF)
    size = ctypes.c_size_t((address & 0xFFF) + len(data))
    protect = ctypes.CDLL(None).mprotect
    if protect(page, size, _PROT_READ | _PROT_WRITE) != 0:
        return False
    ctypes.memmove(address, data, len(data))
    protect(page, size, _PROT_READ)
    return True
