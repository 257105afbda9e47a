"""The schema registry port on confluent_kafka's own registry client.

Needs the client's `schemaregistry` extra; imported only where a registry is configured.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from pesto_stream.errors import AuthorizationFailed, DecodeError, FatalError, PestoStreamError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SCHEMA_CHARACTERS = 1 << 20
_NOT_ALLOWED = (401, 403)
_NOT_FOUND = 404
_BUSY = (408, 425, 429)
_SERVER_ERROR = 500


class KafkaSchemaRegistry:
    """See `pesto_stream.serde.registry_port.SchemaRegistry`. One request takes at most `timeout_seconds`; the client's own retries are
    off, since the runtime backs off and retries by itself.
    """

    def __init__(
        self, url: str, username: str | None = None, password: str | None = None, *, timeout_seconds: float = 10.0
    ) -> None:
        conf: dict[str, Any] = {"url": url, "timeout": timeout_seconds, "max.retries": 0}
        if username is not None:
            conf["basic.auth.user.info"] = f"{username}:{password or ''}"
        self._client = SchemaRegistryClient.new_client(conf)

    def schema_by_id(self, schema_id: int) -> Any:
        found = _asked(lambda: self._client.get_schema(schema_id), f"read schema id '{schema_id}'", DecodeError)
        if found.schema_type not in (None, "AVRO"):
            raise DecodeError(f"schema id '{schema_id}' of the registry is of type '{found.schema_type}': expected 'AVRO'")
        if found.references:
            raise DecodeError(f"schema id '{schema_id}' of the registry refers to other schemas: expected one that is complete")
        return _parsed(found.schema_str or "", schema_id)

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
        doing = f"register the output schema under subject '{subject}'"
        return int(_asked(lambda: self._client.register_schema(subject, Schema(text, "AVRO")), doing, FatalError))

    def compatible(self, subject: str, schema: dict[str, Any]) -> bool:
        text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
        doing = f"compare the schema with the latest one of subject '{subject}'"
        try:
            return bool(_asked(lambda: self._client.test_compatibility(subject, Schema(text, "AVRO")), doing, FatalError))
        except FatalError as error:
            if getattr(error.__cause__, "http_status_code", None) == _NOT_FOUND:
                return True  # nothing was registered under this name yet
            raise

    def close(self) -> None:
        self._client.close()


def _asked(call: Callable[[], Any], doing: str, refused: type[PestoStreamError]) -> Any:
    try:
        return call()
    except SchemaRegistryError as error:
        raise _translated(error, doing, refused) from error
    except Exception as error:  # transport errors of whichever HTTP library the client found
        raise StoreUnavailable(f"cannot {doing}: the schema registry does not answer: {type(error).__name__}: {error}") from error


def _translated(error: SchemaRegistryError, doing: str, refused: type[PestoStreamError]) -> PestoStreamError:
    status = error.http_status_code
    said = f"cannot {doing}: the schema registry answered '{status}': {str(error.error_message)[:300]}"
    if status in _NOT_ALLOWED:
        return AuthorizationFailed(f"{said}; check 'schema_registry.username' and 'schema_registry.password'")
    if status in _BUSY or status >= _SERVER_ERROR:
        return StoreUnavailable(said)
    return refused(said)


def _parsed(text: str, schema_id: int) -> Any:
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise DecodeError(
            f"schema id '{schema_id}' of the registry has {len(text)} characters: expected at most {MAX_SCHEMA_CHARACTERS}"
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"schema id '{schema_id}' of the registry is not JSON: {error}") from None
