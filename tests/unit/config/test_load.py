"""Settings from all layers, their provenance, and what is refused."""

import json
from pathlib import Path

import pytest

from pesto_stream.config.files import profiles_folder, shipped_profiles
from pesto_stream.config.keys import keys
from pesto_stream.config.layers import assignment_entries
from pesto_stream.config.load import load
from pesto_stream.config.model import Settings
from pesto_stream.errors import ConfigurationError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pesto" / "stream").mkdir(parents=True)
    return tmp_path


def write(project: Path, name: str, document: object) -> Path:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def loaded(project: Path | None = None, *profiles: str, environ=None, assignments=(), config_file=None):
    flags = assignment_entries(assignments)
    return load(project, profiles, environ=environ or {}, flags=flags, config_file=config_file)


def refusal(*arguments, **options) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(*arguments, **options)
    return str(caught.value)


def test_without_any_layer_there_are_the_defaults_and_the_base_profile():
    result = loaded()

    assert result.settings.model_copy(update={"kafka": Settings().kafka}) == Settings()
    assert set(result.provenance) >= set(keys())
    assert {source for key, source in result.provenance.items() if not key.startswith("kafka.properties.")} == {"default"}


def test_each_layer_is_over_the_one_below_it(project, tmp_path):
    write(project, "pesto/stream/a.json", {"memory": {"in_flight_mib": 1}})
    config_file = tmp_path / "c.yaml"
    config_file.write_text("memory:\n  in_flight_mib: 2\n")
    environ = {"PESTO_STREAM__MEMORY__IN_FLIGHT_MIB": "3"}
    steps = [
        ({}, 256, "default"),
        ({"profiles": ["gpu"]}, 1024, "profile 'gpu'"),
        ({"project": project}, 1, "project pesto/stream/a.json"),
        ({"config_file": config_file}, 2, f"file {config_file}"),
        ({"environ": environ}, 3, "environment PESTO_STREAM__MEMORY__IN_FLIGHT_MIB"),
        ({"flags": list(assignment_entries(["memory.in_flight_mib=4"]))}, 4, "flag --set"),
    ]
    given: dict = {"environ": {}}
    for more, value, source in steps:
        given |= more
        result = load(**given)
        assert (result.settings.memory.in_flight_mib, result.provenance["memory.in_flight_mib"]) == (value, source)


def test_project_files_are_merged_in_sorted_order_each_with_its_profiles_in_the_order_given(project):
    write(project, "pesto/stream/b.json", {"retry": {"attempts": 10}, "http": {"port": 1}})
    write(project, "pesto/stream/a.json", {"retry": {"attempts": 20, "max_seconds": 9}})
    write(project, "pesto/stream/a.gpu.json", {"http": {"port": 2}, "limits": {"max_bands": 3}})
    write(project, "pesto/stream/b.gpu.json", {"commit": {"interval_seconds": 5}})
    write(project, "pesto/stream/b.stateful.json", {"commit": {"interval_seconds": 6}})

    result = loaded(project, "gpu", "stateful")
    settings = result.settings

    assert (settings.retry.attempts, settings.retry.max_seconds, settings.http.port) == (10, 9, 1)
    assert (settings.limits.max_bands, settings.commit.interval_seconds) == (3, 6)
    assert result.provenance["commit.interval_seconds"] == "project pesto/stream/b.stateful.json"
    assert loaded(project, "stateful", "gpu").settings.commit.interval_seconds == 5


def test_a_profile_that_is_not_asked_for_changes_nothing(project):
    write(project, "pesto/stream/a.gpu.json", {"http": {"port": 2}})

    assert loaded(project).settings.http.port == 8080


