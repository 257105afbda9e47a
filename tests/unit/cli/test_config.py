"""`pesto-stream config` and the options that commands share."""

import json
import sys

import pytest
import yaml
from rich.console import Console

from pesto_stream.cli import config, options
from pesto_stream.cli.app import main
from pesto_stream.config.keys import keys
from pesto_stream.config.table import Row
from pesto_stream.errors import ConfigurationError


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pesto" / "stream").mkdir(parents=True)
    (tmp_path / "pesto" / "stream" / "runtime.stateful.json").write_text(json.dumps({"retry": {"attempts": 9}}))
    return tmp_path


@pytest.fixture
def run(project, capsys):
    def _run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["config", str(project), *arguments])
        return (end.value.code, *capsys.readouterr())

    return _run


def test_json_has_every_setting_with_its_value_and_source(run):
    code, out, _ = run("--format", "json", "-p", "gpu,stateful", "--input-topic", "tiles", "--set", "http.port=0")
    shown = json.loads(out)

    assert code == 0
    assert set(shown) >= set(keys()) - {"kafka.properties"}
    assert shown["memory.in_flight_mib"] == {"value": 1024.0, "source": "profile 'gpu'"}
    assert shown["retry.attempts"] == {"value": 9, "source": "project pesto/stream/runtime.stateful.json"}
    assert shown["topics.input"] == {"value": "tiles", "source": "flag --input-topic"}
    assert shown["http.port"] == {"value": 0, "source": "flag --set"}
    assert shown["delivery"] == {"value": "at-least-once", "source": "default"}


def test_yaml_says_the_same_as_json(run):
    assert yaml.safe_load(run("--format", "yaml")[1]) == json.loads(run("--format", "json")[1])


def test_the_table_has_a_line_for_every_setting_when_piped(run):
    code, out, _ = run("-p", "gpu", "-p", "stateful")
    lines = out.splitlines()

    assert code == 0
    assert lines[0].split() == ["key", "value", "source"]
    assert [line.split(maxsplit=2) for line in lines if line.startswith("memory.")] == [
        ["memory.in_flight_mib", "1024", "profile 'gpu'"]
    ]


def test_on_a_terminal_the_table_is_drawn(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    config._print_table([Row("topics.input", "[bold]tiles", "flag --set")])

    assert "[bold]tiles" in capsys.readouterr().out
    assert Console().width > 0


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_secrets_are_masked(run, monkeypatch, form):
    monkeypatch.setenv("PESTO_STREAM__SCHEMA_REGISTRY__PASSWORD", "hunter2")
    monkeypatch.setenv("PESTO_STREAM__KAFKA__PROPERTIES__SSL_KEY_PASSWORD", "hunter2")

    code, out, err = run("--format", form)

    assert code == 0
    assert "hunter2" not in out + err
    assert "environment PESTO_STREAM__SCHEMA_REGISTRY__PASSWORD" in out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--set", "memory.in_flght_mib=1"], "did you mean 'memory.in_flight_mib'?"),
        (["--delivery", "queue"], "delivery: 'queue' is not available in this version"),
        (["-p", "nope"], "unknown profile 'nope'; known: container, cpu, gpu, stateful"),
        (["--format", "xml"], "cannot print as 'xml'; expected one of table, json, yaml"),
        (["--config", "/does/not/exist.yaml"], "cannot read '/does/not/exist.yaml'"),
        (["--http-port", "70000"], "http.port: '70000' from flag --http-port"),
    ],
)
def test_errors_exit_with_2_and_a_message_without_traceback(run, arguments, part):
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert part in err
    assert "Traceback" not in err


def test_a_dedicated_option_is_over_set():
    loaded = options.load_settings(None, assignments=["topics.input=a"], input_topic="b", output_topic=None)

    assert (loaded.settings.topics.input, loaded.provenance["topics.input"]) == ("b", "flag --input-topic")


def test_every_dedicated_option_stands_for_a_setting():
    assert set(options._KEYS.values()) <= set(keys())


@pytest.mark.parametrize("given", [["a", "b"], ["a,b"], [" a , b "], ["a,", "b"]])
def test_profiles_are_given_one_by_one_or_with_commas(given):
    assert options.names(given) == ("a", "b")


def test_a_broken_assignment_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="expected KEY=VALUE"):
        options.load_settings(None, assignments=["memory"])
