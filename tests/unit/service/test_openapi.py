from openapi_spec_validator import validate

from pesto_stream.metrics import Metrics
from pesto_stream.service.app import Documents, application
from pesto_stream.service.openapi import document


def test_the_document_is_valid_openapi():
    validate(document("pesto-stream sidecar", "1.0"))


def test_the_document_names_exactly_the_pages_that_are_served():
    app = application(lambda: None, Metrics(), Documents({}, {}, {}))
    assert {route.path for route in app.routes} == set(document("sidecar", "1.0")["paths"])
