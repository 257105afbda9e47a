import pytest
from support.projects import a_loaded_project

from pesto_stream.errors import ConfigurationError, ProjectError
from pesto_stream.packaging.names import ImageName, check_reference, image_name


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (ImageName("a", "1.0"), "a:1.0"),
        (ImageName("a", "1.0", ("gpu", "p2")), "a:1.0-gpu-p2"),
        (ImageName("a", "1.0", ("gpu",), stateful=True), "a:1.0-gpu-stateful"),
        (ImageName("a", "1.0", ("stateful",), stateful=True), "a:1.0-stateful"),
    ],
)
def test_an_image_is_called_by_pestos_rule(image, reference):
    assert image.reference == reference
    assert image.latest == "a:latest"


def test_build_json_is_over_the_description_as_in_pesto(tmp_path):
    build = {"pesto/build/build.json": {"name": "built", "version": "9"}}

    assert image_name(a_loaded_project(tmp_path, files=build)).reference == "built:9"


def test_an_asynchronous_project_is_stateful(tmp_path):
    assert image_name(a_loaded_project(tmp_path, description={"asynchronous": True})).reference == "an-algorithm:1.2.3-stateful"


@pytest.mark.parametrize(
    ("name", "version", "part"), [("Big", "1", "'Big'"), ("a b", "1", "'a b'"), ("a", "1+2", "'1+2'"), ("a", "é", "'é'")]
)
def test_a_name_that_docker_refuses_is_refused_first_with_the_file_to_correct(tmp_path, name, version, part):
    with pytest.raises(ProjectError, match=r"pesto/build/build\.json") as refused:
        image_name(a_loaded_project(tmp_path, name=name, version=version))

    assert part in str(refused.value)


@pytest.mark.parametrize(
    "text", ["a", "a:1", "localhost:5000/a", "r.example/team/a:1.0-gpu", "python:3.11-slim-bookworm", f"a@sha256:{'0' * 64}"]
)
def test_references_that_docker_takes(text):
    assert check_reference(text) == text


@pytest.mark.parametrize("text", ["", "-rm", "--privileged", "A", "a b", "a:", "a:1 --push", "a;b", "$(x)", "a\nb"])
def test_no_option_or_shell_text_passes_as_a_reference(text):
    with pytest.raises(ConfigurationError, match="is no image name"):
        check_reference(text)
