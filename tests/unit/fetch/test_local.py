from __future__ import annotations

import os

import numpy as np
import pytest
from support import images

from pesto_stream.clock import ManualClock
from pesto_stream.config.model import Urls
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import FetchRefused, ImageError
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.metrics import Metrics
from pesto_stream.model.tile import Window

PIXELS = images.ramp(3, 40, 50)


@pytest.fixture
def folder(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "a.tif").write_bytes(images.geotiff(PIXELS))
    (tmp_path / "secret.tif").write_bytes(images.geotiff(PIXELS))
    return allowed


def source_of(*folders, limits: Limits | None = None) -> UrlImageSource:
    return UrlImageSource(Urls(allow=[f"file://{folder}/" for folder in folders]), limits or Limits(), Metrics(), ManualClock())


def test_a_file_in_an_allowed_folder_is_read_whole_or_by_window(folder):
    source = source_of(folder)
    assert np.array_equal(source.read(f"file://{folder}/a.tif")[0].array, PIXELS)
    tile, _ = source.read(f"file://{folder}/a.tif", Window(10, 20, 5, 6))
    assert np.array_equal(tile.array, PIXELS[:, 20:26, 10:15])
    assert source._metrics.value("pesto_fetched_images_total", scheme="file", result="ok") == 2


def test_a_window_of_a_large_file_reads_little_of_it(folder):
    pixels = np.random.default_rng(1).integers(0, 60_000, (1, 1024, 1024)).astype("uint16")
    data = images.cog(pixels, blocksize=128)
    (folder / "big.tif").write_bytes(data)
    source = source_of(folder)
    tile, _ = source.read(f"file://{folder}/big.tif", Window(500, 500, 100, 100))
    assert np.array_equal(tile.array, pixels[:, 500:600, 500:600])
    assert source._metrics.value("pesto_fetched_bytes_total", scheme="file") < len(data) / 4


def test_a_link_out_of_the_folder_is_refused(folder):
    (folder / "link.tif").symlink_to(folder.parent / "secret.tif")
    (folder / "sub").symlink_to(folder.parent)
    for path in ("link.tif", "sub/secret.tif"):
        for window in (None, Window(0, 0, 1, 1)):
            with pytest.raises(FetchRefused, match="a link out of the folders"):
                source_of(folder).read(f"file://{folder}/{path}", window)


def test_a_link_that_stays_in_the_folder_is_followed(folder):
    (folder / "link.tif").symlink_to(folder / "a.tif")
    assert source_of(folder).read(f"file://{folder}/link.tif")[1] == "image/tiff"


def test_an_allowed_folder_that_is_a_link_itself_works(folder):
    (folder.parent / "alias").symlink_to(folder)
    assert source_of(folder.parent / "alias").read(f"file://{folder.parent}/alias/a.tif")[1] == "image/tiff"


def test_dot_segments_do_not_leave_the_folder(folder):
    with pytest.raises(FetchRefused, match=r"not allowed; add 'file:///etc/' to urls.allow"):
        source_of(folder).read(f"file://{folder}/{'../' * 20}etc/passwd")


def test_a_device_is_refused_though_its_folder_is_allowed():
    with pytest.raises(FetchRefused, match="not a regular file"):
        source_of("/dev").read("file:///dev/zero")


def test_a_pipe_is_refused_without_waiting_for_its_writer(folder):
    os.mkfifo(folder / "pipe.tif")
    with pytest.raises(FetchRefused, match="not a regular file"):
        source_of(folder).read(f"file://{folder}/pipe.tif")


def test_a_folder_is_refused(folder):
    with pytest.raises(FetchRefused, match="not a regular file"):
        source_of(folder).read(f"file://{folder}/")


def test_a_missing_file_is_refused(folder):
    with pytest.raises(FetchRefused, match="no such file"):
        source_of(folder).read(f"file://{folder}/none.tif")


def test_a_file_over_the_limit_is_refused_before_it_is_read(folder):
    with (folder / "sparse.tif").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FetchRefused, match="1099511627776 bytes announced"):
        source_of(folder).read(f"file://{folder}/sparse.tif")


def test_a_vrt_behind_a_url_reads_nothing(folder):
    (folder / "a.vrt").write_bytes(images.vrt(str(folder.parent / "secret.tif")))
    with pytest.raises(ImageError, match=r"not those of TIFF.*from 'file://"):
        source_of(folder).read(f"file://{folder}/a.vrt")