def test_lists_are_replaced_and_librdkafka_properties_merged(project):
    write(project, "pesto/stream/a.json", {"urls": {"allow": ["https://a/"]}, "kafka": {"properties": {"linger.ms": 1}}})

    result = loaded(
        project, environ={"PESTO_STREAM__URLS__ALLOW": '["https://b/"]', "PESTO_STREAM__KAFKA__PROPERTIES__BATCH_SIZE": "9"}
    )

    assert result.settings.urls.allow == ["https://b/"]
    assert result.settings.kafka.properties.items() >= {"linger.ms": 1, "batch.size": "9"}.items()
    assert result.provenance["kafka.properties.linger.ms"] == "project pesto/stream/a.json"


@pytest.mark.parametrize("folder", ["api", "build", "stream"])
def test_a_profile_is_known_by_any_of_the_projects_overlay_files(project, folder):
    write(project, f"pesto/{folder}/description.special.json", {})

    loaded(project, "special")


def test_an_unknown_profile_names_its_neighbour_and_the_known_ones(project):
    write(project, "pesto/api/config.special.json", {})

    assert refusal(project, "gpuu") == "unknown profile 'gpuu'; did you mean 'gpu'? known: container, cpu, gpu, special"


def test_a_profile_cannot_name_a_file_outside_the_profiles(project):
    write(project, "secret.json", {"http": {"port": 1}})

    assert "unknown profile '../secret'" in refusal(project, "../secret")


@pytest.mark.parametrize("name", sorted(shipped_profiles() | {"base"}))
def test_every_shipped_profile_loads(name):
    assert (profiles_folder() / f"{name}.json").is_file()
    loaded(None, *({name} - {"base"}))


@pytest.mark.parametrize(
    ("assignment", "neighbour"),
    [
        ("memory.in_flght_mib=1", "memory.in_flight_mib"),
        ("in_flight_mib=1", "memory.in_flight_mib"),
        ("topcs.input=t", "topics.input"),
        ("memry=1", "memory"),
    ],
)
def test_an_unknown_key_names_itself_its_source_and_its_nearest_neighbour(assignment, neighbour):
    key = assignment.partition("=")[0]

    assert refusal(assignments=[assignment]) == f"{key}: unknown key, from flag --set; did you mean '{neighbour}'?"


def test_an_unknown_key_in_a_project_file_names_the_file(project):
    write(project, "pesto/stream/runtime.json", {"memory": {"inflight": 1}})

    assert "memory.inflight: unknown key, from project pesto/stream/runtime.json" in refusal(project)


def test_a_wrong_value_names_key_value_source_and_expectation():
    assert refusal(environ={"PESTO_STREAM__HTTP__PORT": "99999"}) == (
        "http.port: '99999' from environment PESTO_STREAM__HTTP__PORT; expected integer >= 0 and <= 65535"
    )


def test_all_errors_are_told_at_once():
    text = refusal(assignments=["http.port=x", "log.level=loud", "nothing.like.it=1", "kafka=3", "urls.allow=https://a/"])

    assert text.startswith("5 settings are wrong\n")
    for part in ("http.port: 'x'", "log.level: 'loud'", "nothing.like.it: unknown key", "kafka: '3'", "urls.allow: 'https://a/'"):
        assert part in text


@pytest.mark.parametrize("value", ["inf", ".inf", "nan", ".nan", "-1", "0", "true?"])
def test_a_bound_on_memory_is_a_finite_number_above_zero(value):
    assert "expected number > 0" in refusal(assignments=[f"memory.in_flight_mib={value}"])


@pytest.mark.parametrize("name", ["^tiles.*", "..", "a b", "a/b", "x" * 250])
def test_a_topic_name_that_kafka_would_not_take_is_refused(name):
    assert "expected none or topic name" in refusal(assignments=[f"topics.input={name}"])


def test_a_secret_is_never_in_an_error_message(project):
    write(project, "pesto/stream/a.json", {"kafka": {"sasl_password": ["hunter2"]}})

    text = refusal(project)

    assert "hunter2" not in text
    assert "kafka.sasl_password: *** from project pesto/stream/a.json" in text


