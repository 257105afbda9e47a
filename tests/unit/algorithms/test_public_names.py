import subprocess
import sys

import pytest

import pesto_stream
from pesto_stream.model.invocation import TileContext


def test_the_tile_context_is_public():
    assert pesto_stream.TileContext is TileContext
    with pytest.raises(AttributeError, match="no attribute 'TileContxt'"):
        _ = pesto_stream.TileContxt


def test_importing_the_package_and_its_names_is_light():
    code = "import sys, pesto_stream; pesto_stream.TileContext; print(sorted({'numpy', 'rasterio', 'jsonschema'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"
