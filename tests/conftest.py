"""Fixtures for brokers. Using one marks the test: `kafka` and `topics` as real_kafka, `embedded` as embedded."""

import contextlib
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from support.apicurio import real_registry
from support.kafka_server import NoKafka, real_kafka
from support.maven import Missing
from support.topics import Topics

from pesto_stream.broker.kafka_embedded import EmbeddedBroker

settings.register_profile("quiet", deadline=None)  # the machine is shared: time says nothing about an example
settings.load_profile("quiet")

_MARKS = {"kafka": "real_kafka", "embedded": "embedded"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in _MARKS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_was() -> Iterator[None]:
    """Commands that a test runs in this process set up logging, and load projects with their profile; the next test knows nothing of it."""
    root = logging.getLogger()
    handlers, profile, before = root.handlers[:], os.environ.get("PESTO_PROFILE"), _loggers()
    yield
    root.handlers[:] = handlers
    for logger in _loggers():
        level, logger.propagate = before.get(logger, (logging.NOTSET, True))
        logger.setLevel(level)
    if profile is None:
        os.environ.pop("PESTO_PROFILE", None)
    else:
        os.environ["PESTO_PROFILE"] = profile


def _loggers() -> dict[logging.Logger, tuple[int, bool]]:
    known = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    return {logger: (logger.level, logger.propagate) for logger in (logging.root, *known)}


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The bootstrap address of the session's real Apache Kafka. Without one: skipped, with the reason; failed where CI is set."""
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(real_kafka())
        except NoKafka as reason:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))
        yield address


@pytest.fixture
def topics(kafka: str) -> Iterator[Topics]:
    """Creates topics on the real broker, and deletes them after the test."""
    made = Topics(kafka)
    yield made
    made.delete_all()


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """The address of the session's real schema registry (`support.apicurio`). Without one: skipped; failed where CI is set."""
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(real_registry())
        except Missing as reason:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no schema registry: {reason}")
        yield address


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBroker]:
    """An embedded broker for the session; `embedded.create_topic(unique_name("t"), partitions)` gives a topic of one's own."""
    with EmbeddedBroker() as broker:
        yield broker
