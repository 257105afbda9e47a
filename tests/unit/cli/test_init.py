"""`pesto-stream init`."""

import json

import pytest

from pesto_stream.cli.app import main


@pytest.fixture
def run(capsys):
    def _run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["init", *arguments])
        return (end.value.code, *capsys.readouterr())

    return _run


@pytest.mark.parametrize("template", ["process", "onnx"])
def test_a_project_is_written_with_the_answers_given(tmp_path, run, template):
    folder = tmp_path / "p"

    code, out, _ = run(str(folder), "--template", template, "--defaults", "--data", "name=water", "--data", "title=A = B")

    assert (code, out) == (0, f"{folder}: next, `pesto-stream test {folder}`\n")
    description = json.loads((folder / "pesto/api/description.json").read_text())
    assert (description["name"], description["title"]) == ("water", "A = B")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--template", "onx"), "did you mean 'onnx'?"),
        (("--data", "name"), "--data 'name' has no '='"),
        (("--data", "x=1"), "no question 'x'"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_writes_nothing(tmp_path, run, arguments, part):
    code, _, err = run(str(tmp_path / "p"), "--defaults", *arguments)

    assert code == 2
    assert part in err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("template", ["process", "onnx"])
def test_a_new_project_passes_its_own_test_at_once(tmp_path, run, capsys, template):
    run(str(tmp_path / "p"), "--template", template, "--defaults")

    with pytest.raises(SystemExit) as end:
        main(["test", str(tmp_path / "p")])

    assert end.value.code == 0, capsys.readouterr()


def test_a_new_projects_schemas_are_what_schemagen_writes(tmp_path, run, capsys):
    run(str(tmp_path / "p"), "--defaults")

    with pytest.raises(SystemExit) as end:
        main(["schemagen", str(tmp_path / "p"), "--check"])

    assert end.value.code == 0, capsys.readouterr()
