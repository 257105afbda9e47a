import numpy as np
import pytest
import rasterio

from pesto_stream.errors import ConfigurationError, ImageError
from pesto_stream.model.tile import Window
from pesto_stream.scene.make import TRUTH_NODATA, make_scene
from pesto_stream.scene.mosaic import Form
from pesto_stream.scene.raster import is_crs, open_scene, write_blocks, write_png
from pesto_stream.scene.synthetic import CRS, TRANSFORM, SyntheticScene

VRT = """<VRTDataset rasterXSize="2" rasterYSize="2"><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename>/etc/hostname</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    scene, truth = folder / "scene.tif", folder / "truth.tif"
    return scene, truth, make_scene(scene, size=700, seed=3, truth=truth)


def test_a_made_scene_is_a_tiled_geotiff_with_its_bands_named(made):
    with rasterio.open(made[0]) as dataset:
        assert dataset.shape == (700, 700)
        assert dataset.dtypes == ("uint16",) * 4
        assert dataset.crs.to_epsg() == 32631
        assert tuple(dataset.transform)[:6] == TRANSFORM
        assert dataset.nodata == 0
        assert dataset.descriptions == ("blue", "green", "red", "nir")
        assert dataset.block_shapes[0] == (512, 512)
        expected = SyntheticScene(700, 3).window(Window(0, 0, 700, 700))
        assert np.array_equal(dataset.read(), expected.array)


def test_the_truth_of_a_made_scene_says_its_coverage(made):
    scene, truth, said = made
    with rasterio.open(truth) as dataset, rasterio.open(scene) as pixels:
        mask = dataset.read(1)
        assert dataset.nodata == TRUTH_NODATA
        assert np.array_equal(mask == TRUTH_NODATA, pixels.read(1) == 0)
    inside = mask != TRUTH_NODATA
    assert said.valid_pixels == inside.sum()
    assert said.coverage == pytest.approx(mask[inside].mean())


def test_without_a_truth_file_the_coverage_is_the_same(made, tmp_path):
    assert make_scene(tmp_path / "s.tif", size=700, seed=3) == made[2]


def test_a_window_comes_with_its_own_transform(made):
    with open_scene(made[0]) as scene:
        tile = scene.read(Window(100, 50, 30, 20))
        whole = scene.read(Window(0, 0, scene.width, scene.height))
    assert np.array_equal(tile.array, whole.array[:, 50:70, 100:130])
    assert tile.crs == CRS
    assert tile.transform == (10.0, 0.0, TRANSFORM[2] + 1000, 0.0, -10.0, TRANSFORM[5] - 500)
    assert tile.nodata == 0


def test_a_scene_without_georeference_has_none(tmp_path):
    write_png(tmp_path / "plain.png", np.zeros((3, 4, 5), np.uint8))
    with open_scene(tmp_path / "plain.png") as scene:
        assert (scene.width, scene.height, scene.bands) == (5, 4, 3)
        assert scene.crs is None
        assert scene.transform is None


@pytest.mark.parametrize("content", [VRT.encode(), b"", b"II", b"%PDF-1.4"])
def test_a_file_of_another_kind_is_not_opened(tmp_path, content):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="GeoTIFF, JPEG 2000, PNG and JPEG"):
        open_scene(path)


def test_a_truncated_scene_is_an_image_error_that_names_the_window(made, tmp_path):
    path = tmp_path / "short.tif"
    path.write_bytes(made[0].read_bytes()[:100_000])
    with pytest.raises(ImageError, match=r"short\.tif"), open_scene(path) as scene:
        scene.read(Window(512, 512, 100, 100))


def test_a_missing_scene_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.tif"):
        open_scene(tmp_path / "gone.tif")


def blocks_that_break():
    yield Window(0, 0, 10, 10), np.ones((1, 10, 10), np.uint8)
    raise ImageError("broken off")


def test_a_file_that_was_not_finished_does_not_appear(tmp_path):
    form = Form(np.dtype(np.uint8), 1, None, None, None)
    with pytest.raises(ImageError, match="broken off"):
        write_blocks(tmp_path / "out.tif", (10, 10), form, blocks_that_break())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    form = Form(np.dtype(np.uint8), 1, None, None, None)
    with pytest.raises(ConfigurationError, match="cannot write"):
        write_blocks(tmp_path / "no" / "out.tif", (10, 10), form, [])


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("EPSG:32631", True),
        (rasterio.CRS.from_epsg(4326).to_wkt(), True),
        ("EPSG:999999", False),
        ("", False),
        ("/etc/hostname", False),
        ("http://127.0.0.1:1/wkt", False),
        ("+proj=longlat +nadgrids=/etc/hostname", False),
        ("PROJCS[", False),
    ],
)
def test_only_epsg_codes_and_wkt_are_taken_for_a_crs(text, known):
    assert is_crs(text) is known
