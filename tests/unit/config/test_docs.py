"""The generated parts of the documents are up to date."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def script():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_generated_tables_are_up_to_date(path):
    assert script().main(["--check", str(path)]) == 0


def test_a_stale_table_is_found_by_check_and_rewritten_without_it(tmp_path):
    generate = script()
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- generated:exit-codes -->\nold\n<!-- /generated -->\nafter\n")

    assert generate.main(["--check", str(path)]) == 1
    assert "old" in path.read_text()
    assert generate.main([str(path)]) == 0
    assert generate.main(["--check", str(path)]) == 0
    assert path.read_text().startswith("before\n<!-- generated:exit-codes -->\n| code | meaning |\n")
    assert path.read_text().endswith("<!-- /generated -->\nafter\n")


@pytest.mark.parametrize("text", ["<!-- generated:nothing -->\n<!-- /generated -->", "<!-- generated:settings -->\n"])
def test_a_mark_that_means_nothing_is_an_error(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)

    with pytest.raises(SystemExit):
        script().main([str(path)])


@pytest.mark.parametrize("name", ["settings", "refused-properties", "metrics", "exit-codes"])
def test_every_table_is_a_markdown_table(name):
    header, rule, *rows = script().TABLES[name]()

    assert rows
    assert {line.count("|") for line in (header, rule, *rows)} == {header.count("|")}
