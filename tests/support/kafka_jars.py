"""What a Kafka node needs from outside: a Java runtime and Kafka's jars."""

from pathlib import Path

from support import maven

FOLDER = Path(__file__).parents[1] / "kafka"
OLDEST_JAVA = 17
Missing = maven.Missing


def java() -> str:
    return maven.java(OLDEST_JAVA)


def libraries() -> Path:
    """The folder with the jars of tests/kafka/pom.xml."""
    return maven.fetched(FOLDER, "copy-dependencies")
