"""One Apache Kafka node (KRaft, loopback) as a child process. It ends with the process that started it, however that ends."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from support import guarded, kafka_jars
from support.child import reserved_port

READY_SECONDS = 120.0
CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # one node: no internal topic can have a second replica
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(65 << 20),
    # by default a killed node can come back only after 9 s, when its registration has expired
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    # groups: no wait for more members, and a dead member is replaced in seconds
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.assignment.interval.ms": "0",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.share.assignment.interval.ms": "0",
    "group.share.min.session.timeout.ms": "1000",
    "group.share.min.heartbeat.interval.ms": "100",
    "group.share.session.timeout.ms": "6000",
    "group.share.heartbeat.interval.ms": "500",
    "group.share.min.record.lock.duration.ms": "1000",
}


class KafkaNode:
    """Use as a context manager; `stop`, `kill` and `start` keep data and ports. `settings` go over `SETTINGS`.

    Raises kafka_jars.Missing when there is no Java or no jars.
    """

    def __init__(self, settings: dict[str, str] | None = None, *, heap: str = "384m") -> None:
        self._java, self._libraries, self._heap = kafka_jars.java(), kafka_jars.libraries(), heap
        self._folder = Path(tempfile.mkdtemp(prefix="pesto-kafka-", dir=_fast_folder()))
        self._log = self._folder / "server.log"
        # bound, never listening, held until close: Linux lets the JVM listen on them and gives them to nobody else
        self._held = [reserved_port(), reserved_port()]
        port, controller_port = (held.getsockname()[1] for held in self._held)
        self._address = ("127.0.0.1", port)
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._guard: subprocess.Popen[str] | None = None
        self._pid = 0
        self._settings = SETTINGS | {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
            "log.dirs": str(self._folder / "logs"),
            **(settings or {}),
        }

    def __enter__(self) -> Self:
        try:
            self._format()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the node; returns when it takes connections, which it does not before it is ready."""
        with self._log.open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, guarded.__file__, str(self._folder), *self._command("kafka.Kafka", str(self._properties))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline())
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """A clean shutdown."""
        guard, self._guard = self._guard, None
        if guard is not None:
            with contextlib.suppress(BrokenPipeError):  # the node has ended by itself
                guard.communicate(guarded.KEEP.decode())

    def kill(self) -> None:
        """A crash."""
        os.kill(self._pid, signal.SIGKILL)
        self.stop()

    def close(self) -> None:
        self.stop()
        for held in self._held:
            held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _format(self) -> None:
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))
        arguments = ["format", "--standalone", "-t", CLUSTER_ID, "-c", str(self._properties)]
        done = subprocess.run(self._command("kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")

    def _command(self, main: str, *arguments: str) -> list[str]:
        flags = [f"-Xmx{self._heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [self._java, *flags, logging, "-cp", f"{self._libraries}/*", main, *arguments]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self._address, 0.2):
            return True
        return False


def _fast_folder() -> str | None:
    """Memory rather than disk where there is room: a test's data is gone after it anyway."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 4 << 30:
        return str(shared)
    return None
