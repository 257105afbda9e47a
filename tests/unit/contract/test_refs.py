from support.builders import IMAGE, an_interface

from pesto_stream.contract.refs import component_definitions, component_names, component_schema


def test_references_into_definitions_move_and_others_stay():
    deep = {"$ref": "#/definitions/Zone~1A/properties/name"}
    interface = an_interface(
        image=IMAGE,
        deep=deep,
        elsewhere={"$ref": "https://x.example/schema.json"},
        inner={"type": "object", "properties": {"$ref": {"type": "string"}}},
        definitions={"Zone/A": {"type": "object", "properties": {"image": IMAGE}}},
    )
    names = component_names(interface)
    properties = component_schema(interface, names)["properties"]
    assert properties["image"] == {"$ref": "#/components/schemas/Image"}
    assert properties["deep"] == {"$ref": "#/components/schemas/Zone_A/properties/name"}
    assert properties["elsewhere"] == {"$ref": "https://x.example/schema.json"}
    assert properties["inner"]["properties"]["$ref"] == {"type": "string"}
    assert component_definitions(names, interface)["Zone_A"]["properties"]["image"] == {"$ref": "#/components/schemas/Image"}


def test_definitions_whose_names_look_alike_stay_apart():
    interface = an_interface(definitions={"a b": {"type": "string"}, "a_b": {"type": "number"}, "a/b": {"type": "boolean"}})
    found = component_definitions(component_names(interface), interface)
    assert [found[name]["type"] for name in ("a_b", "a_b_", "a_b__")] == ["string", "number", "boolean"]
