"""The ways in which `pesto-stream test` reaches an algorithm: in this process, as a local runtime, in the project's image."""

from __future__ import annotations

import json
import sys
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.broker.kafka_embedded import EMBEDDED_CLIENT_PROPERTIES, EmbeddedBroker
from pesto_stream.cli import options
from pesto_stream.cli.request import Address, RequestBuilder
from pesto_stream.packaging.names import GPU, image_name
from pesto_stream.testing.container import Container, Mount, check_image, find_docker, run_words
from pesto_stream.testing.exchange import DEAD_LETTERS, REQUESTS, RESULTS, TOPICS, Exchange
from pesto_stream.testing.member import MemberProcess
from pesto_stream.testing.payload import folder_url
from pesto_stream.testing.resources import RESOURCES
from pesto_stream.testing.session import payload_bytes
from pesto_stream.wiring.parts import limits_of
from pesto_stream.wiring.single import Single
from pesto_stream.wiring.tools import tool_consumer, tool_producer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pesto_stream.algorithms.project import Project
    from pesto_stream.clock import Clock
    from pesto_stream.config.model import Settings
    from pesto_stream.model.record import ConsumerRecord
    from pesto_stream.testing.session import Way

_CLIENT: Final = "pesto-stream-test"
_NO_OTHER_BROKER: Final = (
    "kafka.security_protocol=PLAINTEXT",
    *(f"kafka.{name}=" for name in ("sasl_mechanism", "sasl_username", "sasl_password", "ssl_ca_location")),
    *("kafka.session_timeout_seconds=", "kafka.group_instance_id=", "schema_registry.url="),
)
"""The project may be set up for a real broker; the embedded one knows nothing of that."""
_QUICK: Final = (
    "kafka.group_protocol=consumer",
    f"kafka.properties.fetch.wait.max.ms={EMBEDDED_CLIENT_PROPERTIES['fetch.wait.max.ms']}",
    "commit.interval_seconds=0.5",
)


@dataclass(frozen=True, slots=True)
class Tested:
    """What is tested, and how `pesto-stream run` is told about it."""

    project: Project
    settings: Settings
    config_file: Path | None
    assignments: tuple[str, ...]
    log: Path
    timeout_seconds: float

    @property
    def resources(self) -> Path:
        return self.project.path / RESOURCES


@contextmanager
def in_process(tested: Tested, clock: Clock) -> Iterator[Way]:
    """Pipeline and converters of the runtime, no broker."""
    with Single(tested.settings, tested.project, clock) as single:
        yield _InProcess(single)


class _InProcess:
    def __init__(self, single: Single) -> None:
        self.describe = single.describe
        self._single = single

    def process(self, payload: Mapping[str, Any], name: str) -> ConsumerRecord:
        return self._single.process(payload_bytes(payload), name)


@contextmanager
def local(tested: Tested, clock: Clock) -> Iterator[Way]:
    """A runtime as a child process, and the embedded broker."""
    profiles = [word for profile in tested.project.profiles for word in ("-p", profile)]
    head = [sys.executable, "-m", "pesto_stream", "run", str(tested.project.path), *profiles]
    with _over_broker(tested, clock, lambda arguments: ([*head, *arguments], ())) as way:
        yield way


@contextmanager
def docker(tested: Tested, clock: Clock) -> Iterator[Way]:
    """The project's image, and the embedded broker beside it, which the container reaches by the host's network."""
    command = find_docker()
    image = image_name(tested.project).reference
    profiles = "".join(f" -p {profile}" for profile in tested.project.profiles)
    check_image(command, image, f"pesto-stream build {tested.project.path}{profiles}")
    mounts = [Mount(tested.resources), *([Mount(tested.config_file.resolve())] if tested.config_file else [])]
    name = f"{_CLIENT}-{uuid.uuid4().hex[:12]}"
    container = Container(image, name, tuple(mounts), network="host", gpus=GPU in tested.project.profiles)
    remove = (command, "rm", "--force", name)
    with _over_broker(tested, clock, lambda arguments: (run_words(command, container, arguments), remove)) as way:
        yield way


@contextmanager
def _over_broker(
    tested: Tested, clock: Clock, command: Callable[[Sequence[str]], tuple[list[str], Sequence[str]]]
) -> Iterator[Way]:
    """`command` makes of the arguments of `run` the command to start, and the one that removes what it leaves behind."""
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(TOPICS))
        words, remove = command(list(_run_arguments(tested, broker.bootstrap_servers)))
        member = stack.enter_context(MemberProcess(words, tested.log, clock, remove=remove))
        settings = _client_settings(tested, broker.bootstrap_servers)
        producer = tool_producer(settings, _CLIENT)
        stack.callback(producer.close)
        consumer = tool_consumer(settings, _CLIENT)
        stack.callback(consumer.close)
        exchange = Exchange(producer, consumer, clock, timeout_seconds=tested.timeout_seconds, check_alive=member.check_alive)
        yield _OverBroker(member, exchange, RequestBuilder(tested.project.spec, limits_of(settings)), clock)


class _OverBroker:
    def __init__(self, member: MemberProcess, exchange: Exchange, builder: RequestBuilder, clock: Clock) -> None:
        self.describe = member.describe
        self._exchange = exchange
        self._builder = builder
        self._clock = clock

    def process(self, payload: Mapping[str, Any], name: str) -> ConsumerRecord:
        address = Address(REQUESTS, f"{name}-{uuid.uuid4().hex}", self._clock.utc(), key=name)
        return self._exchange.ask(self._builder.record(dict(payload), "json", address))


def _run_arguments(tested: Tested, bootstrap_servers: str) -> Iterator[str]:
    """After the project and its profiles; a later `--set` is over an earlier one."""
    if tested.config_file is not None:
        yield from ("--config", str(tested.config_file.resolve()))
    yield from ("--bootstrap-servers", bootstrap_servers, "--group-id", _CLIENT, "--http-port", "0")
    yield from ("--input-topic", REQUESTS, "--output-topic", RESULTS, "--dead-letter-topic", DEAD_LETTERS)
    allowed = f"urls.allow={json.dumps([*tested.settings.urls.allow, folder_url(tested.resources)])}"
    sidecar = ("http.enabled=true", "http.host=127.0.0.1")
    mine = (allowed, *sidecar, "log.format=json", "output.content_type=application/json", *_NO_OTHER_BROKER, *_QUICK)
    for assignment in (*tested.assignments, *mine):
        yield from ("--set", assignment)


def _client_settings(tested: Tested, bootstrap_servers: str) -> Settings:
    loaded = options.load_settings(
        tested.project.path,
        tested.project.profiles,
        config_file=tested.config_file,
        assignments=(*tested.assignments, *_NO_OTHER_BROKER, *_QUICK),
        bootstrap_servers=bootstrap_servers,
    )
    return loaded.settings


WAYS: Final = {"in-process": in_process, "local": local, "docker": docker}
