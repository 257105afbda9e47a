"""Every declared type goes in and comes out of a runtime on a real Kafka as it was, as JSON and as Avro."""

import json

import numpy as np
import orjson
import pytest
from support import every_type
from support.foreign import ForeignConsumer, ForeignProducer
from support.foreign_avro import read_single_object, schemas_of, single_object
from support.member import Member
from support.topics import Topics, unique_name

JSON, AVRO = [("content-type", "application/json")], [("content-type", "application/avro")]
TILES = every_type.tiles()


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    return schemas_of(every_type.the_project(tmp_path_factory.mktemp("schemas")))


@pytest.fixture(scope="module")
def answers(kafka, schemas, tmp_path_factory):
    """What came back, by key: `json-...`, `avro-...` for each tile, and the requests without what is optional."""
    folder = tmp_path_factory.mktemp("every-type")
    requests = {"json-least": (orjson.dumps({"image": every_type.text_of(TILES["uint8-1"])}), JSON)}
    for name, tile in TILES.items():
        requests[f"json-{name}"] = (orjson.dumps(every_type.json_request(tile)), JSON)
        requests[f"avro-{name}"] = (single_object(schemas["input"], every_type.avro_request(tile)), AVRO)
    topics = Topics(kafka)
    names = tuple(topics.create(1, label=label) for label in ("in", "out", "dead"))
    try:
        with Member(every_type.the_project(folder), folder, kafka, group=unique_name("group"), topics=names):
            producer = ForeignProducer(kafka)
            for key, (value, headers) in requests.items():
                producer.send(names[0], value, headers, key=key.encode())
            producer.flush()
            with ForeignConsumer(kafka, *names[1:]) as consumer:
                got = consumer.read(len(requests))
    finally:
        topics.delete_all()
    dead = {record.key().decode(): dict(record.headers()) for record in got if record.topic() == names[2]}
    assert dead == {}
    return {record.key().decode(): record.value() for record in got}


def same(found, tile):
    np.testing.assert_array_equal(found.array, tile.array)
    assert (found.array.dtype, found.crs, found.transform, found.nodata) == (
        tile.array.dtype,
        tile.crs,
        tile.transform,
        tile.nodata,
    )


@pytest.mark.parametrize("name", TILES)
def test_json_comes_back_as_it_was(answers, name):
    answer, tile = json.loads(answers[f"json-{name}"]), TILES[name]
    options = answer.pop("options")
    for text in (answer.pop("image"), *answer.pop("images"), options.pop("mask")):
        same(every_type.decoded(text), tile)
    assert answer == every_type.PLAIN
    assert options == {"limit": 7, "tags": ["t"]}


@pytest.mark.parametrize("name", TILES)
def test_avro_comes_back_as_it_was(answers, schemas, name):
    answer, tile = read_single_object(schemas["output"], answers[f"avro-{name}"]), TILES[name]
    expected = every_type.avro_request(tile)
    options = _fields(answer.pop("options"))
    for image in (answer.pop("image"), *answer.pop("images"), options.pop("mask")):
        assert _plain(image) == every_type.raster(tile)[1]
    assert options == {"limit": 7, "tags": ["t"]}
    for key, value in answer.items():
        assert _loaded(key, value) == _loaded(key, expected[key]), key


def test_what_is_optional_may_be_left_out_on_both_ways(answers):
    answer = json.loads(answers["json-least"])
    assert list(answer) == ["image"]
    same(every_type.decoded(answer["image"]), TILES["uint8-1"])


def _fields(value):
    """A record inside of a union, without its name."""
    return dict(value[1]) if isinstance(value, tuple) else dict(value)


def _plain(value):
    return {**_fields(value), "shape": list(_fields(value)["shape"])}


def _loaded(key, value):
    if key in ("area", "info"):
        return json.loads(value)
    if key in ("areas", "infos"):
        return [json.loads(one) for one in value]
    if key in ("sensor", "sensors"):
        return [_fields(one) for one in (value if isinstance(value, list) else [value])]
    return value
