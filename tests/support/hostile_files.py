"""The hostile records of `stories/test_hostile.py` for an algorithm of one image: files, envelopes, parameters in headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support import hostile, images
from support.hostile_cases import EVENT, JSON, NPY, PNG, TIFF, Case, Headers, World, a_json, typed

if TYPE_CHECKING:
    from collections.abc import Iterator


def plain_cases(world: World) -> list[Case]:
    cases = [*image_files(world), *envelopes(), *parameters(world)]
    if world.web:
        private = "its address '127.0.0.1' is private, local or reserved; set urls.allow_private"
        for name, host in (("private-address", "127.0.0.1"), ("private-name", "localhost")):
            value = a_json({"image": world.url("/good.tif", host=host)})
            message = private if host == "127.0.0.1" else private.replace("127.0.0.1", "(127.0.0.1|::1)")
            cases.append(Case(name, value, typed(JSON), "FetchRefused", "decode", message))
    else:
        cases += [Case(name, b"", ()) for name in ("private-address", "private-name")]
    return [*cases, Case("tombstone", None, EVENT, filtered=True)]


def image_files(world: World) -> Iterator[Case]:
    tiff, png, npy = hostile.TIFF, hostile.PNG, images.npy
    pickled = npy(images.np.array([[{"a": 1}, None]], dtype=object))
    files = [
        ("truncated-tiff", tiff[: len(tiff) // 2], TIFF, "cannot read TIFF image: .*(truncated|file of)"),
        ("vrt-as-tiff", images.vrt(f"{world.folder}/secret/secret.tif"), TIFF, "cannot read image: its first bytes '3c 56.*' are not those of TIFF.*, expected 'image/tiff'"),
        ("vrt-behind-a-tiff-header", tiff[:4] + images.vrt(f"{world.folder}/secret/secret.tif"), TIFF, "cannot read TIFF image"),
        ("header-of-60000-x-60000", images.huge_header(), TIFF, "'60000 x 60000' pixels are more than the limit"),
        ("png-bomb", images.png_bomb(), PNG, "cannot read PNG image: '17000 x 17000' pixels are more than the limit"),
        ("deflate-bomb", images.deflate_bomb(8000, 8000), TIFF, r"unfold to 64000000 bytes, more than the limit of 16777216 \(limits.max_image_mib\)"),
        ("tile-bomb", images.tile_bomb(), TIFF, "one block of '65536 x 65536' pixels takes 4294967296 bytes"),
        ("strips-bomb", images.strips_bomb(), TIFF, "'1 x 268435456'|unfold to 268435456 bytes"),
        ("png-text-bomb", images.png_text_bomb(20), PNG, "more than '16' compressed text chunks"),
        ("png-truncated", png[:-20], PNG, "cannot read PNG image: it is truncated"),
        ("png-as-tiff", png, TIFF, "it is declared as 'image/tiff' but its first bytes are those of 'image/png'"),
        ("npy-of-objects", pickled, NPY, "samples of type 'object' are not supported, expected integers, floats or bool"),
        ("npy-of-five-dimensions", npy(images.np.zeros((1, 1, 1, 2, 2))), NPY, r"its shape is '\(1, 1, 1, 2, 2\)', expected \(H, W\) or"),
        ("npy-truncated", npy(images.np.zeros((8, 8)))[:-9], NPY, "bytes of pixels, expected 512 for its shape"),
    ]  # fmt: skip
    for name, value, content_type, message in files:
        yield Case(name, value, typed(content_type), "ImageError", "decode", message, b"\x00\xff")
    yield Case(
        "empty-image", b"", typed(TIFF), "DecodeError", "decode", "record has an empty value: expected a payload of 'image/tiff'"
    )


def envelopes() -> Iterator[Case]:
    bad = ("EnvelopeError", "envelope")
    many = tuple((f"x-{number}", b"v") for number in range(10_000))
    twice = (("content-type", TIFF), ("content-type", "text/html"))

    def event(**changes: Any) -> Headers:
        return tuple({**dict(EVENT), **changes}.items())

    headers = [
        ("unknown-content-type", typed("text/html"), "cannot read content type 'text/html': expected one of application/json, "),
        ("content-type-of-control-characters", typed("\x1b[2Jimage/tiff"), r"cannot read content type '\\x1b\[2J"),
        ("content-type-of-no-text", typed(b"\xff\xfe"), "header 'content-type' is not UTF-8: starts with 'ff fe'"),  # type: ignore[arg-type]
        ("content-type-missing", (), "record has no header 'content-type'"),
        ("content-type-twice", twice, "cannot read content type 'text/html'"),
        ("structured-cloud-event", typed("application/cloudevents+json"), "a CloudEvent is read in binary mode only"),
        (
            "cloud-event-2-0",
            event(ce_specversion="2.0") + typed(TIFF),
            "CloudEvent of version '2.0': expected '1.0' or another 1.x",
        ),
        ("cloud-event-without-id", EVENT[:1] + EVENT[2:] + typed(TIFF), "claims to be a CloudEvent and has no 'ce_id'"),
        (
            "cloud-event-with-an-id-of-no-text",
            event(ce_id=b"\xff\x00") + typed(TIFF),
            "header 'ce_id' is not UTF-8: starts with 'ff 00'",
        ),
        (
            "cloud-event-with-control-characters",
            event(ce_source="/a\nb") + typed(TIFF),
            "header 'ce_source' holds control characters",
        ),
        (
            "cloud-event-with-a-bad-name",
            event(**{"ce_Scene-Id": "x"}) + typed(TIFF),
            "header 'ce_Scene-Id' is no CloudEvents attribute",
        ),
        ("headers-of-10000", (*many, *typed(TIFF)), "record has 10001 headers: expected at most 1000"),
    ]
    for name, given, message in headers:
        yield Case(name, hostile.TIFF, given, *bad, message, b"key")
    message = "record has a header whose name is not UTF-8, so none of its headers can be read"
    yield Case("header-name-of-no-text", hostile.TIFF, (), *bad, message, raw_header=(b"\xff\xfe", b"x"))


def parameters(world: World) -> Iterator[Case]:
    place = ("pesto_transform", "1 0 0 0 -1 0")
    headers = [
        ("parameter-nan", "DecodeError", (("pesto_gain", "NaN"),), "input 'gain' .header 'pesto_gain': 'NaN'. is not valid JSON"),
        ("parameter-of-no-text", "EnvelopeError", (("pesto_gain", b"\xff"),), "header 'pesto_gain' is not UTF-8"),
        ("parameter-of-a-wrong-type", "SchemaError", (("pesto_flag", '"yes"'),), "input 'flag': 'yes' where true or false was expected"),
        ("parameter-of-10000-levels", "DecodeError", (("pesto_info", "[" * 10_000),), r"input 'info' .*'\[+…'.*is (not valid JSON|JSON nested)"),
        ("parameter-of-a-megabyte", "SchemaError", (("pesto_label", "l" * (1 << 20)),), "input 'label': .*is too long"),
        ("parameter-unknown", "DecodeError", (("pesto_gian", "1"),), "input 'gian' is not declared; did you mean 'gain'"),
        ("parameter-for-the-image", "DecodeError", (("pesto_image", "x"),), "header 'pesto_image' gives an image: expected it as the record's value"),
        ("crs-that-is-a-file", "ImageError", (("pesto_crs", f"{world.folder}/secret/secret.prj"), place), "header 'pesto_crs' has the CRS '.*': expected 'EPSG:'"),
        ("crs-of-a-megabyte", "ImageError", (("pesto_crs", "G" * (1 << 20)), place), "header 'pesto_crs' has a CRS of 1048576 characters: expected at most"),
        ("transform-of-text", "DecodeError", (("pesto_crs", "EPSG:4326"), ("pesto_transform", "here")), "header 'pesto_transform' is 'here': expected six numbers"),
    ]  # fmt: skip
    for name, error, given, message in headers:
        stage = "envelope" if error == "EnvelopeError" else "decode"
        yield Case(name, hostile.PNG, typed(PNG, *given), error, stage, message)
    yield Case(
        "result-header-of-half-a-character",
        hostile.PNG,
        typed(PNG, ("pesto_act", "surrogate")),
        "EncodeError",
        "encode",
        "output 'label' cannot be written as JSON: .*surrogates",
    )
    yield Case(
        "result-header-over-the-limit",
        hostile.PNG,
        typed(PNG, ("pesto_act", "large")),
        "EncodeError",
        "encode",
        "the result of .* bytes for topic '.*' is over .*; raise that limit",
    )
