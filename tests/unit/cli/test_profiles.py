from __future__ import annotations

import pytest

from pesto_stream.cli.profiles import spread


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["build", "x", "-p", "gpu", "stateful"], ["build", "x", "-p", "gpu", "-p", "stateful"]),
        (["build", "x", "-p", "a", "b", "c", "--tag", "t"], ["build", "x", "-p", "a", "-p", "b", "-p", "c", "--tag", "t"]),
        (["run", "x", "--profile", "a", "b"], ["run", "x", "--profile", "a", "--profile", "b"]),
        (["run", "x", "-p", "a", "-p", "b"], ["run", "x", "-p", "a", "-p", "b"]),
        (["run", "x", "--group-id", "g", "y"], ["run", "x", "--group-id", "g", "y"]),
        (["run", "x", "-p", "a", "--group-id", "g"], ["run", "x", "-p", "a", "--group-id", "g"]),
        ([], []),
    ],
)
def test_several_profiles_may_follow_one_option_as_in_pesto(given, expected):
    assert spread(given) == expected


def test_a_path_after_the_profiles_is_the_project(tmp_path):
    assert spread(["run", "-p", "gpu", "stateful", str(tmp_path)]) == ["run", "-p", "gpu", "-p", "stateful", str(tmp_path)]
    assert spread(["run", "-p", "gpu", str(tmp_path)]) == ["run", "-p", "gpu", str(tmp_path)]
