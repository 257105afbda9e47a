import json
from pathlib import Path

import pytest

from pesto_stream.contract.match import check_image, match
from pesto_stream.errors import ConfigurationError

SAMPLES = Path(__file__).parents[3] / "schemas" / "v1" / "samples"
IMAGE = {"$ref": "#/definitions/Image"}
IMAGES = {"$ref": "#/definitions/Images"}


def sample(kind, name):
    return json.loads((SAMPLES / kind / "valid" / f"{name}.json").read_text())


PLEIADES, SENTINEL = sample("image", "pleiades"), sample("image", "sentinel-2")


def a_describe(properties=None, **capabilities):
    inputs = {"image": IMAGE, "threshold": {"type": "number"}} if properties is None else properties
    document = {"name": "clouds", "version": "1.0", "input": {"properties": inputs}}
    return {**document, "inputCapabilities": capabilities} if capabilities else document


def objections(image, **capabilities):
    answer = match(image, a_describe(image=capabilities))
    assert answer.accepts == (not answer.reasons)
    return list(answer.reasons)


@pytest.mark.parametrize("image", [PLEIADES, SENTINEL, {}])
def test_a_service_without_restrictions_takes_any_image(image):
    assert match(image, a_describe()).inputs == ("image",)
    assert match(image, a_describe(image={})).accepts


def test_the_published_capabilities_take_the_images_that_they_are_for():
    assert match(PLEIADES, a_describe(image=sample("imageCapabilities", "pleiades-tiles"))).accepts
    refused = match(SENTINEL, a_describe(image=sample("imageCapabilities", "pleiades-tiles")))
    assert not refused.accepts
    assert refused.reasons == (
        "input 'image': width 10980 is above 2046",
        "input 'image': height 10980 is above 2046",
        "input 'image': resolution 10 is above 2.5",
        "input 'image': bit depth '16' is not among 8",
        "input 'image': format 'tiff' is not among png, jp2",
        "input 'image': mission 'SENTINEL' is not among PHR, ASTRO",
        "input 'image': satellite 'Sentinel-2' is not among PHR-1A, PHR-1B, SPOT6, SPOT7",
        "input 'image': band 'B02' is not among P",
        "input 'image': band 'B03' is not among P",
        "input 'image': band 'B04' is not among P",
        "input 'image': band 'B08' is not among P",
        "input 'image': the image does not say its ephemeris 'incidenceAngle', which the service needs",
    )


@pytest.mark.parametrize(
    ("capabilities", "reason"),
    [
        ({"dimensions": {"width": {"min": 512}}}, "width 256 is below 512"),
        ({"dimensions": {"width": {"min": 256, "max": 256}}}, None),
        ({"dimensions": {"width": {"optimal": 512}}}, None),
        ({"resolution": {"max": 1}}, "resolution 1.5 is above 1"),
        ({"type": {"format": ["png"]}}, None),
        ({"type": {"format": ["tiff"]}}, "format 'PNG' is not among tiff"),
        ({"type": {"compression": ["none"]}}, "the image does not say its compression, which the service restricts"),
        ({"type": {"sampleType": ["uint"]}}, "the image does not say its sample type, which the service restricts"),
        ({"type": {"bands": ["P"]}}, None),
        ({"type": {"requiredBands": ["R", "P"]}}, "band 'R' is missing"),
        ({"sensor": {"mission": ["SENTINEL"]}}, "mission 'PHR' is not among SENTINEL"),
        ({"ephemeris": ["incidenceAngle", "sunAzimuth"]}, None),
        ({"ephemeris": {"incidenceAngle": {"max": 4}}}, "incidenceAngle 4.57 is above 4"),
        ({"ephemeris": {"sunElevation": {}}}, None),
        ({"regionOfInterest": {"margin": {"min": 8}}}, None),
    ],
)
def test_each_restriction_has_its_reason(capabilities, reason):
    assert objections(PLEIADES, **capabilities) == ([f"input 'image': {reason}"] if reason else [])


def test_the_region_of_an_image_is_held_against_its_limits():
    assert objections(SENTINEL, regionOfInterest={"margin": {"min": 17}}) == [
        "input 'image': margin of the region 16 is below 17"
    ]
    assert objections(SENTINEL, regionOfInterest={"lineNumber": {"max": 512}}) == []


def test_a_band_is_known_by_its_common_name_as_well():
    assert objections(SENTINEL, type={"requiredBands": ["blue", "B03", "B08"]}) == []
    assert objections(SENTINEL, type={"bands": ["blue", "green", "red", "B08", "B11"]}) == []
    assert objections(SENTINEL, type={"requiredBands": ["nir"]}) == ["input 'image': band 'nir' is missing"]
    assert objections({}, type={"requiredBands": ["nir"]}) == [
        "input 'image': the image does not say its bands, which the service restricts"
    ]


def test_letters_are_bands_each():
    rgbn = {"type": {"bands": "RGBN"}}
    assert objections(rgbn, type={"requiredBands": ["N"], "bands": ["R", "G", "B", "N", "P"]}) == []
    assert objections(rgbn, type={"bands": ["R", "G", "B"]}) == ["input 'image': band 'N' is not among R, G, B"]


def test_one_image_input_that_takes_it_is_enough_and_the_others_say_why():
    describe = a_describe({"before": IMAGES, "after": IMAGE}, before={"resolution": {"max": 1}}, after={})
    answer = match(PLEIADES, describe)
    assert answer.inputs == ("after",)
    assert answer.reasons == ("input 'before': resolution 1.5 is above 1",)
    assert answer.document()["accepts"] is True


def test_a_list_of_images_counts_as_an_image_input():
    assert match(PLEIADES, a_describe({"tiles": {"type": "array", "items": IMAGE}})).inputs == ("tiles",)


@pytest.mark.parametrize(
    ("describe", "reason"),
    [
        (a_describe({"threshold": {"type": "number"}}), "it takes no image"),
        ({}, "it takes no image"),
        ({"input": None}, "it takes no image"),
        ({"input": {"properties": []}}, "it takes no image"),
        ({"input": {"properties": {"image": None}}}, "it takes no image"),
        (a_describe(image={"type": {"bitDepth": 8}}), "its inputCapabilities are not as the schema says"),
        ({**a_describe(), "inputCapabilities": [1]}, "its inputCapabilities are not as the schema says"),
    ],
)
def test_a_describe_document_that_nothing_can_be_read_from_is_a_no_with_a_reason(describe, reason):
    answer = match(PLEIADES, describe)
    assert not answer.accepts
    assert answer.reasons[0].startswith(reason)


def test_capabilities_of_an_input_that_is_none_are_pointed_out():
    answer = match(PLEIADES, a_describe(imgae={"resolution": {"max": 1}}))
    assert (answer.accepts, answer.reasons) == (True, ("its inputCapabilities name 'imgae', which is no image input",))


def test_a_description_that_breaks_its_schema_is_refused():
    check_image(PLEIADES, "scene.json")
    with pytest.raises(ConfigurationError, match=r"'scene.json' is no description of an image: 'dimensions/width': 0 is less"):
        check_image({"dimensions": {"width": 0}}, "scene.json")
