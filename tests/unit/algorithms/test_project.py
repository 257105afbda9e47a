import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.projects import IMAGE, METADATA, NUMBER, POLYGON, a_loaded_project, a_project

from pesto_stream.algorithms.definitions import BUILT_IN, endless_reference
from pesto_stream.algorithms.project import load_project
from pesto_stream.errors import ProjectError

INPUT = "pesto/api/input_schema.json"
OUTPUT = "pesto/api/output_schema.json"
DESCRIPTION = "pesto/api/description.json"
DEFINITIONS = "pesto/api/user_definitions.json"


def refusal(tmp_path, *, profiles=(), **parts):
    with pytest.raises(ProjectError) as caught:
        a_loaded_project(tmp_path, profiles=profiles, **parts)
    return str(caught.value)


def test_a_project_is_read_as_it_declares_itself(tmp_path):
    project = a_loaded_project(tmp_path, name="clouds", version="2.1", files={"pesto/api/config.json": {"zoom": 3}})
    assert (project.name, project.version) == ("clouds", "2.1")
    assert project.path == project.code_path == tmp_path / "clouds"
    assert list(project.spec.input.properties) == ["image", "threshold"]
    assert project.spec.input.required == {"image"}
    assert project.spec.output.required == {"mask", "coverage"}
    assert project.config == {"zoom": 3}
    assert set(project.spec.input.definitions) == set(BUILT_IN)
    assert project.notes == ()


def test_a_schema_file_may_have_its_properties_under_a_key(tmp_path):
    form = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": NUMBER},
        "required": ["a"],
    }
    project = a_loaded_project(tmp_path, files={INPUT: form})
    assert dict(project.spec.input.properties) == {"a": NUMBER}
    assert project.spec.input.required == {"a"}


def test_an_input_may_be_named_as_a_keyword(tmp_path):
    inputs = {"title": {"type": "string"}, "type": {"type": "string"}, "description": NUMBER, "content": METADATA}
    document = {**inputs, "required": ["title"]}
    project = a_loaded_project(tmp_path, files={INPUT: document})
    assert dict(project.spec.input.properties) == inputs


def test_sibling_keys_that_speak_of_the_whole_are_no_properties(tmp_path):
    document = {"title": "in", "description": "what comes in", "$schema": "http://json-schema.org/draft-06/schema#", "a": NUMBER}
    assert list(a_loaded_project(tmp_path, files={INPUT: document}).spec.input.properties) == ["a"]


def test_profiles_are_merged_in_order_in_every_file(tmp_path):
    files = {
        "pesto/api/description.gpu.json": {"resources": {"gpu": 1}, "family": "gpu"},
        "pesto/api/description.stateful.json": {"asynchronous": True, "family": "both"},
        "pesto/api/input_schema.gpu.json": {"device": {"type": "string"}},
        "pesto/api/config.gpu.json": {"batch": 8},
        "pesto/build/build.gpu.json": {"version": "1.2.3+gpu"},
    }
    description = {"resources": {"cpu": 4, "gpu": 0}}
    project = a_loaded_project(tmp_path, profiles=["gpu", "stateful"], description=description, files=files)
    assert project.description["resources"] == {"cpu": 4, "gpu": 1}
    assert (project.description["family"], project.description["asynchronous"]) == ("both", True)
    assert "device" in project.spec.input.properties
    assert project.config == {"batch": 8}
    assert project.full_version == "1.2.3+gpu-gpu-stateful"


def test_without_profiles_their_files_are_not_looked_at(tmp_path):
    assert a_loaded_project(tmp_path, files={"pesto/api/description.gpu.json": "not JSON"}).profiles == ()


def test_a_profile_without_any_file_is_refused_with_those_that_exist(tmp_path):
    files = {"pesto/api/description.gpu.json": {}, "pesto/stream/runtime.fast.json": {}, "pesto/build/requirements.arm.json": {}}
    message = refusal(tmp_path, profiles=["gpuu"], files=files)
    assert "profile 'gpuu'" in message
    assert "did you mean 'gpu'?" in message
    assert "'arm', 'fast', 'gpu'" in message


