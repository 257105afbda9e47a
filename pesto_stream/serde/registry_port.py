"""The port to a schema registry. The adapter is in `pesto_stream.broker.kafka_registry`."""

from __future__ import annotations

from typing import Any, Protocol


class SchemaRegistry(Protocol):
    """A Confluent-compatible registry. Safe to call from several threads."""

    def schema_by_id(self, schema_id: int) -> Any:
        """The Avro schema of an id, parsed from its JSON and otherwise as it came: not to be trusted.

        Raises DecodeError for an id that is not there or no Avro schema, StoreUnavailable when the registry does not answer.
        """

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """The id of a schema under a subject, registered if it was not.

        Raises FatalError when the registry refuses it (not compatible, no right), StoreUnavailable when it does not answer.
        """

    def compatible(self, subject: str, schema: dict[str, Any]) -> bool:
        """Whether the registry's rule for the subject lets the schema follow its latest one; a subject that is new takes any.

        Raises FatalError, StoreUnavailable as `register`.
        """
