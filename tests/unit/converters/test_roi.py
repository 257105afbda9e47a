"""The region of interest of a JSON request: window and margin read once, margin cut from the outputs, the place on Earth kept."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import CRS, IMAGE, IMAGES, TRANSFORM, a_spec, a_tile, an_envelope, an_interface
from support.images import cog, geotiff, ramp
from support.payloads import NoSource, base64_of, json_envelope

from pesto_stream.clock import SystemClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.image import Whole, decode_image, read_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import DecodeError, EncodeError, ImageError, SchemaError
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.tile import Region, shifted

HEIGHT, WIDTH = 20, 30
TILE = a_tile("uint16", bands=2, height=HEIGHT, width=WIDTH)
SPEC = a_spec(
    an_interface(image=IMAGE, other=IMAGE, images=IMAGES, gain={"type": "number"}, required=["image"]),
    an_interface(mask=IMAGE, score={"type": "number"}, plain=IMAGE, masks=IMAGES, required=[]),
)
ROI = {
    "target_in": ["image"],
    "target_out": ["mask"],
    "lines": {"first": 4, "number": 8, "margin": 2},
    "columns": {"first": 5, "number": 10, "margin": 3},
}


def converters(source=None, **more):
    return Converters(SPEC, more.pop("limits", Limits()), source or NoSource(), **more)


def request(roi, **values):
    return json_envelope({"image": base64_of(TILE), **values, "pesto": {"roi": roi}})


def decoded(roi=ROI, made=None, **values):
    return (made or converters()).decode(request(roi, **values))


def output(payload, name="mask"):
    return decode_image(base64.b64decode(json.loads(payload.value)[name]), None, Limits())[0]


def refusal(roi, **values):
    with pytest.raises(SchemaError) as caught:
        decoded(roi, **values)
    return str(caught.value)


# the window


def test_the_window_and_its_margin_are_what_the_algorithm_sees():
    invocation = decoded()
    np.testing.assert_array_equal(invocation.inputs["image"], TILE.array[:, 2:14, 2:18])
    context = invocation.context
    assert (context.height, context.width, context.crs) == (12, 16, CRS)
    assert context.transform == shifted(TRANSFORM, 2, 2)


def test_the_margin_is_cut_from_the_output_and_its_place_shifted():
    made = converters()
    invocation = decoded(made=made)
    payload = made.encode(invocation, {"mask": invocation.inputs["image"], "score": 1.0, "plain": invocation.inputs["image"]})
    mask, plain = output(payload), output(payload, "plain")
    np.testing.assert_array_equal(mask.array, TILE.array[:, 4:12, 5:15])
    assert (mask.crs, mask.transform) == (CRS, shifted(TRANSFORM, 5, 4))
    np.testing.assert_array_equal(plain.array, TILE.array[:, 2:14, 2:18])
    assert plain.transform == shifted(TRANSFORM, 2, 2)
    assert payload.headers == (), "no header can say two places"


def test_one_place_of_all_outputs_is_a_header_too():
    made = converters()
    invocation = decoded(made=made)
    headers = dict(made.encode(invocation, {"mask": invocation.inputs["image"][0]}).headers)
    assert headers["pesto_transform"] == " ".join(map(repr, shifted(TRANSFORM, 5, 4))).encode()


@given(
    st.integers(0, HEIGHT - 1).flatmap(lambda first: st.tuples(st.just(first), st.integers(1, HEIGHT - first))),
    st.integers(0, WIDTH - 1).flatmap(lambda first: st.tuples(st.just(first), st.integers(1, WIDTH - first))),
    st.integers(0, 100),
    st.integers(0, 2**31 - 1),
)
def test_any_window_inside_of_the_image_comes_back_as_itself_whatever_the_margin(lines, columns, margin_y, margin_x):
    roi = {
        "target_in": ["image"],
        "target_out": ["mask"],
        "lines": {"first": lines[0], "number": lines[1], "margin": margin_y},
        "columns": {"first": columns[0], "number": columns[1], "margin": margin_x},
    }
    made = converters()
    invocation = decoded(roi, made)
    mask = output(made.encode(invocation, {"mask": invocation.inputs["image"]}))
    rows, cols = slice(lines[0], sum(lines)), slice(columns[0], sum(columns))
    np.testing.assert_array_equal(mask.array, TILE.array[:, rows, cols])
    assert mask.transform == shifted(TRANSFORM, columns[0], lines[0])


def test_rows_or_columns_that_are_left_out_are_all_of_them():
    roi = {"target_in": ["image"], "target_out": ["mask"], "lines": {"first": 18, "number": 2}}
    made = converters()
    invocation = decoded(roi, made)
    np.testing.assert_array_equal(invocation.inputs["image"], TILE.array[:, 18:, :])
    mask = output(made.encode(invocation, {"mask": invocation.inputs["image"]}))
    np.testing.assert_array_equal(mask.array, TILE.array[:, 18:, :])


@pytest.mark.parametrize("options", [{}, {"roi": None}])
def test_options_that_ask_for_nothing_change_nothing(options):
    invocation = converters().decode(json_envelope({"image": base64_of(TILE), "pesto": options}))
    assert invocation.inputs["image"].shape == TILE.array.shape
    assert invocation.cut is None


def test_images_beside_the_region_are_read_whole():
    invocation = decoded(other=base64_of(TILE))
    assert invocation.inputs["other"].shape == TILE.array.shape


def test_each_image_of_a_list_is_cut():
    roi = {**ROI, "target_in": ["image", "images"], "target_out": ["masks"]}
    made = converters()
    invocation = decoded(roi, made, images=[base64_of(TILE), base64_of(TILE)])
    assert [image.shape for image in invocation.inputs["images"]] == [(2, 12, 16)] * 2
    payload = made.encode(invocation, {"masks": invocation.inputs["images"]})
    texts = json.loads(payload.value)["masks"]
    assert [decode_image(base64.b64decode(text), None, Limits())[0].array.shape for text in texts] == [(2, 8, 10)] * 2


def test_the_place_is_that_of_the_region_where_another_image_comes_first():
    roi = {**ROI, "target_in": ["other"]}
    made = converters()
    elsewhere = replace(TILE, transform=shifted(TRANSFORM, 1000, 1000))
    invocation = decoded(roi, made, other=base64_of(elsewhere))
    mask = output(made.encode(invocation, {"mask": invocation.inputs["other"]}))
    assert mask.transform == shifted(TRANSFORM, 1005, 1004)


def test_a_picture_without_a_place_has_a_region_too():
    made = converters()
    plain = a_tile("uint8", height=HEIGHT, width=WIDTH, georeferenced=False)
    invocation = made.decode(json_envelope({"image": base64_of(plain, "image/png"), "pesto": {"roi": ROI}}))
    mask = output(made.encode(invocation, {"mask": invocation.inputs["image"]}))
    np.testing.assert_array_equal(mask.array, plain.array[:, 4:12, 5:15])
    assert mask.transform is None


# images by URL


class Source:
    def __init__(self):
        self.asked = []

    def read(self, url, window=None):
        self.asked.append(window)
        return read_image(Whole(geotiff(ramp(1, HEIGHT, WIDTH))), None, Limits(), window)


def test_an_image_by_url_is_read_once_and_no_more_than_the_window_of_it():
    source = Source()
    made = converters(source)
    invocation = made.decode(json_envelope({"image": "s3://b/k.tif", "pesto": {"roi": ROI}}))
    assert source.asked == [Region(2, 2, 16, 12)]
    np.testing.assert_array_equal(invocation.inputs["image"], ramp(1, HEIGHT, WIDTH)[:, 2:14, 2:18])


def test_a_region_of_a_large_cloud_optimised_file_costs_its_blocks_alone(tmp_path):
    pixels = ramp(1, 1500, 1500, "uint16")
    (tmp_path / "large.tif").write_bytes(cog(pixels, compress="none"))
    limits = Limits(max_pixels=200 * 200, max_decoded_bytes=100_000, max_encoded_bytes=200_000)
    source = UrlImageSource(Urls(allow=(f"file://{tmp_path}/",)), limits, Metrics(), SystemClock())
    made = converters(source, limits=limits)
    roi = {"target_in": ["image"], "target_out": ["mask"], "lines": {"first": 1480, "number": 20, "margin": 16}}
    roi["columns"] = {"first": 700, "number": 60, "margin": 16}
    invocation = made.decode(json_envelope({"image": f"file://{tmp_path}/large.tif", "pesto": {"roi": roi}}))
    np.testing.assert_array_equal(invocation.inputs["image"], pixels[:, 1464:, 684:776])
    mask = output(made.encode(invocation, {"mask": invocation.inputs["image"]}))
    np.testing.assert_array_equal(mask.array, pixels[:, 1480:, 700:760])


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (7, "'pesto' is '7': expected an object with 'roi'"),
        ({"rio": {}}, "'pesto' has the key 'rio', which is not known; did you mean 'roi'?"),
        ({"roi": []}, "'pesto.roi' is '[]': expected an object with 'target_in', 'target_out', 'lines', 'columns'"),
        ({"roi": {**ROI, "line": {}}}, "'pesto.roi' has the key 'line', which is not known; did you mean 'lines'?"),
        ({"roi": {"target_out": []}}, "'pesto.roi.target_in' is null: expected a list of names of image inputs"),
        ({"roi": {**ROI, "target_in": "image"}}, "'pesto.roi.target_in' is 'image': expected a list of names of image inputs"),
        ({"roi": {**ROI, "target_in": []}}, "'pesto.roi.target_in' is empty: expected the name of an image input at least"),
        (
            {"roi": {**ROI, "target_in": ["imag"]}},
            "'pesto.roi.target_in' names 'imag', which is no image input; did you mean 'image'?",
        ),
        (
            {"roi": {**ROI, "target_in": ["gain"]}},
            "'pesto.roi.target_in' names 'gain', which is no image input: expected one of 'image', 'other', 'images'",
        ),
        ({"roi": {**ROI, "target_in": ["other"]}}, "'pesto.roi.target_in' names 'other': the request has no such image"),
        (
            {"roi": {**ROI, "target_out": ["score"]}},
            "'pesto.roi.target_out' names 'score', which is no image output: expected one of 'mask', 'plain', 'masks'",
        ),
        ({"roi": {**ROI, "lines": 4}}, "'pesto.roi.lines' is '4': expected an object with 'first', 'number', 'margin'"),
        (
            {"roi": {**ROI, "lines": {"first": 0}}},
            "'pesto.roi.lines.number' is null: expected a whole number from 1 to 2147483647",
        ),
        ({"roi": {**ROI, "lines": {"first": 13, "number": 8}}}, "'pesto.roi.lines' is 13 to 20: the image ends at 19"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_by_name(options, message):
    with pytest.raises(SchemaError) as caught:
        converters().decode(json_envelope({"image": base64_of(TILE), "pesto": options}))
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [-1, -(10**30), 2**31, 10**300, 1e300, 1.5, True, "4", [], {}])
@pytest.mark.parametrize("key", ["first", "number", "margin"])
@pytest.mark.parametrize("span", ["lines", "columns"])
def test_hostile_numbers_are_refused(span, key, value):
    assert f"'pesto.roi.{span}.{key}' is " in refusal({**ROI, span: {"first": 0, "number": 1, "margin": 0, key: value}})


def test_a_number_of_no_rows_is_refused():
    assert "'pesto.roi.lines.number' is '0'" in refusal({**ROI, "lines": {"first": 0, "number": 0}})


@pytest.mark.parametrize("first", [HEIGHT, HEIGHT + 1, 2**31 - 1])
def test_a_window_outside_of_the_image_is_refused(first):
    with pytest.raises(DecodeError, match="outside of the image of 30 x 20 pixels"):
        decoded({**ROI, "lines": {"first": first, "number": 1}})


def test_images_of_different_sizes_have_no_region_in_common():
    other = a_tile("uint8", height=13, width=WIDTH)
    message = refusal({**ROI, "target_in": ["image", "other"]}, other=base64_of(other))
    assert message == (
        "'pesto.roi' finds 16 x 11 pixels in input 'other' and 16 x 12 in 'image': expected images of the same size in 'target_in'"
    )


def test_an_output_of_another_size_cannot_lose_the_margin():
    made = converters()
    invocation = decoded(made=made)
    with pytest.raises(EncodeError, match=r"output 'mask' has 8 x 6 pixels: .*16 x 12 were expected"):
        made.encode(invocation, {"mask": np.zeros((6, 8), np.uint8)})


def test_the_limits_hold_for_the_blocks_of_the_region_and_not_for_an_image_that_is_not_read():
    text = base64.b64encode(geotiff(ramp(1, 64, 64), tiled=True, blockxsize=16, blockysize=16)).decode()
    made = converters(limits=Limits(max_pixels=16 * 16))

    def read(first):
        spans = {key: {"first": first, "number": 16} for key in ("lines", "columns")}
        return made.decode(json_envelope({"image": text, "pesto": {"roi": {"target_in": ["image"], "target_out": [], **spans}}}))

    assert read(16).inputs["image"].shape == (1, 16, 16)
    with pytest.raises(ImageError, match="pixels are more than the limit"):
        read(17)


def test_a_bare_image_that_asks_for_a_region_is_told_who_can():
    spec = a_spec(an_interface(image=IMAGE), an_interface(mask=IMAGE))
    envelope = an_envelope(content_type="image/tiff", payload=geotiff(ramp()), parameters={"roi": "{}"})
    with pytest.raises(DecodeError, match=r"header 'pesto_roi' asks for a region of interest: only a JSON request has one"):
        Converters(spec, Limits(), NoSource()).decode(envelope)


@pytest.mark.parametrize("content_type", ["application/avro", "image"])
def test_the_margin_is_cut_whatever_kind_the_result_is(content_type):
    spec = a_spec(an_interface(image=IMAGE), an_interface(mask=IMAGE))
    made = Converters(spec, Limits(), NoSource(), content_type=content_type)
    invocation = made.decode(request({**ROI}))
    payload = made.encode(invocation, {"mask": invocation.inputs["image"]})
    assert dict(payload.headers)["pesto_transform"] == " ".join(map(repr, shifted(TRANSFORM, 5, 4))).encode()
    if content_type == "image":
        np.testing.assert_array_equal(decode_image(payload.value, None, Limits())[0].array, TILE.array[:, 4:12, 5:15])
