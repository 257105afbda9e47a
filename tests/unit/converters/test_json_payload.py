import base64
import json

import numpy as np
import pytest
from support.builders import CRS, IMAGE, a_spec, a_tile, an_envelope, an_interface
from support.payloads import NoSource, base64_of, json_envelope

from pesto_stream.converters.image import decode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import DecodeError, EncodeError

TILE = a_tile("uint16", bands=5)
SPEC = a_spec(an_interface(image=IMAGE), an_interface(mask=IMAGE, score={"type": "number"}, required=["mask"]))


def converters(spec=SPEC, limits=None, **more):
    return Converters(spec, limits or Limits(), NoSource(), **more)


def test_an_image_comes_back_as_base64_with_its_place_also_in_headers():
    made = converters()
    invocation = made.decode(json_envelope({"image": base64_of(TILE)}))
    payload = made.encode(invocation, {"mask": TILE.array[0], "score": np.float64(0.25)})
    assert payload.content_type == "application/json"
    answer = json.loads(payload.value)
    tile, media_type = decode_image(base64.b64decode(answer["mask"]), None, Limits())
    assert answer["score"] == 0.25
    assert media_type == "image/tiff"
    assert tile.crs == CRS
    np.testing.assert_array_equal(tile.array, TILE.array[:1])
    assert dict(payload.headers)["pesto_crs"] == CRS.encode()


@pytest.mark.parametrize("payload", [b"[]", b'"x"', b"7", b"null", b"true"])
def test_a_payload_that_is_no_object_is_refused(payload):
    with pytest.raises(DecodeError, match="expected an object of inputs by name"):
        converters().decode(an_envelope(payload=payload))


def test_ten_thousand_levels_are_refused():
    with pytest.raises(DecodeError, match="levels deep: expected at most 64"):
        converters().decode(an_envelope(payload=b'{"image":' + b"[" * 10_000 + b"]" * 10_000 + b"}"))


def test_a_payload_over_the_size_limit_is_refused():
    with pytest.raises(DecodeError, match="JSON of 1000 bytes: expected at most 999"):
        converters(limits=Limits(max_json_bytes=999)).decode(an_envelope(payload=b" " * 1000))


def test_an_input_may_be_named_pesto_all_the_same():
    spec = a_spec(an_interface(pesto={"type": "integer"}))
    assert converters(spec).decode(json_envelope({"pesto": 1})).inputs == {"pesto": 1}


def test_a_format_that_cannot_hold_an_output_is_an_error_that_names_it():
    made = converters(image_format="png")
    invocation = made.decode(json_envelope({"image": base64_of(TILE)}))
    with pytest.raises(EncodeError, match=r"^output 'mask': .*float64"):
        made.encode(invocation, {"mask": np.zeros((4, 5))})
