"""Where the tests' real Apache Kafka comes from: an address in the environment, a Docker engine, Java with Maven, in this order."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator

from support.kafka_jars import Missing
from support.kafka_node import READY_SECONDS, SETTINGS, KafkaNode

ADDRESS_VARIABLE = "PESTO_TEST_BOOTSTRAP_SERVERS"
IMAGE = "apache/kafka:4.3.1"
_LISTENER_PORT = 9092


class NoKafka(Exception):
    """No source gave a broker; the message has the reason of each."""


@contextlib.contextmanager
def real_kafka() -> Iterator[str]:
    """The bootstrap address of a real broker for as long as the context lasts. Raises NoKafka."""
    if given := os.environ.get(ADDRESS_VARIABLE):
        yield given
        return
    with contextlib.ExitStack() as stack:
        reasons = []
        for name, source in (("Docker", _from_docker), ("Java", _from_java)):
            try:
                address = stack.enter_context(source())
            except Missing as missing:
                reasons.append(f"{name}: {missing}")
                continue
            yield address
            return
        raise NoKafka(f"no real Kafka: {ADDRESS_VARIABLE} is not set; {'; '.join(reasons)}")


@contextlib.contextmanager
def _from_java() -> Iterator[str]:
    with KafkaNode() as node:
        yield node.bootstrap_servers


@contextlib.contextmanager
def _from_docker() -> Iterator[str]:
    import docker
    from docker.errors import DockerException

    _probe_engine()
    try:
        engine = docker.from_env(timeout=10)
    except DockerException as failure:
        raise Missing(f"no engine answers ({_first_line(failure)})") from None
    try:
        engine.ping()
        _have_image(engine)
    except DockerException as failure:
        raise Missing(f"'{IMAGE}' cannot be had ({_first_line(failure)})") from None
    finally:
        engine.close()
    with _container() as address:
        yield address


def _probe_engine() -> None:
    """The client library leaves its socket open when nobody listens, so a look comes first."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address.removeprefix("unix://"))
            except OSError as failure:
                raise Missing(f"no engine answers at '{address}' ({failure})") from None


def _have_image(engine) -> None:
    from docker.errors import ImageNotFound

    try:
        engine.images.get(IMAGE)
    except ImageNotFound:
        engine.images.pull(IMAGE)


@contextlib.contextmanager
def _container() -> Iterator[str]:
    """A broker tells its clients its address, so the outer port is chosen before the start."""
    from testcontainers.core.container import DockerContainer

    port = _free_port()
    container = DockerContainer(IMAGE).with_bind_ports(_LISTENER_PORT, port)
    for name, value in (SETTINGS | _container_settings(port)).items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        host = container.get_container_host_ip()
        _wait_for_port(host, port)
        yield f"{host}:{port}"


def _container_settings(port: int) -> dict[str, str]:
    return {
        "listeners": f"PLAINTEXT://:{_LISTENER_PORT},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://localhost:{port}",
        "controller.quorum.voters": "1@localhost:9093",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(host: str, port: int) -> None:
    """The engine's proxy takes connections before the broker does, so a request has to be answered."""
    from confluent_kafka import KafkaException, Producer

    client = Producer({"bootstrap.servers": f"{host}:{port}", "log_level": 2})
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            client.list_topics(timeout=2)
        except KafkaException as failure:
            if time.monotonic() > deadline:
                raise Missing(f"the container did not answer within {READY_SECONDS} s ({failure})") from None
        else:
            return


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0]
