"""The whole pipeline against records that nobody sane would send: an answer or an error of ours, never a bug."""

from __future__ import annotations

import json
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import hostile, images
from support.builders import an_interface
from support.harness import FunctionAlgorithm
from support.payloads import avro_bytes

from pesto_stream.clock import ManualClock, SystemClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import AlgorithmError, EncodeError, RecordError, TransientError, UnexpectedError
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.record import ConsumerRecord
from pesto_stream.model.spec import AlgorithmSpec
from pesto_stream.runtime.pipeline import Addressing, Pipeline

LIMITS = Limits(max_encoded_bytes=1 << 20, max_decoded_bytes=4 << 20, max_json_bytes=1 << 20, max_images=8)
EVERYTHING = AlgorithmSpec(
    "everything",
    "1.0",
    input=an_interface(required=("image",), definitions=hostile.DEFINITIONS, **hostile.INPUTS),
    output=an_interface(required=(), **hostile.OUTPUTS),
)
PLAIN = AlgorithmSpec(
    "plain",
    "1.0",
    input=an_interface(
        required=("image",), **{name: hostile.INPUTS[name] for name in ("image", "gain", "label", "flag", "info")}
    ),
    output=an_interface(required=(), **{name: hostile.OUTPUTS[name] for name in ("image", "mean", "label")}),
)
# what may be read is allowed by name, and refused for its address: nothing here reaches a network
ALLOWED = ["file:///nowhere/", "http://127.0.0.1:1/", "http://[::1]:1/"]
CONTENT_TYPES = ["application/json", "application/avro", "image/tiff", "image/png", "image/jpeg", "application/x-npy"]
bounded = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def echo(invocation):
    """Gives back what it can of its inputs, so that hostile values reach the encoder."""
    names = [name for name in ("image", "label", "info") if name in PLAIN.output.properties or "images" in invocation.inputs]
    outputs = {name: invocation.inputs[name] for name in names if invocation.inputs.get(name) is not None}
    return outputs | {"mean": invocation.inputs.get("gain") or 0.0}


def a_pipeline(spec: AlgorithmSpec, function=echo) -> Pipeline:
    source = UrlImageSource(Urls(allow=ALLOWED, timeout_seconds=2), LIMITS, Metrics(), SystemClock())
    addressing = Addressing("results", "dead", "pesto.result", "/pesto/x/1.0", "x/1.0", max_record_bytes=8 << 20)
    return Pipeline(Converters(spec, LIMITS, source), FunctionAlgorithm(function, spec), addressing, ManualClock())


PIPELINES = {"everything": a_pipeline(EVERYTHING), "plain": a_pipeline(PLAIN)}


def a_record(value: bytes, headers: Any, key: bytes | None = None) -> ConsumerRecord:
    return ConsumerRecord("tiles", 0, 7, key, value, tuple(headers), 0)


def passes(pipeline: Pipeline, record: ConsumerRecord) -> RecordError | TransientError | None:
    """Take the record all the way. None: it has a result. Raises AssertionError for what is no error of ours, or a poor message."""
    try:
        invocation = pipeline.decode(record)
        result = pipeline.encode(record, invocation, pipeline.run(record, invocation))
    except UnexpectedError as bug:
        raise AssertionError(f"a bug: {bug}") from bug
    except RecordError as error:
        check_dead_letter(pipeline, record, error)
        return error
    except TransientError as error:
        return error
    check_headers(result.headers)
    return None


def check_headers(headers) -> None:
    """As the client takes them: names of text, values of bytes."""
    for name, value in headers:
        name.encode()
        assert isinstance(value, bytes)


def check_dead_letter(pipeline: Pipeline, record: ConsumerRecord, error: RecordError) -> None:
    letter = pipeline.dead_letter(record, error, attempts=1)
    assert (letter.key, letter.value, letter.headers[: len(record.headers)]) == (record.key, record.value, record.headers)
    ours = {name: value.decode() for name, value in letter.headers[len(record.headers) :]}
    assert (ours["pesto_error_type"], ours["pesto_error_stage"]) == (type(error).__name__, error.stage)
    hostile.check_message(ours["pesto_error_message"])


# -- what senders may write

