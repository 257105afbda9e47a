import pytest

from pesto_stream.errors import ProjectError
from pesto_stream.packaging.requirements import DATA, PIP, PYTHON, Requirement, parse_requirements


def one(**fields):
    return parse_requirements({"requirements": {"r": {"from": "file:///a", "to": "/opt/a", **fields}}}).items[0]


def test_pestos_form_is_read():
    document = {
        "environments": {"A": "x", "N": 1, "B": True},
        "requirements": {
            "model": {"from": "gs://bucket/model.tar.gz", "to": "/opt/model"},
            "library": {"from": "file:///lib", "to": "/opt/lib", "type": "python"},
            "wheel": {"from": "https://host/x-1-py3-none-any.whl", "to": "/ignored", "type": "pip"},
        },
        "dockerBaseImage": "python:3.12-slim",
    }

    found = parse_requirements(document)

    assert found.environment == {"A": "x", "N": "1", "B": "true"}
    assert found.base_image == "python:3.12-slim"
    assert found.items == (
        Requirement("model", "gs://bucket/model.tar.gz", "/opt/model", DATA),
        Requirement("library", "file:///lib", "/opt/lib", PYTHON),
        Requirement("wheel", "https://host/x-1-py3-none-any.whl", "", PIP),
    )


@pytest.mark.parametrize("document", [{}, {"environments": None, "requirements": None, "dockerBaseImage": ""}])
def test_nothing_declared_is_nothing_required(document):
    assert parse_requirements(document).items == ()


@pytest.mark.parametrize("image", ["python:3.8-buster", "python:3.10", "registry.example/python:3.6-stretch"])
def test_a_base_with_a_python_too_old_is_not_used_and_said_so(image):
    found = parse_requirements({"dockerBaseImage": image})

    assert found.base_image is None
    assert image in found.notes[0]


@pytest.mark.parametrize("image", ["python:3.11", "python:3.13-slim", "team/cuda:12"])
def test_another_base_is_used(image):
    assert parse_requirements({"dockerBaseImage": image}).base_image == image


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"from": ""}, "has no 'from'"),
        ({"from": 3}, "has no 'from'"),
        ({"from": "ftp://x/y"}, "'ftp://x/y'"),
        ({"type": "conda"}, "'conda'"),
        ({"to": None}, "'to' of requirement 'r'"),
        ({"to": "opt/a"}, "'opt/a'"),
        ({"to": "/opt/../etc"}, "'/opt/../etc'"),
        ({"to": "/opt/a b"}, "'/opt/a b'"),
        ({"to": "/opt/$X"}, "'/opt/$X'"),
        ({"to": "/opt/pesto/lib"}, "the runtime or the system needs"),
        ({"to": "/opt"}, "the runtime or the system needs"),
        ({"to": "/proc/x"}, "the runtime or the system needs"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"form": "x"}, "did you mean 'from'?"),
    ],
)
def test_a_mistake_names_file_requirement_and_remedy(fields, part):
    with pytest.raises(ProjectError, match=r"pesto/build/requirements\.json") as refused:
        one(**fields)

    assert part in str(refused.value)
    assert "'r'" in str(refused.value)


@pytest.mark.parametrize(
    "document", [{"environments": []}, {"requirements": []}, {"environments": {"A B": "x"}}, {"environments": {"A": []}}]
)
def test_documents_of_another_shape_are_refused(document):
    with pytest.raises(ProjectError, match=r"requirements\.json"):
        parse_requirements(document)