def test_a_profile_that_exists_elsewhere_needs_no_file_in_the_project(tmp_path):
    assert load_project(a_project(tmp_path), ["cpu"], known_profiles={"cpu"}).profiles == ("cpu",)


def test_a_profile_of_the_stream_settings_alone_is_one(tmp_path):
    assert a_loaded_project(tmp_path, profiles=["fast"], files={"pesto/stream/runtime.fast.json": {}}).profiles == ("fast",)


@pytest.mark.parametrize("source", ["description", "build", "folder"])
def test_the_name_is_the_descriptions_else_the_builds_else_the_folders(tmp_path, source):
    described = {"version": "1"} | ({"name": "described"} if source == "description" else {})
    built = {"name": "built"} if source != "folder" else None
    path = a_project(tmp_path, name="folder", files={DESCRIPTION: described, "pesto/build/build.json": built})
    assert load_project(path).name == {"description": "described", "build": "built", "folder": "folder"}[source]


def test_the_version_falls_back_to_the_version_document(tmp_path):
    files = {DESCRIPTION: {"name": "n"}, "pesto/api/version.json": {"version": "7"}}
    assert a_loaded_project(tmp_path, files=files).version == "7"


def test_the_files_that_pesto_can_do_without_may_be_missing(tmp_path):
    project = a_loaded_project(tmp_path, files={"pesto/build/build.json": None})
    assert (project.config, project.build, project.version_document) == ({}, {}, {})


def test_algorithm_path_is_honoured(tmp_path):
    files = {"pesto/build/build.json": {"algorithm_path": "code"}, "code/algorithm/process.py": ""}
    project = a_loaded_project(tmp_path, files=files)
    assert project.code_path == project.path / "code"


def test_python_requirements_that_are_there_are_found(tmp_path):
    (tmp_path / "lib").mkdir()
    requirements = {
        "here": {"from": f"file://{tmp_path}/lib", "to": "/nowhere/lib", "type": "python"},
        "elsewhere": {"from": "gs://bucket/lib.tar.gz", "to": "/nowhere/other", "type": "python"},
        "model": {"from": f"file://{tmp_path}/lib", "to": "/nowhere/model"},
    }
    project = a_loaded_project(tmp_path, files={"pesto/build/requirements.json": {"requirements": requirements}})
    assert project.python_path == (tmp_path / "lib",)


def test_user_definitions_join_the_built_in_ones(tmp_path):
    project = a_loaded_project(
        tmp_path,
        inputs={"zone": {"$ref": "#/definitions/Zone"}},
        required=[],
        definitions={"Zone": {"type": "object", "properties": {"area": POLYGON}}},
    )
    assert {"Zone", "Image"} <= set(project.spec.input.definitions)
    assert "Zone" in project.spec.output.definitions


def test_a_definition_that_pesto_has_already_is_noted_and_without_effect(tmp_path):
    project = a_loaded_project(tmp_path, definitions={"Image": {"type": "integer"}})
    assert project.spec.input.definitions["Image"] == BUILT_IN["Image"]
    assert any("'Image'" in note for note in project.notes)


def test_a_config_that_breaks_its_schema_is_noted(tmp_path):
    schema = {"type": "object", "properties": {"zoom": {"type": "array", "items": {"maximum": 17}}}}
    project = a_loaded_project(
        tmp_path, files={"pesto/api/config.json": {"zoom": [3, 18]}, "pesto/api/config_schema.json": schema}
    )
    assert len(project.notes) == 1
    assert "'/zoom/1'" in project.notes[0]


