"""Every kind of mistake in a project is found at the start, and its author is told file, field and remedy in these very words."""

from pathlib import Path

import pytest
from support.project_mistakes import ALL, page, project_of, shown

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.project import load_project
from pesto_stream.errors import ProjectError

PAGE = Path(__file__).parents[3] / "docs" / "project-errors.md"


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.what)
def test_the_message_is_word_for_word_what_the_documentation_shows(tmp_path, mistake):
    with pytest.raises(ProjectError) as caught:
        load_algorithm(load_project(project_of(mistake, tmp_path), mistake.profiles))
    assert shown(caught.value) == mistake.message
    assert str(tmp_path) not in mistake.message


def test_the_documentation_shows_them_all():
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "rewrite it: PYTHONPATH=tests python -m support.project_mistakes docs/project-errors.md"
