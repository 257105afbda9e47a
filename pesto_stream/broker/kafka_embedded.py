"""The embedded broker: librdkafka's mock cluster in a process of its own. No download, no JVM, loopback only, up in 0.1 s.

Good for the demo and fast tests; it is no Kafka: nothing survives it, and it keeps no promise about transactions, static members,
retention or duplicate suppression. A partition keeps everything as long as the library's limit of 5 MiB could be lifted
(`EmbeddedBroker.retention_patched`); where it could not, a consumer that finds records gone says so (`KafkaConsumer`).

`python -m pesto_stream.broker.kafka_embedded` is the process: it answers one JSON line per JSON line and ends with its standard input,
so it cannot outlive whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, TextIO

from pesto_stream.broker.kafka_mock import MockCluster
from pesto_stream.errors import BrokerUnavailable, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType, TracebackType
    from typing import Self

EMBEDDED_CLIENT_PROPERTIES: Final[dict[str, str | int]] = {
    "group.protocol": "consumer",
    "fetch.wait.max.ms": 10,
    "fetch.queue.backoff.ms": 5,
}
"""For consumers: new data does not wake a waiting fetch of this broker, and its classic groups rebalance for as long as a session."""

_STOP_SECONDS: Final = 5.0
_MIB: Final = 1 << 20


class EmbeddedBroker:
    """The broker's process, seen from whoever started it. Use as a context manager.

    `partition_mib` bounds memory: what a partition keeps before its oldest records are dropped; None: everything is kept, and the
    process grows by what is produced. `retention_patched` is False where the library's own 5 MiB per partition could not be changed.
    Raises ConfigurationError when the installed client carries no such broker.
    """

    def __init__(self, topics: Mapping[str, int] | None = None, *, partition_mib: int | None = None) -> None:
        self._topics = dict(topics or {})
        self._partition_mib = partition_mib
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.bootstrap_servers = ""
        self.retention_patched = False

    def __enter__(self) -> Self:
        limit = "" if self._partition_mib is None else str(self._partition_mib * _MIB)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs us
            [sys.executable, "-m", __name__, limit],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is for us, and we end it
        )
        try:
            started = self._read_answer()
            self.bootstrap_servers = str(started["bootstrap_servers"])
            self.retention_patched = bool(started["retention_patched"])
            for name, partitions in self._topics.items():
                self.create_topic(name, partitions)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _failure: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; one that exists stays as it is. Raises ConfigurationError for a name or number that is refused."""
        self.request("create_topic", name=name, partitions=partitions)

    def request(self, command: str, **arguments: Any) -> None:
        """Send one command of `_COMMANDS`. Raises ConfigurationError for what is refused, BrokerUnavailable when the process is gone."""
        with self._lock:
            stdin = self._running().stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps({"do": command, **arguments}) + "\n")
                stdin.flush()
            except OSError as failure:
                raise BrokerUnavailable("the embedded broker's process has ended") from failure
            self._read_answer()

    def _read_answer(self) -> dict[str, Any]:
        stdout = self._running().stdout
        assert stdout is not None
        line = stdout.readline()
        if not line:
            raise BrokerUnavailable("the embedded broker's process has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ConfigurationError(answer["error"])
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise BrokerUnavailable("the embedded broker is not running: use it as a context manager")
        return self._process

    def close(self) -> None:
        """End the process. Its topics are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def serve(topics: Mapping[str, int], stream: TextIO, *, partition_mib: int | None = None) -> None:
    """Run the embedded broker until Ctrl-C or SIGTERM; prints its address as one line to `stream` when it is up.

    For the main thread. Raises BrokerUnavailable when the broker's process ends by itself, ConfigurationError as `EmbeddedBroker`.
    """
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with EmbeddedBroker(topics, partition_mib=partition_mib) as broker:
            print(broker.bootstrap_servers, file=stream, flush=True)
            while not stopped.wait(0.2):
                if not broker.alive:
                    raise BrokerUnavailable("the embedded broker's process has ended")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "create_topic": MockCluster.create_topic,
    "push_errors": MockCluster.push_errors,
    "clear_errors": MockCluster.clear_errors,
    "set_up": MockCluster.set_up,
    "set_round_trip": MockCluster.set_round_trip,
}


def _answer(cluster: MockCluster, line: str) -> dict[str, Any]:
    request = json.loads(line)
    try:
        _COMMANDS[request.pop("do")](cluster, **request)
    except (ConfigurationError, TypeError, KeyError) as refused:
        return {"error": str(refused)}
    return {}


def _host(arguments: Sequence[str], requests: TextIO, answers: TextIO) -> None:
    """The process: host a cluster until `requests` ends."""

    def write(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        cluster = MockCluster(partition_bytes=int(arguments[0]) if arguments and arguments[0] else None)
    except ConfigurationError as failure:
        write({"error": str(failure)})
        return
    write({"bootstrap_servers": cluster.bootstrap_servers, "retention_patched": cluster.retention_patched})
    for line in requests:
        write(_answer(cluster, line))
    cluster.close()


if __name__ == "__main__":
    _host(sys.argv[1:], sys.stdin, sys.stdout)
