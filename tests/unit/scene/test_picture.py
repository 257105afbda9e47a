import numpy as np
import pytest
import rasterio

from pesto_stream.scene.make import make_scene
from pesto_stream.scene.mosaic import Form
from pesto_stream.scene.picture import write_quicklook
from pesto_stream.scene.quicklook import beside, display_bands, is_mask, overlaid, panel_size, stretched, valid_pixels
from pesto_stream.scene.raster import open_scene, write_blocks


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("picture")
    make_scene(folder / "scene.tif", size=600, truth=folder / "truth.tif")
    return folder


def read(path):
    with open_scene(path) as scene:
        assert scene.dtype == np.uint8
        return scene.reduced(scene.width, scene.height, range(scene.bands), average=False)


def test_scene_and_mask_side_by_side_fit_the_width(made, tmp_path):
    write_quicklook(tmp_path / "q.png", made / "truth.tif", made / "scene.tif", max_width=400)
    picture = read(tmp_path / "q.png")
    assert picture.shape == (3, 196, 400)
    panel = slice(0, 196), slice(204, 400)
    with open_scene(made / "truth.tif") as truth:
        marked = truth.reduced(196, 196, (0,), average=False)[0] == 1
    red, green = picture[0][panel].astype(int), picture[1][panel].astype(int)
    assert ((red - green)[marked] > 50).all()
    assert ((red - green)[~marked] > 50).mean() < 0.05


def test_a_small_scene_is_not_blown_up(made, tmp_path):
    write_quicklook(tmp_path / "q.png", made / "truth.tif", made / "scene.tif")
    assert read(tmp_path / "q.png").shape == (3, 600, 1208)


def test_a_mosaic_alone_makes_a_picture(made, tmp_path):
    for name in ("scene.tif", "truth.tif"):
        write_quicklook(tmp_path / "q.png", made / name, max_width=300)
        assert read(tmp_path / "q.png").shape == (3, 300, 300)
    assert [path.name for path in tmp_path.iterdir()] == ["q.png"]


def test_a_mosaic_that_is_no_mask_is_shown_as_a_picture(made, tmp_path):
    values = np.random.default_rng(0).normal(size=(1, 600, 600)).astype(np.float32)
    values[0, :300] = np.nan
    form = Form(values.dtype, 1, None, None, float("nan"))
    write_blocks(tmp_path / "m.tif", (600, 600), form, [((0, 0, 600, 600), values)])
    write_quicklook(tmp_path / "q.png", tmp_path / "m.tif", made / "scene.tif")
    picture = read(tmp_path / "q.png")
    assert (picture[:, :300, 608:] == 0).all()
    assert picture[:, 300:, 608:].std() > 10


@pytest.mark.parametrize(
    ("count", "dtype", "names", "shown"),
    [
        (1, "uint8", ("gray",), (0, 0, 0)),
        (2, "uint16", ("", ""), (0, 0, 0)),
        (3, "uint16", ("", "", ""), (0, 1, 2)),
        (4, "uint8", ("", "", "", ""), (0, 1, 2)),
        (4, "uint16", ("", "", "", ""), (2, 1, 0)),
        (4, "uint16", ("NIR", "Red", "Green", "Blue"), (1, 2, 3)),
    ],
)
def test_the_bands_shown_as_colours(count, dtype, names, shown):
    assert display_bands(count, np.dtype(dtype), names) == shown


def test_pixels_without_a_value_are_black_and_do_not_stretch_the_others():
    array = np.array([[[-9999.0, 0, 50, 100]]] * 3)
    valid = valid_pixels(array, -9999)
    assert valid.tolist() == [[False, True, True, True]]
    assert stretched(array, valid)[0, 0, [0, 1, 3]].tolist() == [0, 0, 255]


def test_bytes_are_shown_as_they_are():
    array = np.array([[[7, 9]]] * 3, np.uint8)
    assert stretched(array, valid_pixels(array, None)).tolist() == array.tolist()


def test_an_image_without_any_value_is_black():
    array = np.full((1, 2, 2), np.nan)
    assert not stretched(array, valid_pixels(array, None)).any()


@pytest.mark.parametrize(
    ("array", "mask"),
    [
        (np.array([[[0, 1, 255]]], np.uint8), True),
        (np.zeros((2, 1, 1), np.uint8), False),
        (np.zeros((1, 1, 1), np.float32), False),
        (np.arange(100, dtype=np.uint16).reshape(1, 10, 10), False),
    ],
)
def test_a_mask_is_one_band_of_few_whole_numbers(array, mask):
    assert is_mask(array) is mask


def test_panels_stand_side_by_side():
    left, right = np.zeros((3, 4, 5), np.uint8), np.ones((3, 4, 5), np.uint8)
    assert beside(left, right).shape == (3, 4, 18)
    assert panel_size(10_980, 10_980, 2, 1600) == (796, 796)
    assert panel_size(1, 100_000, 1, 1600) == (1, 1600)
    assert overlaid(np.zeros((3, 1, 2)), np.array([[True, False]]))[0].tolist() == [[140, 0]]


def test_a_quicklook_has_no_georeference_to_lose(made, tmp_path):
    write_quicklook(tmp_path / "q.png", made / "truth.tif")
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(tmp_path / "q.png") as dataset:
        assert dataset.crs is None
