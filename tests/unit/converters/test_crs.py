"""A CRS that a record names is a code or WKT; GDAL, which would take far more, is not asked about anything else."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from support.opened import opened_files
from support.payloads import raster

from pesto_stream.converters.crs import crs_of, is_plain
from pesto_stream.converters.image import encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.raster import tile_of
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model.tile import Tile

TRANSFORM = (10.0, 0.0, 0.0, 0.0, -10.0, 0.0)
WGS_84 = rasterio.crs.CRS.from_epsg(4326)
GRID = (
    'BOUNDCRS[SOURCECRS[GEOGCRS["x",DATUM["y",ELLIPSOID["z",6378137,298.257]],CS[ellipsoidal,2],AXIS["lat",north],AXIS["lon",east],'
    'ANGLEUNIT["degree",0.0174532925199433]]],TARGETCRS[GEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]],CS[ellipsoidal,2],AXIS["lat",north],AXIS["lon",east],'
    'ANGLEUNIT["degree",0.0174532925199433],ID["EPSG",4326]]],ABRIDGEDTRANSFORMATION["t",METHOD["NTv2",ID["EPSG",9615]],'
    'PARAMETERFILE["Latitude and longitude difference file","{file}"]]]'
)


@pytest.mark.parametrize("text", ["EPSG:32631", "epsg:4326", WGS_84.to_wkt(), WGS_84.to_wkt(version="WKT2_2019")])
def test_codes_and_wkt_are_taken(text):
    assert crs_of(text, "raster") == (text.upper() if text.startswith("epsg") else text)


@pytest.mark.parametrize("text", [None, ""])
def test_no_crs_is_none(text):
    assert crs_of(text, "raster") is None


@pytest.mark.parametrize(
    "text",
    [
        *("{file}", "ESRI::{file}", "+init={file}:1", "+proj=longlat +nadgrids={file}", "file://{file}", "FOO[{file}", GRID),
        *("/vsicurl/http://127.0.0.1:1/a", "http://127.0.0.1:1/a", "{{}}", "EPSG:4326\n", " GEOGCS["),
    ],
)
def test_a_crs_that_names_a_file_or_a_url_is_refused_and_nothing_is_opened(tmp_path, text):
    file = tmp_path / "secret.prj"
    file.write_text(WGS_84.to_wkt())
    text = text.format(file=file)
    _, record = raster(Tile(np.zeros((1, 4, 4), "uint8"), text, TRANSFORM))

    with opened_files(tmp_path) as names:
        assert not is_plain(text)
        with pytest.raises(ImageError, match=r"(?s)raster has the CRS '.*': expected 'EPSG:' and a number, or WKT"):
            tile_of(record, Limits())
        with pytest.raises(EncodeError):
            encode_image(Tile(np.zeros((1, 4, 4), "uint8"), text, TRANSFORM), "image/tiff")

    assert names == []
