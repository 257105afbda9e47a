"""A project from the template becomes an image that does its work as nobody special, on a file system it cannot write to."""

import base64
import json
import os
import socket
import uuid
from pathlib import Path

import pytest
from support.foreign import ForeignConsumer, ForeignProducer
from support.images_built import COMMAND, Container, build, docker_or_skip, run
from support.topics import unique_name
from support.waiting import wait_until

from pesto_stream.packaging.skeleton import create_project

NAME = f"template-under-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def docker():
    return docker_or_skip()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace") / NAME
    create_project(folder, "process", {}, defaults=True)
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    (folder / "model").mkdir()
    (folder / "model" / "weights.txt").write_text("1 2 3")
    (folder / "model" / "weights.txt").chmod(0o600)
    requirements = {"environments": {"GREETING": 'a "$b" c'}, "requirements": {"model": {"from": "model", "to": "/opt/model"}}}
    (folder / "pesto/build/requirements.json").write_text(json.dumps(requirements))
    return folder


@pytest.fixture(scope="module")
def image(docker, project):
    names = build(project)
    yield names
    run(docker, "image", "rm", "--force", *names, check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def member(docker, image, embedded):
    """A container at work on two topics of the embedded broker."""
    topics = tuple(unique_name(label) for label in ("in", "out", "dead"))
    for topic in topics:
        embedded.create_topic(topic, 1)
    flags = ("--input-topic", topics[0], "--output-topic", topics[1], "--dead-letter-topic", topics[2])
    variables = {
        "PESTO_STREAM__KAFKA__BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "PESTO_STREAM__KAFKA__GROUP_PROTOCOL": "consumer",
        "PESTO_STREAM__KAFKA__GROUP_ID": unique_name("group"),
    }
    with Container(docker, image[0], *flags, port=free_port(), **variables) as container:
        container.wait_ready()
        container.topics = topics
        yield container


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_image_of_the_template_works_as_nobody_on_a_read_only_root(member, project, embedded):
    resources = project / "pesto/tests/resources/test_bright"
    request = {"image": base64.b64encode((resources / "input/image.png").read_bytes()).decode(), "threshold": 128.0}
    producer = ForeignProducer(embedded.bootstrap_servers)

    producer.send(member.topics[0], json.dumps(request).encode(), [("content-type", "application/json")])
    producer.flush()

    with ForeignConsumer(embedded.bootstrap_servers, member.topics[1], **{"group.protocol": "consumer"}) as results:
        result = json.loads(results.read(1)[0].value())
    assert result["coverage"] == float((resources / "output/coverage.float").read_text())
    assert member.execute("id", "-u").stdout.strip() == "10001"
    assert member.execute("python", "-c", "open('/app/project/x', 'w')").returncode != 0
    assert "Read-only" in member.execute("python", "-c", "open('/home/x', 'w')").stderr
    wait_until(lambda: member.inspect("{{.State.Health.Status}}") == "healthy", "the engine's own health check", seconds=60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_docker_stop_drains(member):
    assert member.stop() == 0
    assert member.inspect("{{.Config.StopSignal}}") == "SIGTERM"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_requirements_environment_and_profile_are_in_the_image(docker, image):
    script = "import os; print(os.environ['GREETING']); print(os.environ['PESTO_PROFILE']); print(open('/opt/model/weights.txt').read())"

    done = run(docker, "run", "--rm", "--entrypoint", "python", image[0], "-c", script)

    assert done.stdout.splitlines() == ['a "$b" c', "0.1.0", "1 2 3"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_image_holds_its_bill_of_materials_and_no_compiler(docker, image):
    script = (
        "import shutil, six; print(open('/usr/local/share/pesto-stream/sbom.cdx.json').read()); assert not shutil.which('cc')"
    )

    document = json.loads(run(docker, "run", "--rm", "--entrypoint", "python", image[0], "-c", script).stdout)

    assert document["bomFormat"] == "CycloneDX"
    assert {"pesto-stream", "numpy", "confluent-kafka", "six"} <= {part["name"] for part in document["components"]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_change_of_code_builds_one_layer_anew(docker, project, image, tmp_path):
    """On a base that stays: here it is made of this source tree."""
    build(project, "--dry-run", str(tmp_path / "context"))
    code = tmp_path / "context/project/project/algorithm/process.py"

    def layers():
        run("env", "DOCKER_BUILDKIT=1", docker, "build", "--tag", f"{NAME}:layers", str(tmp_path / "context/project"))
        return json.loads(run(docker, "image", "inspect", "--format", "{{json .RootFS.Layers}}", f"{NAME}:layers").stdout)

    before = layers()
    code.write_text(code.read_text() + "\n# changed\n")
    after = layers()
    run(docker, "image", "rm", f"{NAME}:layers", check=False)

    assert [old == new for old, new in zip(before, after, strict=True)] == [True] * (len(before) - 1) + [False]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_list_knows_the_image_by_its_labels(image, project):
    images = json.loads(run(*COMMAND, "list", str(project), "--json").stdout)["images"]

    assert [(found["name"], found["version"], sorted(found["names"])) for found in images] == [(NAME, "0.1.0", sorted(image))]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_written_context_builds_the_same_image_elsewhere(docker, project, image, tmp_path):
    build(project, "--dry-run", str(tmp_path / "context"))

    # the docker that has BuildKit comes first
    done = run(
        "env",
        f"PATH={Path(docker).parent}:{os.environ['PATH']}",
        "DOCKER_BUILDKIT=1",
        str(tmp_path / "context/build.sh"),
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    assert f"naming to docker.io/library/{NAME}:0.1.0" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not os.environ.get("PESTO_TEST_GPU_IMAGE"), reason="3 GB are downloaded only where PESTO_TEST_GPU_IMAGE is set"
)
def test_the_gpu_image_carries_the_cuda_libraries_of_its_onnx_runtime(docker, project, request):
    names = build(project, "-p", "gpu")
    request.addfinalizer(lambda: run(docker, "image", "rm", "--force", *names, check=False))
    provider = "$(python -c 'import onnxruntime as o; print(o.__path__[0])')/capi/libonnxruntime_providers_cuda.so"

    done = run(docker, "run", "--rm", "--entrypoint", "sh", names[0], "-c", f"ldd {provider} && ldconfig -p")

    assert names[0] == f"{NAME}:0.1.0-gpu"
    assert "libcublasLt" in done.stdout
    missing = {line.split()[0] for line in done.stdout.splitlines() if "not found" in line}
    assert missing == {"libcuda.so.1"}, "all but the driver's own library come from wheels"
    assert all(name in done.stdout for name in ("libcudnn.so", "libcufft.so", "libcurand.so")), "those that are loaded later, too"
