"""Names of bands come from GDAL's descriptions in a TIFF, and hostile text there does no harm."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from support.builders import IMAGE, a_spec, an_envelope, an_interface
from support.images import PLACE, geotiff, ramp
from support.payloads import NoSource

from pesto_stream.converters.image import Whole, decode_image, read_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.model.tile import Window


def described(names, bands=3, dtype="uint8"):
    profile = {"count": bands, "height": 32, "width": 48, "dtype": dtype, "crs": "EPSG:32631", "transform": Affine(*PLACE)}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **profile) as dataset:
            dataset.write(ramp(bands, dtype=dtype))
            for number, name in enumerate(names, 1):
                if name is not None:
                    dataset.set_band_description(number, name)
        return bytes(memory.getbuffer())


def names_of(data, window=None):
    return read_image(Whole(data), None, Limits(), window)[0].band_names


def test_descriptions_are_the_names_of_the_bands():
    data = described(["blue", None, "near <infra> & rouge é"])
    assert names_of(data) == ("blue", None, "near <infra> & rouge é")
    assert names_of(data, Window(1, 2, 3, 4)) == names_of(data)


def test_a_file_without_descriptions_has_no_names():
    assert names_of(geotiff(ramp())) == ()


def test_the_algorithm_finds_them_in_its_context():
    made = Converters(a_spec(an_interface(image=IMAGE)), Limits(), NoSource())
    envelope = an_envelope(content_type="image/tiff", payload=described(["blue", "green", "red"]))
    assert made.decode(envelope).context.band_names == ("blue", "green", "red")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.encode), st.integers(0, 400))
def test_whatever_stands_there_the_pixels_are_read(noise, place):
    data = described(["blue", "green", "red"])
    at = data.index(b"<GDALMetadata>")
    size = data.index(b"</GDALMetadata>") - at
    start = at + min(place, size)
    changed = data[:start] + noise[: at + size - start] + data[start + len(noise[: at + size - start]) :]
    assert len(changed) == len(data)
    tile, _ = decode_image(changed, None, Limits())
    np.testing.assert_array_equal(tile.array, ramp())
    assert len(tile.band_names) in (0, 3)