def test_the_password_in_a_url_is_never_in_an_error_message():
    assert "hunter2" not in refusal(assignments=["urls.allow=https://me:hunter2@host/"])


def test_a_secret_may_be_read_from_a_file(project, tmp_path):
    (tmp_path / "key").write_text("hunter2\n")
    write(project, "pesto/stream/a.json", {"schema_registry": {"password": {"file": str(tmp_path / "key")}}})

    result = loaded(project)

    assert result.settings.schema_registry.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(result)


@pytest.mark.parametrize("given", [{"file": "/does/not/exist"}, {"file": 3}, {"path": "/x"}, {}])
def test_a_secret_file_that_cannot_be_read_is_an_error(project, given):
    write(project, "pesto/stream/a.json", {"schema_registry": {"password": given}})

    assert refusal(project).startswith("schema_registry.password: ")


def test_secrets_and_librdkafka_properties_are_not_in_the_settings_own_text():
    settings = Settings(kafka={"sasl_password": "hunter2", "properties": {"ssl.key.password": "hunter2"}})

    assert "hunter2" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("c.json", "{", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ("c.yaml", "a: [", "not YAML: expected the node content, but found '<stream end>' at line 1, column 5"),
        ("c.yaml", "a: " + "[" * 100_000, "nested too deeply"),
        ("c.yaml", "- 1", "expected an object of settings, found list"),
        ("c.json", "null", "expected an object of settings, found NoneType"),
        ("c.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_names_itself_and_the_place(tmp_path, name, content, part):
    path = tmp_path / name
    path.write_text(content)

    text = refusal(config_file=path)

    assert f"cannot read '{path}'" in text
    assert part in text


def test_a_missing_config_file_is_an_error(tmp_path):
    assert "No such file" in refusal(config_file=tmp_path / "none.yaml")


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"log: \xff")

    assert "is not UTF-8" in refusal(config_file=path)


def test_an_empty_yaml_file_sets_nothing(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("# nothing yet\n")

    assert loaded(config_file=path).settings == loaded().settings


def test_json_and_yaml_say_the_same(tmp_path):
    document = {"delivery": "at-least-once", "kafka": {"properties": {"linger.ms": 5}}, "urls": {"allow": ["file:///data/"]}}
    (tmp_path / "c.json").write_text(json.dumps(document))
    (tmp_path / "c.yaml").write_text(
        "delivery: at-least-once\nkafka: {properties: {linger.ms: 5}}\nurls:\n  allow: ['file:///data/']\n"
    )

    assert loaded(config_file=tmp_path / "c.json").settings == loaded(config_file=tmp_path / "c.yaml").settings


def test_a_broken_rule_names_its_source():
    text = refusal(environ={"PESTO_STREAM__DELIVERY": "queue"})

    assert text == (
        "delivery: 'queue' is not available in this version; use 'at-least-once' (from environment PESTO_STREAM__DELIVERY)"
    )


def test_the_process_environment_is_read_where_none_is_given(monkeypatch):
    monkeypatch.setenv("PESTO_STREAM__RETRY__ATTEMPTS", "7")

    assert load().settings.retry.attempts == 7


def test_the_names_that_users_rely_on_exist():
    fixed = (
        "delivery ordering topics.input topics.output topics.dead_letter kafka.bootstrap_servers kafka.group_id kafka.group_protocol "
        "kafka.properties kafka.start kafka.startup_timeout_seconds algorithm.concurrency algorithm.timeout_seconds memory.in_flight_mib "
        "urls.allow urls.allow_private http.host http.port shutdown.drain_seconds retry.attempts output.image_format"
    )
    assert set(fixed.split()) <= set(keys())


def test_every_setting_has_a_sentence_and_words_for_its_type():
    for key in keys().values():
        assert key.sentence.strip().endswith((".", "docs.")), key.name
        assert key.expected, key.name
