import pytest
from openapi_spec_validator import validate
from support.builders import IMAGE, a_spec, an_interface
from support.exchanges import a_processing

from pesto_stream.metrics import Metrics
from pesto_stream.service.app import Documents, application
from pesto_stream.service.openapi import document

SPEC = a_spec(
    an_interface(
        image=IMAGE, zone={"$ref": "#/definitions/Zone of interest"}, definitions={"Zone of interest": {"type": "object"}}
    ),
    an_interface(mask=IMAGE),
)
WAYS = [{}, {"process": SPEC}, {"process": SPEC, "asynchronous": True}]


@pytest.mark.parametrize("way", WAYS)
def test_the_document_is_valid_openapi(way):
    validate(document("pesto-stream sidecar", "1.0", **way))


@pytest.mark.parametrize("way", WAYS)
def test_the_document_names_exactly_the_pages_and_methods_that_are_served(way):
    processing = a_processing(asynchronous=way.get("asynchronous", False)) if way else None
    app = application(lambda: None, Metrics(), Documents({}, {}, {}, {}), processing)
    served = {(route.path, method) for route in app.routes for method in route.methods - {"HEAD"}}
    paths = document("sidecar", "1.0", **way)["paths"]
    assert served == {(path, key.upper()) for path, item in paths.items() for key in item if key != "parameters"}


def test_the_algorithms_schemas_are_components_that_its_references_reach():
    schemas = document("sidecar", "1.0", process=SPEC)["components"]["schemas"]
    properties = schemas["sidecar.Input"]["properties"]
    assert properties["zone"] == {"$ref": "#/components/schemas/Zone_of_interest"}
    assert schemas["Zone_of_interest"] == {"type": "object"}
    assert properties["image"] == {"$ref": "#/components/schemas/Image"}
    assert schemas["sidecar.Input"]["required"] == ["image", "zone"]