pipelines = st.sampled_from(sorted(PIPELINES))
texts = st.text(st.characters(codec="utf-8"), max_size=30)
header_values = st.one_of(
    st.binary(max_size=40), texts.map(str.encode), st.sampled_from([b"1.0", b"1.999", b"", b"\xff", b"null", b"NaN"])
)
known_names = [
    *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_sceneid", "ce_Bad", "ce_", "traceparent"),
    *(
        "content-type",
        "Content-Type",
        "ce_datacontenttype",
        "pesto_gain",
        "pesto_label",
        "pesto_flag",
        "pesto_info",
        "pesto_image",
    ),
    *("pesto_crs", "pesto_transform", "pesto_", "pesto_roi", "pesto_error_type"),
]
header_names = st.one_of(st.sampled_from(known_names), texts)
some_headers = st.lists(st.tuples(header_names, st.none() | header_values), max_size=6)
content_types = st.one_of(
    st.sampled_from([*CONTENT_TYPES, "application/cloudevents+json", "APPLICATION/JSON; charset=latin-1", "", ";", "text/html"]),
    texts,
).map(str.encode)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**400, 1e308, -0.0, 1e-320]))
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
url_parts = st.sampled_from(
    [
        *(
            "http://",
            "https://",
            "file://",
            "s3://",
            "gs://",
            "HTTP://",
            "ftp://",
            "//",
            "127.0.0.1:1",
            "[::1]:1",
            "[",
            "]",
            "@",
            ":",
        ),
        *(
            "/",
            "nowhere",
            "..",
            "%",
            "%2e",
            "%ff",
            "%00",
            "\\",
            "?",
            "#",
            "xn--",
            "ⓐ",
            "。",
            "0x7f.1",
            "2130706433",
            "localhost",
            "*",
        ),
        *("\0", " ", "\ud800"),
    ]
)
urls = st.one_of(
    st.lists(url_parts | texts, min_size=1, max_size=6).map("".join),
    st.tuples(st.sampled_from([*ALLOWED, "http://", "file:///"]), st.lists(url_parts, max_size=4).map("".join)).map("".join),
)
EVENT = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t"))
VALID = {
    "json": (json.dumps(hostile.a_request()).encode(), "application/json", "everything"),
    "avro": (avro_bytes(EVERYTHING, hostile.a_datum()), "application/avro", "everything"),
    "tiff": (hostile.TIFF, "image/tiff", "plain"),
    "deflated": (
        images.geotiff(images.ramp(3, 16, 16), compress="deflate", tiled=True, blockxsize=16, blockysize=16),
        "image/tiff",
        "plain",
    ),
    "png": (hostile.PNG, "image/png", "plain"),
    "jpeg": (images.picture(images.ramp(3, 16, 16), "JPEG"), "image/jpeg", "plain"),
    "npy": (images.npy(hostile.PIXELS), "application/x-npy", "plain"),
}


@st.composite
def mutated(draw) -> tuple[bytes, str, str]:
    """A valid payload with bytes flipped, cut out, put in, or repeated."""
    data, content_type, pipeline = VALID[draw(st.sampled_from(sorted(VALID)))]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        end = min(len(data), at + draw(st.integers(1, 16)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "repeat", "end"]))
        middle = {
            "flip": draw(st.binary(min_size=end - at, max_size=end - at)),
            "cut": b"",
            "repeat": data[at:end] * draw(st.integers(2, 50)),
        }
        middle |= {"insert": draw(st.binary(min_size=1, max_size=16)) + data[at:end], "end": b""}
        data = data[:at] + middle[kind] + (b"" if kind == "end" else data[end:])
    return data, content_type, pipeline


@pytest.mark.parametrize("name", sorted(VALID))
def test_the_valid_payloads_that_are_mutated_below_have_results(name):
    value, content_type, pipeline = VALID[name]
    headers = (*EVENT, ("content-type", content_type.encode()))

    assert passes(PIPELINES[pipeline], a_record(value, headers)) is None


@bounded
@given(pipelines, st.binary(max_size=200), content_types, some_headers)
def test_any_bytes_with_any_content_type_and_headers_give_an_error_of_ours(name, value, content_type, headers):
    assert passes(PIPELINES[name], a_record(value, [("content-type", content_type), *headers])) is not None


@bounded
@given(mutated(), some_headers)
def test_a_valid_payload_with_bytes_changed_gives_a_result_or_an_error_of_ours(payload, headers):
    value, content_type, name = payload
    record = a_record(value, [("content-type", content_type.encode()), *headers])

    passes(PIPELINES[name], record)


