"""What each layer sets, key by key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.config.keys import PROPERTIES, keys
from pesto_stream.config.layers import Entry, assignment_entries, document_entries, environment_entries, text_entries
from pesto_stream.errors import ConfigurationError
from pesto_stream.model.merge import merged


def chosen(*entries: Entry) -> dict:
    return {entry.key: entry.value for entry in entries}


def environment(**variables: str) -> dict:
    return chosen(*environment_entries({f"PESTO_STREAM__{name}": text for name, text in variables.items()}))


def nested(key: str, value: object) -> dict:
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


_leaf = st.one_of(st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2), st.just({"file": "/x"}))
_document = st.lists(st.tuples(st.sampled_from(sorted(keys().keys() - {PROPERTIES})), _leaf), max_size=8).map(
    lambda pairs: _laid(nested(key, value) for key, value in pairs)
)


def _laid(documents) -> dict:
    result: dict = {}
    for document in documents:
        result = merged(result, document)
    return result


@given(_document, _document)
def test_entries_laid_over_each_other_are_pestos_merge(base, overlay):
    one_by_one = chosen(*document_entries(base, "base"), *document_entries(overlay, "overlay"))

    assert one_by_one == chosen(*document_entries(merged(base, overlay), "both"))


def test_a_document_is_flattened_to_the_settings_it_holds():
    document = {"memory": {"in_flight_mib": 5}, "kafka": {"properties": {"linger.ms": 1}}, "urls": {"allow": ["a", "b"]}}

    assert list(document_entries(document, "file x")) == [
        Entry("memory.in_flight_mib", 5, "file x"),
        Entry("kafka.properties.linger.ms", 1, "file x"),
        Entry("urls.allow", ["a", "b"], "file x"),
    ]


def test_a_section_without_content_sets_nothing():
    assert list(document_entries({"memory": None, "kafka": {"properties": None}}, "x")) == []


def test_dotted_keys_in_a_document_are_the_keys_that_the_flags_take():
    assert chosen(*document_entries({"memory.in_flight_mib": 5}, "x")) == {"memory.in_flight_mib": 5}


def test_the_environment_reaches_every_key_in_any_case():
    for key in keys():
        name = key.replace(".", "__")
        assert set(environment(**{name.upper(): "1"})) | set(environment(**{name: "1"})) == {key}


def test_variables_of_others_are_left_alone():
    assert list(environment_entries({"PESTO_STREAM_DEBUG": "1", "PESTO_PROFILE": "gpu", "PATH": "/bin"})) == []


def test_an_entry_of_the_environment_names_its_variable():
    (entry,) = environment_entries({"pesto_stream__http__port": "0"})

    assert entry.source == "environment pesto_stream__http__port"


def test_text_stays_text_and_the_rest_is_read_as_yaml_or_json():
    assert environment(
        KAFKA__GROUP_ID="007",
        KAFKA__SASL_PASSWORD="[1]",
        HTTP__PORT="0",
        URLS__ALLOW='["https://a/"]',
        URLS__ALLOW_PRIVATE="yes",
        MEMORY="{in_flight_mib: 7}",
    ) == {
        "kafka.group_id": "007",
        "kafka.sasl_password": "[1]",
        "http.port": 0,
        "urls.allow": ["https://a/"],
        "urls.allow_private": True,
        "memory.in_flight_mib": 7,
    }


def test_empty_text_is_none_where_a_setting_may_be_none():
    assert environment(ALGORITHM__TIMEOUT_SECONDS="", KAFKA__GROUP_ID="", INPUT__CONTENT_TYPE="", URLS__S3_REGION="") == {
        "algorithm.timeout_seconds": None,
        "kafka.group_id": None,
        "input.content_type": None,
        "urls.s3_region": "",
    }


@pytest.mark.parametrize("name", ["LINGER_MS", "linger.ms", "LINGER.MS"])
def test_a_librdkafka_property_in_the_environment_may_be_written_with_underscores(name):
    assert environment(**{f"KAFKA__PROPERTIES__{name}": "5"}) == {"kafka.properties.linger.ms": "5"}


def test_text_that_is_no_yaml_is_left_for_the_model_to_refuse():
    assert chosen(*text_entries("http.port", "[", "x")) == {"http.port": "["}


def test_an_assignment_may_hold_equals_signs_in_its_value():
    assert chosen(*assignment_entries(["kafka.group_id=a=b", "kafka.properties.client.rack=r1"])) == {
        "kafka.group_id": "a=b",
        "kafka.properties.client.rack": "r1",
    }


@pytest.mark.parametrize("wrong", ["memory.in_flight_mib", "=5", " =5"])
def test_an_assignment_without_a_key_or_a_value_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="expected KEY=VALUE"):
        list(assignment_entries([wrong]))
