"""Image bytes that no decent sender would make: an error that a person understands, within the limits, and no other file looked at."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import images
from support.opened import opened_files

from pesto_stream.converters.image import Whole, decode_image, read_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ImageError
from pesto_stream.model.tile import Window

LIMITS = Limits(max_decoded_bytes=64 << 20)
MEMORY_CODE = """
import resource, sys
from support import images
from pesto_stream.converters.image import Whole, decode_image, read_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ImageError
from pesto_stream.model.tile import Window

limits = Limits(max_decoded_bytes=64 << 20)
decode_image(images.geotiff(images.ramp()), None, limits)
data = getattr(images, sys.argv[1])(*map(int, sys.argv[2:]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (lambda: decode_image(data, None, limits), lambda: read_image(Whole(data), None, limits, Window(0, 0, 1, 1))):
    try:
        read()
    except ImageError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def refusal(data: bytes, media_type: str | None = None, limits: Limits = LIMITS) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, media_type, limits)
    assert "\n" not in str(caught.value)
    assert "/vsimem" not in str(caught.value)
    return str(caught.value)


def peak_mib(builder: str, *arguments: int) -> int:
    """MiB that decoding takes at its peak, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", MEMORY_CODE, builder, *map(str, arguments)]
    done = subprocess.run(
        command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, timeout=120, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize(
    ("builder", "arguments", "words"),
    [
        ("huge_header", (), "'60000 x 60000' pixels are more than the limit"),
        ("deflate_bomb", (20_000, 13_000), "unfold to 260000000 bytes"),
        ("tile_bomb", (), "one block of '65536 x 65536' pixels takes 4294967296 bytes"),
        ("strips_bomb", (), "unfold to 268435456 bytes"),
        ("png_bomb", (), "'17000 x 17000' pixels are more than the limit"),
        ("png_text_bomb", (), "compressed text chunks"),
        ("jp2_tile_bomb", (), "'60000' tiles"),
    ],
)
def test_a_bomb_is_refused_and_costs_no_memory(builder, arguments, words):
    assert words in refusal(getattr(images, builder)(*arguments))
    assert peak_mib(builder, *arguments) < 40


def test_a_strip_that_unfolds_to_more_than_its_image_costs_no_memory():
    assert peak_mib("lying_deflate_bomb", 300 << 20) < 40


def test_an_image_at_the_limit_takes_little_more_than_twice_its_size():
    assert peak_mib("deflate_bomb", 8000, 8000) < 64 * 2 + 40


def test_a_strip_count_that_the_file_cannot_list_is_refused():
    limits = Limits(max_pixels=1 << 30, max_decoded_bytes=1 << 30)
    assert "declares '268435456' blocks but lists '1'" in refusal(images.strips_bomb(), limits=limits)


@pytest.mark.parametrize("prefix", [b"", b"II*\0", b"II*\0\x08\0\0\0"])
def test_a_vrt_sent_as_tiff_reads_no_local_file(tmp_path, prefix):
    target = tmp_path / "secret.tif"
    target.write_bytes(images.geotiff(images.ramp()))
    with opened_files(tmp_path) as names:
        refusal(prefix + images.vrt(str(target)), "image/tiff")
        with pytest.raises(ImageError):
            read_image(Whole(prefix + images.vrt(str(target))), None, LIMITS, Window(0, 0, 4, 4))
    assert names == []


def test_metadata_that_names_a_local_file_as_overview_reads_no_local_file(tmp_path):
    target = tmp_path / "secret.vrt"
    target.write_bytes(images.vrt(str(target)))
    data = images.overview_tiff(str(target))
    with opened_files(tmp_path) as names:
        decode_image(data, "image/tiff", LIMITS)
        read_image(Whole(data), None, LIMITS, Window(0, 0, 4, 4))
    assert names == []


def test_the_kernel_tells_which_files_were_opened(tmp_path):
    """The two tests above would pass with a watcher that sees nothing."""
    (tmp_path / "secret.tif").write_bytes(b"x")
    with opened_files(tmp_path) as names:
        (tmp_path / "secret.tif").read_bytes()
    assert names == ["secret.tif"]


@pytest.mark.parametrize(
    "name", ["/vsicurl/http://host/a.tif", "GTIFF_DIR:1:/etc/passwd", '{"type":"gdalg"}', "<VRTDataset/>", "SELECT 1"]
)
def test_texts_that_gdal_would_take_for_a_dataset_are_no_images(name):
    assert "not those of TIFF" in refusal(name.encode())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"GIF89a" + bytes(30), "are not those of TIFF, PNG, JPEG, JPEG 2000 or NPY"),
        (b"II*\0", "ends after '4' bytes"),
        (b"II*\0" + struct.pack("<I", 1 << 30) + bytes(100), "its directory is at byte '1073741824'"),
        (b"II*\0\x08\0\0\0\xff\xff" + bytes(100), "'65535' entries"),
        (b"II*\0\x08\0\0\0\0\0" + bytes(100), "'0' entries"),
        (images.plain_tiff(0, 4), "'0 x 4' pixels"),
        (images.plain_tiff(4, 4, bytes(16), tag_273=(4, [10**9])), "it is truncated"),
        (images.plain_tiff(4, 4, bytes(16), tag_277=(3, [60_000])), "'60000' bands"),
        (images.plain_tiff(4, 4, bytes(16), tag_258=(3, [65_535])), "(Unsupported TIFF configuration: BitsPerSample(=65535)"),
        (images.plain_tiff(4, 4, bytes(16), tag_258=(3, [24])), "cannot read TIFF image"),
        (images.plain_tiff(4, 4, bytes(16), tag_259=(3, [777])), "cannot read TIFF image"),
        (images.hand_png(4, 4, b"no deflate"), "cannot read PNG image"),
        (b"\x89PNG\r\n\x1a\n", "no header"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "cannot read JPEG image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "no JPEG 2000 codestream"),
        (b"\xff\x4f\xff\x51" + bytes(40), "expected 1 or more"),
    ],
)  # fmt: skip
def test_damaged_headers_are_told_in_words(data, words):
    assert words in refusal(data)


def test_a_directory_that_names_itself_ends():
    assert decode_image(images.looping_tiff(), None, LIMITS)[0].array.shape == (1, 4, 4)
    assert decode_image(images.plain_tiff(4, 4, bytes(16), tag_330=(4, [8])), None, LIMITS)[0].array.shape == (1, 4, 4)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["plain", "deflate", "PNG", "JPEG", "JP2OpenJPEG", "NPY"])
def test_a_truncated_image_is_refused(kind, share):
    pixels = images.ramp(3, 64, 64)
    if kind in ("plain", "deflate"):
        data = images.geotiff(pixels, compress="none" if kind == "plain" else kind)
    else:
        data = images.npy(pixels) if kind == "NPY" else images.picture(pixels, kind)
    assert "cannot read" in refusal(data[: int(len(data) * share)])


@pytest.mark.parametrize("compress", ["deflate", "lzw", "lerc"])
def test_pixels_that_do_not_unfold_are_refused(compress):
    data = images.geotiff(np.random.default_rng(3).integers(0, 255, (1, 64, 64)).astype("uint8"), compress=compress)
    bad = data[:-2000] + b"\xff" * 2000
    assert "damaged or truncated" in refusal(bad)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_bytes_give_an_image_or_an_error_of_ours(data):
    kind = data.draw(st.sampled_from(["GTiff", "PNG", "JPEG", "NPY", "window"]))
    pixels = images.ramp(3, 20, 20)
    good = {"GTiff": images.geotiff, "window": images.geotiff, "NPY": images.npy}.get(kind, lambda a: images.picture(a, kind))(
        pixels
    )
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        bad[data.draw(st.integers(4, min(len(bad), 400) - 1))] = data.draw(st.integers(0, 255))
    try:
        if kind == "window":
            read_image(Whole(bytes(bad)), None, LIMITS, Window(3, 3, 9, 9))
        else:
            decode_image(bytes(bad), None, LIMITS)
    except ImageError:
        pass


def npy_header(text: str, version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode() + bytes(64)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (images.npy(np.array([[{"a": 1}, None]], dtype=object)), "'object' are not supported"),
        (images.npy(np.zeros((2, 2), "complex128")), "'complex128' are not supported"),
        (images.npy(np.zeros((2, 2), [("a", "u1"), ("b", "u1")])), "header is damaged"),
        (images.npy(np.zeros((2, 2), "U2")), "are not supported"),
        (images.npy(np.zeros((2, 2), "datetime64[s]")), "are not supported"),
        (images.npy(np.zeros(4)), "expected (H, W) or (C, H, W)"),
        (images.npy(np.zeros((1, 1, 2, 2))), "expected (H, W) or (C, H, W)"),
        (images.npy(np.zeros((0, 2))), "expected 1 or more"),
        (images.npy(np.zeros((2, 2))) + b"x", "'33' bytes"),
        (images.npy(np.zeros((2, 2)))[:-1], "'31' bytes"),
        (npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 60000)}"), "'60000 x 60000' pixels"),
        (npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -16)}"), "expected positive numbers"),
        (npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 64)}"), "expected positive numbers"),
        (npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8), 'more': 1}"), "header is damaged"),
        (npy_header("__import__('os').abort()"), "header is damaged"),
        (npy_header("(" * 3000), "header is damaged"),
        (npy_header("", b"\x09\0"), "version is '09.00'"),
        (b"\x93NUMPY", "format version is ''"),
        (b"\x93NUMPY\2\0\xff\xff\xff\x7f{}", "header ends at byte '2147483659'"),
    ],
)  # fmt: skip
def test_an_npy_is_numbers_of_an_exact_length_and_nothing_else(data, words):
    assert words in refusal(data)


def test_a_file_over_the_encoded_limit_is_not_looked_at():
    small = Limits(max_encoded_bytes=100)
    assert "(limits.max_encoded_mib)" in refusal(images.geotiff(images.ramp()), limits=small)
    with pytest.raises(ImageError, match="blocks take 4608 bytes"):
        read_image(Whole(images.geotiff(images.ramp())), None, Limits(max_encoded_bytes=1000), Window(0, 0, 4, 4))