def test_a_config_schema_that_is_none_is_noted(tmp_path):
    project = a_loaded_project(tmp_path, files={"pesto/api/config_schema.json": {"type": 3}})
    assert [note.partition(":")[0] for note in project.notes] == ["'pesto/api/config_schema.json' is not a usable JSON Schema"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # which would keep a library from fetching here, but not elsewhere
def test_what_a_config_schema_refers_to_elsewhere_is_not_fetched(tmp_path):
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    project = a_loaded_project(tmp_path, files={"pesto/api/config_schema.json": {"$ref": f"file://{tmp_path}/schema.json"}})
    assert [note.partition(":")[0] for note in project.notes] == ["'pesto/api/config_schema.json' is not a usable JSON Schema"]


# what is refused


def test_a_folder_that_is_no_project_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="no folder 'pesto'"):
        load_project(tmp_path)


@pytest.mark.parametrize("file", [DESCRIPTION, INPUT, OUTPUT])
def test_a_missing_file_is_named(tmp_path, file):
    message = refusal(tmp_path, files={file: None})
    assert f"'{file}'" in message
    assert "missing" in message


def test_json_that_is_none_is_named_with_line_and_column(tmp_path):
    message = refusal(tmp_path, files={INPUT: '{\n  "image": {"type": "string"},\n}'})
    assert f"'{INPUT}'" in message
    assert "line 3 column 1" in message or "line 2 column" in message


def test_a_broken_file_of_a_profile_is_named_itself(tmp_path):
    message = refusal(tmp_path, profiles=["gpu"], files={"pesto/api/description.gpu.json": "{"})
    assert "'pesto/api/description.gpu.json'" in message


@pytest.mark.parametrize(("content", "shown"), [("[]", "an array"), ("3", "a number"), ("null", "null"), ("true", "a boolean")])
def test_a_file_that_is_no_object_is_named_with_what_it_is(tmp_path, content, shown):
    message = refusal(tmp_path, files={INPUT: content})
    assert f"'{INPUT}' holds {shown}" in message


def test_json_nested_without_measure_is_refused(tmp_path):
    message = refusal(tmp_path, files={INPUT: '{"a":' * 100_000 + "1" + "}" * 100_000})
    assert f"'{INPUT}' is nested too deeply" in message


def test_text_that_is_not_utf8_is_refused(tmp_path):
    assert "not UTF-8" in refusal(tmp_path, files={DESCRIPTION: b'{"name": "\xff"}'})


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    assert a_loaded_project(tmp_path, files={DESCRIPTION: b'\xef\xbb\xbf{"name": "n"}'}).name == "n"


def test_a_reference_to_nothing_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refusal(tmp_path, inputs={"image": {"$ref": "#/definitions/Imge"}}, required=[])
    assert "property 'image' of 'pesto/api/input_schema.json'" in message
    assert "'#/definitions/Imge'" in message
    assert "did you mean 'Image'?" in message


def test_a_reference_deep_inside_a_property_is_checked(tmp_path):
    nested = {"type": "object", "properties": {"$ref": {"type": "array", "items": [{"oneOf": [{"$ref": "#/definitions/Nope"}]}]}}}
    assert "'#/definitions/Nope'" in refusal(tmp_path, inputs={"a": nested})


def test_what_looks_like_a_reference_but_is_data_is_none(tmp_path):
    a_loaded_project(tmp_path, inputs={"a": {"default": {"$ref": "x"}, "enum": [{"$ref": "#/definitions/Nope"}]}})


def test_a_reference_into_a_definition_is_followed(tmp_path):
    definitions = {"a/b": {"properties": {"x~y": NUMBER}, "items": [NUMBER]}}
    inside = {"p": {"$ref": "#/definitions/a~1b/properties/x~0y"}, "q": {"$ref": "#/definitions/a~1b/items/0"}}
    a_loaded_project(tmp_path, inputs=inside, definitions=definitions)
    beside = {"q": {"$ref": "#/definitions/a~1b/items/1"}}
    assert "not defined" in refusal(tmp_path, inputs=beside, definitions=definitions)


