import dataclasses
import sys

import pytest
from support.projects import IMAGE, STRING, a_loaded_project, an_algorithm, an_invocation, body

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.compat import install
from pesto_stream.algorithms.compat.finder import PestoFinder
from pesto_stream.algorithms.compat.profile import Pesto
from pesto_stream.errors import ProjectError

PROFILES = body(
    "return {'profile': Pesto.get_profile(), 'gpu': Pesto.is_profile_active('gpu')}",
    imports="from pesto.common.pesto import Pesto",
)
PARTS = {"process": PROFILES, "inputs": {"image": IMAGE}, "outputs": {"profile": STRING, "gpu": {"type": "boolean"}}}
GPU = {"pesto/api/description.gpu.json": {}, "pesto/api/description.fast.json": {}}


@pytest.fixture(autouse=True)
def _no_pesto_stays_imported():
    def forget():
        for name in [name for name in sys.modules if name == "pesto" or name.startswith("pesto.")]:
            del sys.modules[name]

    forget()
    yield
    forget()


def profile_seen(tmp_path, **parts):
    return an_algorithm(tmp_path, **PARTS, **parts).process(an_invocation(image=None))


def test_pestos_imports_work_without_pesto_beside_a_folder_of_that_name(tmp_path):
    assert profile_seen(tmp_path) == {"profile": "1.2.3", "gpu": False}


def test_the_profiles_asked_for_are_active(tmp_path):
    assert profile_seen(tmp_path, profiles=["fast", "gpu"], files=GPU) == {"profile": "1.2.3-fast-gpu", "gpu": True}


def test_an_operators_pesto_profile_stays_where_none_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PESTO_PROFILE", "9-gpu")
    assert profile_seen(tmp_path) == {"profile": "9-gpu", "gpu": True}


def test_one_projects_profile_is_not_the_next_ones(tmp_path):
    profile_seen(tmp_path, profiles=["gpu"], files=GPU)
    assert profile_seen(tmp_path, name="other", version="2") == {"profile": "2", "gpu": False}


@pytest.mark.parametrize(
    ("value", "active"),
    [
        ("1.0-gpu", True),
        ("gpu", True),
        ("1.0-gpu-stateful", True),
        ("gpu,fast", True),
        ("fast gpu", True),
        ("1.0-nogpu", False),
        ("1.0-gpu2", False),
        ("", False),
        ("1.0", False),
    ],
)
def test_a_profile_is_active_when_it_stands_by_itself(monkeypatch, value, active):
    monkeypatch.setenv("PESTO_PROFILE", value)
    assert Pesto.is_profile_active("gpu") is active


def test_a_profile_with_a_hyphen_is_found_and_none_at_all_is_not(monkeypatch):
    monkeypatch.setenv("PESTO_PROFILE", "1.0-gpu-large")
    assert Pesto.is_profile_active("gpu-large")
    assert not Pesto.is_profile_active("")


def test_fields_carry_pestos_metadata():
    install()
    from pesto.cli.fields import Definition, definition, field, user_definition

    @dataclasses.dataclass
    class Input:
        image: object = definition(Definition.Image, "seen", required=True)
        zone: object = user_definition("Zone", description="where", default=None)
        gain: float = field("factor", default=2.0)

    image, zone, gain = dataclasses.fields(Input)
    assert dict(image.metadata) == {"pesto.type": Definition.Image, "pesto.description": "seen", "pesto.required": True}
    assert dict(zone.metadata) == {"pesto.type": "Zone", "pesto.description": "where", "pesto.required": False}
    assert dict(gain.metadata) == {"pesto.description": "factor", "pesto.required": False}
    assert Input(image=1).gain == 2.0
    assert [each.name for each in Definition] == ["Image", "Images", "Polygon", "Polygons", "Metadata", "Metadatas"]


def test_an_installed_pesto_is_the_one_that_is_used(tmp_path):
    files = {"site/pesto/__init__.py": "", "site/pesto/common/__init__.py": ""}
    files["site/pesto/common/pesto.py"] = """
        class Pesto:
            get_profile = staticmethod(lambda: "the real one")
            is_profile_active = staticmethod(lambda profile: False)
    """
    requirement = {"from": "site", "to": "/nowhere", "type": "python"}
    files["pesto/build/requirements.json"] = {"requirements": {"pesto": requirement}}
    assert profile_seen(tmp_path, files=files)["profile"] == "the real one"


def test_what_pesto_has_beyond_these_is_a_missing_module_with_the_remedy(tmp_path):
    project = a_loaded_project(tmp_path, process="import pesto.common.utils")
    with pytest.raises(ProjectError, match="install 'processing-factory'"):
        load_algorithm(project)


def test_the_finder_is_installed_once():
    install()
    install()
    assert sum(isinstance(finder, PestoFinder) for finder in sys.meta_path) == 1
