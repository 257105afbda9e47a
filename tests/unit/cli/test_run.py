"""`pesto-stream run` before the first poll: what is refused, with which words and exit code."""

import subprocess
import sys

import pytest
from support.projects import a_project

from pesto_stream.cli.app import main

TOPICS = ("--input-topic", "tiles", "--output-topic", "masks")


@pytest.fixture
def run(capsys, tmp_path):
    """In this process: for what is refused before anything is set up."""

    def _run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["run", str(a_project(tmp_path)), *arguments])
        return (end.value.code, *capsys.readouterr())

    return _run


def run_process(project, *arguments):
    command = [sys.executable, "-m", "pesto_stream", "run", str(project), "--http-port", "0", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("mode", ["exactly-once", "queue"])
def test_a_delivery_that_is_not_there_yet_is_refused(run, mode):
    code, out, err = run(*TOPICS, "--delivery", mode)

    assert (code, out) == (2, "")
    assert f"delivery: '{mode}' is not available in this version; use 'at-least-once' (from flag --delivery)" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--set", "algorithm.concurency=2"],
            "algorithm.concurency: unknown key, from flag --set; did you mean 'algorithm.concurrency'?",
        ),
        (["--set", "algorithm.concurrency=0"], "algorithm.concurrency: '0' from flag --set"),
        (["--set", "kafka.properties.enable.auto.commit=true"], "offsets are committed by the runtime alone"),
        (["--input-topic", "not a topic"], "topics.input: 'not a topic' from flag --input-topic"),
        (["--http-port", "-1"], "http.port: '-1' from flag --http-port"),
        (["-p", "gpuu"], "unknown profile 'gpuu'"),
    ],
)
def test_wrong_settings_exit_with_2_and_say_key_value_and_source(run, arguments, said):
    code, out, err = run(*TOPICS, *arguments)

    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_an_unknown_key_in_the_environment_is_refused(run, monkeypatch):
    monkeypatch.setenv("PESTO_STREAM__MEMORY__IN_FLIHGT_MIB", "64")

    code, _, err = run(*TOPICS)

    assert code == 2
    assert "did you mean" in err
    assert "PESTO_STREAM__MEMORY__IN_FLIHGT_MIB" in err


def test_a_folder_that_is_no_project_is_refused(capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        main(["run", str(tmp_path / "gone")])

    assert end.value.code == 2
    assert "does not exist" in capsys.readouterr().err


def test_without_topics_it_does_not_start(tmp_path):
    ended = run_process(a_project(tmp_path))

    assert ended.returncode == 2
    assert "topics.input" in ended.stderr


def test_an_algorithm_that_cannot_be_loaded_is_shown_in_the_users_own_lines(tmp_path):
    process = """
        def threshold():
            return 1 / 0

        LIMIT = threshold()

        class Process:
            def process(self, image, threshold=None):
                return {}
    """
    ended = run_process(a_project(tmp_path, process=process), *TOPICS)

    assert ended.returncode == 2
    error = ended.stderr[ended.stderr.index("Error: ") :]
    assert "ZeroDivisionError: division by zero" in error.splitlines()[0]
    assert error.splitlines()[1:] == [
        "  process.py:5 in <module>",
        "    LIMIT = threshold()",
        "  process.py:3 in threshold",
        "    return 1 / 0",
    ]