@bounded
@given(st.sampled_from(sorted(hostile.INPUTS)), json_values, some_headers)
def test_any_json_value_for_any_input_gives_a_result_or_an_error_of_ours(name, value, headers):
    payload = json.dumps(hostile.a_request() | {name: value}).encode()

    passes(PIPELINES["everything"], a_record(payload, [*headers, ("content-type", b"application/json")]))


@bounded
@given(st.one_of(json_values, st.dictionaries(texts | st.sampled_from(sorted(hostile.INPUTS)), json_values)))
def test_any_json_document_gives_an_error_of_ours(value):
    assert (
        passes(PIPELINES["everything"], a_record(json.dumps(value).encode(), [("content-type", b"application/json")])) is not None
    )


@bounded
@example("file:///nowhere/%ff")
@given(urls)
def test_any_url_gives_an_error_of_ours_and_reaches_no_network(url):
    payload = json.dumps(hostile.a_request(image=url)).encode()

    assert passes(PIPELINES["everything"], a_record(payload, [("content-type", b"application/json")])) is not None


@bounded
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dtype": st.sampled_from(["uint8", "float64", "object", "V8", ">u2"]) | texts,
            "shape": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
            "data": st.binary(max_size=64),
            "crs": texts | st.sampled_from(["EPSG:4326", "EPSG:0", "EPSG:99999999999", "GEOGCS[", "+init=x:1", "/dev/zero"]),
            "transform": st.lists(st.floats(), max_size=7),
            "nodata": st.floats(),
        },
    )
)
def test_any_raster_in_a_well_formed_avro_record_gives_a_result_or_an_error_of_ours(changes):
    payload = avro_bytes(EVERYTHING, hostile.a_datum(image=hostile.raster(**changes)))

    passes(PIPELINES["everything"], a_record(payload, [("content-type", b"application/avro")]))


@bounded
@given(st.sampled_from([*VALID]), st.binary(max_size=40) | texts.map(str.encode), st.text(string.digits + "- .eNna", max_size=40))
def test_any_place_in_headers_gives_a_result_or_an_error_of_ours(name, crs, transform):
    value, content_type, pipeline = VALID[name]
    headers = [("content-type", content_type.encode()), ("pesto_crs", crs), ("pesto_transform", transform.encode())]

    passes(PIPELINES[pipeline], a_record(value, headers))


# -- what algorithms may return

arrays = st.one_of(
    st.sampled_from(
        ["bool", "uint8", "int64", "float16", "float64", "complex64", "object", "U3", "S3", "M8[s]", "V4", "longdouble"]
    ).flatmap(lambda dtype: st.lists(st.integers(0, 3), max_size=4).map(lambda shape: np.zeros(shape, dtype)))
)
endless: list[Any] = []
endless.append(endless)
oddities = st.sampled_from(
    [
        endless,
        object(),
        b"bytes",
        {1, 2},
        {1: 2},
        {"\ud800": 1},
        "\ud800",
        1j,
        10**30,
        float("nan"),
        np.float32("inf"),
        np.ma.masked,
        Ellipsis,
    ]
)
values = st.one_of(
    json_values, arrays, oddities, st.lists(oddities | arrays, max_size=2), st.dictionaries(texts, oddities | arrays, max_size=2)
)


@bounded
@given(
    pipelines,
    st.sampled_from(["json", "avro", "tiff", "npy"]),
    st.dictionaries(st.sampled_from([*hostile.OUTPUTS, "other", "\ud800"]), values),
)
def test_any_outputs_give_a_result_or_an_error_of_the_stage_encode(name, kind, outputs):
    value, content_type, pipeline = VALID[kind]
    answering = a_pipeline({"everything": EVERYTHING, "plain": PLAIN}[pipeline], lambda _: outputs)
    record = a_record(value, [("content-type", content_type.encode())])

    error = passes(answering, record)

    assert error is None or isinstance(error, EncodeError)


class Stop(BaseException):
    """As KeyboardInterrupt, which pytest would take for one."""


@pytest.mark.parametrize("stop", [Stop, SystemExit, GeneratorExit])
def test_an_algorithm_that_raises_what_ends_a_thread_fails_its_tile_and_no_more(stop):
    def process(_invocation):
        raise stop

    value, content_type, _ = VALID["png"]
    record = a_record(value, [("content-type", content_type.encode())])

    assert isinstance(passes(a_pipeline(PLAIN, process), record), AlgorithmError)