def test_a_reference_out_of_the_project_is_refused_with_the_remedy(tmp_path):
    message = refusal(tmp_path, inputs={"a": {"$ref": "https://example.com/schema.json"}})
    assert "not read" in message
    assert "user_definitions.json" in message


@pytest.mark.parametrize("schema", [3, "number", ["number"], None, True])
def test_a_property_that_is_no_schema_is_refused(tmp_path, schema):
    message = refusal(tmp_path, inputs={"threshold": schema})
    assert "property 'threshold' of 'pesto/api/input_schema.json'" in message


def test_a_schema_with_a_wrong_keyword_is_refused_with_its_place(tmp_path):
    message = refusal(tmp_path, inputs={"a": {"type": "object", "properties": {"b": {"type": "numbr"}}}})
    assert "property 'a'" in message
    assert "'properties/b/type'" in message
    assert "numbr" in message


def test_required_that_names_no_property_is_refused_with_its_nearest_neighbour(tmp_path):
    message = refusal(tmp_path, required=["imgae"])
    assert f"'required' of '{INPUT}' names 'imgae'" in message
    assert "did you mean 'image'?" in message


def test_required_that_is_no_name_is_refused(tmp_path):
    assert "'required' of" in refusal(tmp_path, files={INPUT: {"image": IMAGE, "required": [1]}})


def test_definitions_that_only_refer_to_each_other_are_refused(tmp_path):
    definitions = {"A": {"$ref": "#/definitions/B"}, "B": {"$ref": "#/definitions/A"}}
    assert "A -> B -> A" in refusal(tmp_path, definitions=definitions)


def test_a_definition_that_holds_itself_further_down_is_allowed(tmp_path):
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/definitions/Tree"}}}}
    a_loaded_project(tmp_path, definitions={"Tree": tree})


def test_a_user_definition_that_refers_to_nothing_is_refused(tmp_path):
    message = refusal(tmp_path, definitions={"Zone": {"$ref": "#/definitions/Poligon"}})
    assert f"definition 'Zone' of '{DEFINITIONS}'" in message
    assert "did you mean 'Polygon'?" in message


@pytest.mark.parametrize("name", [3, "", "  ", ["a"]])
def test_a_name_that_is_no_text_is_refused(tmp_path, name):
    assert f"'name' of '{DESCRIPTION}'" in refusal(tmp_path, files={DESCRIPTION: {"name": name}})


@pytest.mark.parametrize("path", ["nowhere", 3])
def test_an_algorithm_path_that_is_no_folder_is_refused(tmp_path, path):
    assert "'algorithm_path' of 'pesto/build/build.json'" in refusal(
        tmp_path, files={"pesto/build/build.json": {"algorithm_path": path}}
    )


@pytest.mark.parametrize("requirements", [["lib"], {"lib": "file:///lib"}])
def test_requirements_of_another_form_are_refused(tmp_path, requirements):
    parts = {"pesto/build/requirements.json": {"requirements": requirements}}
    assert "'pesto/build/requirements.json'" in refusal(tmp_path, files=parts)


@given(st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from("ABCDE") | st.none(), max_size=5))
def test_exactly_the_chains_without_an_end_are_found(aliases):
    definitions = {name: NUMBER if target is None else {"$ref": f"#/definitions/{target}"} for name, target in aliases.items()}

    def ends(name):
        for _ in range(len(aliases) + 1):
            name = aliases.get(name)
            if name is None:
                return True
        return False

    chain = endless_reference(definitions)
    assert (chain is None) == all(ends(name) for name in aliases)
    if chain is not None:
        assert chain[0] == chain[-1]


KEYS = st.sampled_from(["type", "$ref", "a", "required", "properties", "items"])
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
)


@given(st.binary(max_size=60) | JSON.map(json.dumps).map(str.encode))
def test_whatever_a_schema_file_holds_it_is_read_or_refused(tmp_path_factory, content):
    with contextlib.suppress(ProjectError):
        a_loaded_project(tmp_path_factory.mktemp("any"), files={INPUT: content})
