"""`pesto-stream describe`: the describe document on standard output."""

import json

import pytest
from support.projects import a_project

from pesto_stream.cli.app import main


@pytest.fixture
def describe(capsys):
    def _describe(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["describe", *map(str, arguments)])
        return (end.value.code, *capsys.readouterr())

    return _describe


def test_the_document_says_what_the_algorithm_takes_and_gives(describe, tmp_path):
    code, out, err = describe(a_project(tmp_path, name="clouds", version="2.0.1"))
    document = json.loads(out)

    assert (code, err) == (0, "")
    assert (document["name"], document["version"]) == ("clouds", "2.0.1")
    assert document["input"]["properties"]["threshold"]["type"] == "number"
    assert document["input"]["required"] == ["image"]
    assert set(document["output"]["properties"]) == {"mask", "coverage"}
    assert document["output"]["definitions"]["Image"]
    assert set(document["_links"]) >= {"self", "version", "health"}


def test_it_names_topics_as_configured_for_the_run(describe, tmp_path):
    project = a_project(tmp_path, files={"pesto/stream/runtime.json": {"topics": {"input": "tiles", "output": "masks"}}})

    from_project = json.loads(describe(project)[1])
    from_flag = json.loads(describe(project, "--set", "topics.output=elsewhere")[1])

    assert "tiles" in json.dumps(from_project)
    assert "masks" in json.dumps(from_project)
    assert "elsewhere" in json.dumps(from_flag)
    assert "masks" not in json.dumps(from_flag)


def test_profiles_are_merged_into_it(describe, tmp_path):
    project = a_project(tmp_path, files={"pesto/api/description.stateful.json": {"title": "With a memory"}})

    assert json.loads(describe(project)[1])["title"] == "an-algorithm"
    assert json.loads(describe(project, "-p", "stateful")[1])["title"] == "With a memory"


def test_secrets_are_not_in_it(describe, tmp_path, monkeypatch):
    for name, value in {
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_MECHANISM": "PLAIN",
        "SASL_USERNAME": "u",
        "SASL_PASSWORD": "hunter2",
    }.items():
        monkeypatch.setenv(f"PESTO_STREAM__KAFKA__{name}", value)
    monkeypatch.setenv("PESTO_STREAM__URLS__S3_ACCESS_KEY_ID", "hunter2")
    monkeypatch.setenv("PESTO_STREAM__URLS__S3_SECRET_ACCESS_KEY", "hunter2")

    code, out, err = describe(a_project(tmp_path))

    assert code == 0
    assert "hunter2" not in out + err


def test_nothing_of_the_project_is_imported(describe, tmp_path):
    assert describe(a_project(tmp_path, process="raise SystemExit(9)"))[0] == 0


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pesto/api/input_schema.json": None}, "input_schema.json"),
        ({"pesto/api/output_schema.json": "{"}, "output_schema.json"),
        ({"pesto/api/input_schema.json": {"image": {"$ref": "#/definitions/Imag"}}}, "did you mean 'Image'"),
    ],
)
def test_a_project_that_does_not_fit_together_exits_with_2_and_names_the_file(describe, tmp_path, files, said):
    code, out, err = describe(a_project(tmp_path, files=files))

    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
