import pytest

from pesto_stream.algorithms.importing import PROFILE_VARIABLE, unload


@pytest.fixture(autouse=True)
def _nothing_stays_imported(monkeypatch):
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    yield
    unload()
