"""Tables of settings: effective values without secrets, and the docs' table."""

from pesto_stream.config.keys import keys
from pesto_stream.config.layers import assignment_entries
from pesto_stream.config.load import load
from pesto_stream.config.secrets import MASK
from pesto_stream.config.table import rows, table, text_of


def shown(*assignments: str) -> dict:
    return {row.key: row.value for row in rows(load(environ={}, flags=assignment_entries(assignments)))}


def test_every_setting_is_shown_with_its_source():
    result = list(rows(load(environ={}, flags=assignment_entries(["http.port=0"]))))

    names = [row.key for row in result if not row.key.startswith("kafka.properties.")]
    assert names == [name for name in keys() if name != "kafka.properties"]
    assert next(row for row in result if row.key == "http.port") == ("http.port", 0, "flag --set")


def test_librdkafka_properties_are_shown_one_by_one():
    assert shown("kafka.properties.linger.ms=9")["kafka.properties.linger.ms"] == "9"


def test_no_secret_is_shown():
    result = shown(
        "kafka.security_protocol=SASL_SSL",
        "kafka.sasl_mechanism=PLAIN",
        "kafka.sasl_username=u",
        "kafka.sasl_password=hunter2",
        "schema_registry.url=https://me:hunter2@registry/",
        'urls.allow=["https://me:hunter2@host/"]',
        "urls.s3_access_key_id=hunter2",
        "urls.s3_secret_access_key=hunter2",
        "kafka.properties.ssl.key.password=hunter2",
        "kafka.properties.ssl.key.pem=hunter2",
        "kafka.properties.ssl.keystore.password=hunter2",
        "kafka.properties.sasl.oauthbearer.client.secret=hunter2",
        "kafka.properties.sasl.oauthbearer.config=principal=hunter2",
        "kafka.properties.sasl.oauthbearer.assertion.private.key.passphrase=hunter2",
    )

    assert "hunter2" not in str(result)
    assert result["kafka.sasl_password"] == MASK
    assert result["schema_registry.url"] == "https://***@registry/"


def test_a_secret_that_is_not_set_is_shown_as_none():
    assert shown()["kafka.sasl_password"] is None


def test_the_docs_table_has_a_row_for_every_setting():
    lines = list(table())

    assert len(lines) == len(keys()) + 2
    assert "| `http.port` | integer >= 0 and <= 65535 | `8080` | Port of the sidecar; 0: any free one. |" in lines
    assert all(line.count("|") == 5 for line in lines)


def test_values_are_written_as_a_user_would_write_them():
    assert [text_of(value) for value in (True, 16.0, 0.5, None, [], "x")] == ["true", "16", "0.5", "none", "[]", "x"]
