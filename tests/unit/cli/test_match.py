"""`pesto-stream match`: which services take an image."""

import json

import pytest
from support.projects import a_project

from pesto_stream.cli.app import main

IMAGE = {"resolution": 10, "type": {"bands": "RGB"}}


@pytest.fixture
def match(capsys, tmp_path):
    def _match(image, *services, flags=()):
        files = []
        for number, document in enumerate((image, *services)):
            files.append(tmp_path / f"{number}.json")
            files[-1].write_text(document if isinstance(document, str) else json.dumps(document))
        with pytest.raises(SystemExit) as end:
            main(["match", "--image", *map(str, files), *flags])
        return (end.value.code, *capsys.readouterr())

    return _match


def a_service(name, **capabilities):
    properties = {"image": {"$ref": "#/definitions/Image"}}
    return {"name": name, "version": "1.0", "input": {"properties": properties}, "inputCapabilities": {"image": capabilities}}


def test_the_services_that_take_the_image_are_named_and_the_others_say_why(match):
    code, out, err = match(IMAGE, a_service("clouds"), a_service("ships", resolution={"max": 2}, type={"requiredBands": ["N"]}))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "clouds 1.0: yes, as 'image'",
        "ships 1.0: no",
        "  input 'image': resolution 10 is above 2",
        "  input 'image': band 'N' is missing",
    ]


def test_the_exit_code_is_5_when_nobody_takes_it(match):
    code, out, _ = match(IMAGE, a_service("ships", resolution={"max": 2}))
    assert (code, out.splitlines()[0]) == (5, "ships 1.0: no")


def test_the_answers_can_be_had_as_json(match):
    code, out, _ = match(IMAGE, a_service("clouds"), {"name": "sums"}, flags=("--json",))
    first, second = json.loads(out)
    assert code == 0
    assert first == {"service": "clouds", "version": "1.0", "accepts": True, "inputs": ["image"], "reasons": []}
    assert second["reasons"] == ["it takes no image"]


@pytest.mark.parametrize(
    ("image", "service", "said"),
    [
        ("{", {}, "it is not JSON"),
        ([], {}, "expected a JSON object, found list"),
        ({"resolution": 0}, {}, "is no description of an image: 'resolution'"),
        (IMAGE, "[" * 100_000, "it is not JSON"),
        (IMAGE, "7", "expected a JSON object, found int"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_a_usage_error_that_names_it(match, image, service, said):
    code, out, err = match(image, service)
    assert (code, out) == (2, "")
    assert said in err
    assert ".json" in err


def test_the_describe_document_of_a_project_says_its_capabilities(match, capsys, tmp_path):
    capabilities = {"image": {"resolution": {"max": 2}}}
    project = a_project(tmp_path, description={"inputCapabilities": capabilities})
    with pytest.raises(SystemExit):
        main(["describe", str(project)])
    document = capsys.readouterr().out
    assert json.loads(document)["inputCapabilities"] == capabilities
    assert match(IMAGE, document)[0] == 5
    assert match({"resolution": 1}, document)[0] == 0
