import pytest
from support.builders import IMAGE, a_spec, a_tile, an_envelope, an_interface
from support.payloads import NoSource, avro_envelope, base64_of, encoded, json_envelope, raster

from pesto_stream.converters.image import encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import ConfigurationError, EnvelopeError

TILE = a_tile(georeferenced=False)
SPEC = a_spec(an_interface(image=IMAGE), an_interface(mask=IMAGE))
REQUESTS = {
    "application/json": json_envelope({"image": base64_of(TILE, "image/png")}),
    "application/avro": avro_envelope(SPEC, {"image": raster(TILE)}),
    "encoded avro": avro_envelope(SPEC, {"image": encoded(TILE)}),
    "image/png": an_envelope(content_type="image/png", payload=encode_image(TILE, "image/png")),
}


def answer(request, setting="same"):
    made = Converters(SPEC, Limits(), NoSource(), content_type=setting)
    return made.encode(made.decode(REQUESTS[request]), {"mask": TILE.array}).content_type


@pytest.mark.parametrize("request_kind", REQUESTS)
def test_a_result_is_of_the_requests_kind_or_the_configured_one(request_kind):
    assert answer(request_kind) == REQUESTS[request_kind].content_type
    assert answer(request_kind, "application/json") == "application/json"
    assert answer(request_kind, "application/avro") == "application/avro"
    assert answer(request_kind, "image") == "image/png"


@pytest.mark.parametrize("content_type", ["text/plain", "image/jp2", "", "application/cloudevents+json"])
def test_a_content_type_that_nobody_takes_is_refused_naming_those_taken(content_type):
    with pytest.raises(EnvelopeError, match="expected one of application/json, application/avro, image/tiff"):
        Converters(SPEC, Limits(), NoSource()).decode(an_envelope(content_type=content_type))


def test_a_registry_needs_a_subject():
    with pytest.raises(ConfigurationError, match="subject"):
        Converters(SPEC, Limits(), NoSource(), registry=object())
