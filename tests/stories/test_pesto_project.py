"""The project that PESTO 1.7.2's own `init` writes, unchanged: loaded, described, run on its own test resources, its schemas generated."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest
from support.foreign import ForeignConsumer, ForeignProducer
from support.member import Member
from support.pesto_itself import NoPesto, pesto, pesto_environment, resource
from support.topics import unique_name
from typer.testing import CliRunner

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.definitions import BUILT_IN
from pesto_stream.algorithms.describe import describe_document
from pesto_stream.algorithms.importing import unload
from pesto_stream.algorithms.project import load_project
from pesto_stream.algorithms.schemagen import generated_schemas
from pesto_stream.cli.app import app
from pesto_stream.clock import SystemClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.image import decode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.envelope import JSON, Envelope

TESTS = ("test_1", "test_2")


@pytest.fixture(scope="session")
def environment():
    """PESTO's own command line. Where it cannot be installed: skipped, with the reason; failed where CI is set."""
    try:
        return pesto_environment()
    except NoPesto as reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))


@pytest.fixture(scope="session")
def made(environment, tmp_path_factory):
    """The folder of the project as PESTO makes it, not to be changed."""
    home = tmp_path_factory.mktemp("home")
    target = tmp_path_factory.mktemp("made")
    pesto(environment, home, "init", "--default", target)
    (project,) = target.iterdir()
    return project


@pytest.fixture
def project(made):
    yield made
    unload()


def resources(project, test, side):
    return resource(project / "pesto" / "tests" / "resources" / test / side)


def without_prose(document):
    """PESTO's built-in definitions without their descriptions, and the link to process without the sentence that PESTO has for its media
    type: its own words for what ours say.
    """
    document["_links"]["execution"].pop("type")
    for side in ("input", "output"):
        for name in BUILT_IN:
            document[side]["definitions"][name].pop("description", None)
    return document


def images_of(value):
    """What JSON says, with each base64 text of an image (or URL of one) as its pixels."""
    if isinstance(value, dict):
        return {key: images_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [images_of(one) for one in value]
    if isinstance(value, str) and value.startswith("file://"):
        return decode_image(Path(value.removeprefix("file://")).read_bytes(), None, Limits())[0].array
    if isinstance(value, str) and len(value) > 1000:
        return decode_image(base64.b64decode(value), None, Limits())[0].array
    return value


def source_of(project):
    return UrlImageSource(Urls(allow=(f"file://{project}/",)), Limits(), Metrics(), SystemClock())


def answer_of(project, payload):
    """What the algorithm answers to a payload, through the converters that records go through."""
    loaded = load_project(project)
    algorithm = load_algorithm(loaded)
    algorithm.on_start()
    converters = Converters(loaded.spec, Limits(), source_of(project))
    envelope = Envelope(id="1", source="/tests", type=None, content_type=JSON, payload=orjson.dumps(payload))
    invocation = converters.decode(envelope)
    return orjson.loads(converters.encode(invocation, algorithm.process(invocation)).value)


def test_it_loads_with_nothing_to_remark(project):
    loaded = load_project(project)
    assert (loaded.name, loaded.version, loaded.notes) == ("algo-service", "1.0.0.dev0", ())


def test_it_describes_itself_as_its_own_test_expects(project):
    expected = json.loads((project / "pesto/tests/resources/expected_describe.json").read_text("utf-8"))
    found = describe_document(load_project(project), base_url="http://localhost:4000", links=expected["_links"])
    assert without_prose(json.loads(json.dumps(found))) == without_prose(expected)


def test_its_stateful_profile_is_merged(project):
    found = describe_document(load_project(project, ["stateful"]))
    assert found["asynchronous"] is True
    assert found["description"].endswith("stateful version")


@pytest.mark.parametrize("test", TESTS)
def test_its_own_test_resources_pass(project, test):
    expected = images_of(resources(project, test, "output"))
    found = images_of(answer_of(project, resources(project, test, "input")))
    np.testing.assert_equal(found, expected)


def test_its_schemas_are_the_ones_that_pesto_generates_for_it(environment, made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    pesto(environment, tmp_path, "schemagen", "--force", copy)
    assert [file.difference() for file in generated_schemas(copy)] == ["", ""]


def test_schemagen_writes_what_pesto_reads_back_as_its_own(environment, made, tmp_path):
    ours, theirs = (shutil.copytree(made, tmp_path / name) for name in ("ours", "theirs"))
    assert CliRunner().invoke(app, ["schemagen", str(ours)]).exit_code == 0
    pesto(environment, tmp_path, "schemagen", "--force", theirs)
    for name in ("input_schema.json", "output_schema.json"):
        one, other = (json.loads((folder / "pesto/api" / name).read_text()) for folder in (ours, theirs))
        assert without_empty(one) == without_empty(other)
        assert list(one) == list(other), "the order of the properties"


def without_empty(schema):
    if not isinstance(schema, dict):
        return schema
    return {key: without_empty(value) for key, value in schema.items() if (key, value) != ("description", "")}


def test_it_runs_as_a_member_of_a_group(kafka, topics, made, tmp_path):
    names = tuple(topics.create(1, label=label) for label in ("in", "out", "dead"))
    settings = {"urls__allow": json.dumps([f"file://{made}/"])}
    with Member(made, tmp_path, kafka, group=unique_name("group"), topics=names, **settings):
        producer = ForeignProducer(kafka)
        for test in TESTS:
            payload = orjson.dumps(resources(made, test, "input"))
            producer.send(names[0], payload, [("content-type", JSON)], key=test.encode())
        producer.flush()
        with ForeignConsumer(kafka, names[1]) as consumer:
            results = {record.key().decode(): orjson.loads(record.value()) for record in consumer.read(len(TESTS))}
    for test in TESTS:
        np.testing.assert_equal(images_of(results[test]), images_of(resources(made, test, "output")))


def test_an_installed_pesto_is_used_for_its_own_imports(environment, made, tmp_path):
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (tmp_path / "pesto").symlink_to(packages / "pesto")
    code = (
        "import sys; from pathlib import Path; from pesto_stream.algorithms.binding import load_algorithm; "
        "from pesto_stream.algorithms.project import load_project; from pesto_stream.algorithms.schemagen import generated_schemas; "
        "project = Path(sys.argv[1]); load_algorithm(load_project(project)); "
        "print(sys.modules['pesto.cli.fields'].__file__, [file.up_to_date for file in generated_schemas(project)])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(made)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    # the template's output schema has a property that its class has not
    assert found.stdout.strip() == f"{tmp_path}/pesto/cli/fields.py [True, False]"


def test_its_own_test_resources_pass_the_test_command(made, tmp_path):
    done = CliRunner().invoke(app, ["test", str(made), "--in-process", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    unload()
