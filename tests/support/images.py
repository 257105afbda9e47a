"""Image bytes for tests: good ones, and ones that no decent sender would make."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.windows import Window

PLACE = (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)
"""An affine transform in UTM: pixels of 10 m."""


def ramp(bands: int = 3, height: int = 32, width: int = 48, dtype: str = "uint8") -> np.ndarray:
    """An array (C, H, W) whose every pixel differs from its neighbours."""
    values = np.arange(bands * height * width).reshape(bands, height, width) * 7 % 251
    return values.astype(dtype)


def gdal_file(array: np.ndarray, driver: str, **profile) -> bytes:
    """`array` (C, H, W) written by GDAL; `transform` as six numbers."""
    if transform := profile.pop("transform", None):
        profile["transform"] = Affine(*transform)
    elif driver in ("GTiff", "COG"):
        profile["transform"] = Affine(1, 0, 0, 0, -1, 0)
    bands, height, width = array.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": array.dtype}
    with MemoryFile() as memory:
        with memory.open(driver=driver, **shape, **profile) as dataset:
            dataset.write(array)
            if colormap := profile.get("colormap"):
                dataset.write_colormap(1, colormap)
        return bytes(memory.getbuffer())


def geotiff(array: np.ndarray, crs: str | None = "EPSG:32631", transform: tuple = PLACE, **profile) -> bytes:
    return gdal_file(array, "GTiff", crs=crs, transform=transform, **profile)


def cog(array: np.ndarray, blocksize: int = 64, **profile) -> bytes:
    """A cloud-optimised GeoTIFF: overviews, and the directories in front of the pixels."""
    return gdal_file(array, "COG", crs="EPSG:32631", transform=PLACE, blocksize=blocksize, **profile)


def picture(array: np.ndarray, driver: str, **profile) -> bytes:
    """PNG, JPEG or JP2OpenJPEG. Georeferenced where the format can be, so that GDAL does not warn."""
    return gdal_file(array, driver, transform=PLACE, **profile)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def raw_tiff(
    fields: dict[int, tuple[int, list[int]]], tail: bytes = b"", order: str = "<", following: int = 0, big: bool = False
) -> bytes:
    """A TIFF written by hand. `fields`: tag -> (type 3 short, 4 long or 16 long8, values); a value 'TAIL' is where `tail` begins."""
    word, count, inline = ("Q", "Q", 8) if big else ("I", "H", 4)
    head = (b"II" if order == "<" else b"MM") + (
        struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    )
    start = len(head) + struct.calcsize("=" + count) + len(fields) * (20 if big else 12) + inline
    codes = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
    sizes = [struct.calcsize("=" + codes[kind]) * len(values) for kind, values in fields.values()]
    end = start + sum(size for size in sizes if size > inline)
    table, values_area = b"", b""
    for tag, (kind, values) in sorted(fields.items()):
        raw = struct.pack(order + codes[kind] * len(values), *(end if value == "TAIL" else value for value in values))
        field = raw.ljust(inline, b"\0")
        if len(raw) > inline:
            field = struct.pack(order + word, start + len(values_area))
            values_area += raw
        table += struct.pack(order + "HH" + word, tag, kind, len(values)) + field
    return head + struct.pack(order + count, len(fields)) + table + struct.pack(order + word, following) + values_area + tail


def plain_tiff(width: int, height: int, pixels: bytes = b"", **other) -> bytes:
    """One band of bytes, one strip, with whatever size it claims. `other`: tag_NNN = (type, values) to add or replace."""
    fields = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 273: (4, ["TAIL"]),
        277: (3, [1]), 278: (4, [height]), 279: (4, [len(pixels)]),
    }  # fmt: skip
    options = {key: other.pop(key) for key in ("order", "following", "big") if key in other}
    fields |= {int(key.removeprefix("tag_")): value for key, value in other.items()}
    return raw_tiff(fields, pixels, **options)


def huge_header() -> bytes:
    """1 KB that claims 60 000 x 60 000 pixels."""
    return plain_tiff(60_000, 60_000, bytes(850))


def looping_tiff() -> bytes:
    """A TIFF whose directory names itself as the next one."""
    return plain_tiff(4, 4, bytes(16), following=8)


def deflate_bomb(width: int, height: int) -> bytes:
    """A TIFF of one deflated strip of zeros that unfolds some two hundredfold."""
    return plain_tiff(width, height, _zeros(width * height), tag_259=(3, [8]))


def lying_deflate_bomb(unfolds_to: int) -> bytes:
    """A TIFF of 16 x 16 pixels whose strip unfolds to far more than that."""
    return plain_tiff(16, 16, _zeros(unfolds_to), tag_259=(3, [8]))


def tile_bomb() -> bytes:
    """16 x 16 pixels in one tile of 65 536 x 65 536."""
    size = (4, [65_536])
    return plain_tiff(
        16, 16, _zeros(1 << 20), tag_259=(3, [8]), tag_322=size, tag_323=size, tag_324=(4, ["TAIL"]), tag_325=(4, [1000])
    )


def strips_bomb() -> bytes:
    """268 million strips of one row, in less than a KB."""
    return plain_tiff(1, 1 << 28, bytes(500), tag_278=(4, [1]))


def overview_tiff(path: str) -> bytes:
    """A TIFF whose metadata tells GDAL to take its overviews from a local file."""
    text = f'<GDALMetadata><Item name="OVERVIEW_FILE" domain="OVERVIEWS">{path}</Item></GDALMetadata>\0'
    return plain_tiff(16, 16, bytes(256), tag_42112=(2, list(text.encode())))


def vrt(path: str) -> bytes:
    """A GDAL VRT that reads `path`."""
    return (
        '<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>'
    ).encode()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def hand_png(width: int, height: int, pixels: bytes, *chunks: bytes) -> bytes:
    """A grey PNG of bytes; `pixels` are the deflated rows, `chunks` come in front of them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def png_bomb(width: int = 17_000, height: int = 17_000) -> bytes:
    """A PNG of zeros that unfolds some two hundredfold."""
    return hand_png(width, height, _zeros((width + 1) * height))


def png_text_bomb(chunks: int = 200) -> bytes:
    """A PNG of one pixel with compressed texts of nearly 8 MB each."""
    text = png_chunk(b"zTXt", b"Comment\0\0" + _zeros(7_900_000))
    return hand_png(1, 1, zlib.compress(b"\0\0"), *[text] * chunks)


def jp2_tile_bomb() -> bytes:
    """A JPEG 2000 codestream header that claims 60 000 tiles."""
    size = struct.pack(">HHIIIIIIIIH", 41, 0, 60_000, 1, 0, 0, 1, 1, 0, 0, 1) + b"\x07\x01\x01"
    return b"\xff\x4f\xff\x51" + size + bytes(100)


def _zeros(length: int) -> bytes:
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(length >> 20)]
    return b"".join([*parts, packer.compress(bytes(length % (1 << 20))), packer.flush()])


def pixels_of(data: bytes, window: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """What rasterio itself reads: the reference that our reading is held against."""
    with MemoryFile(data) as memory, memory.open() as dataset:
        return dataset.read(window=Window(*window) if window else None)


def move_directory_to_end(data: bytes) -> bytes:
    """The same little-endian classic TIFF with its directory behind the pixels, where most writers leave it."""
    offset = struct.unpack("<I", data[4:8])[0]
    length = 2 + struct.unpack("<H", data[offset : offset + 2])[0] * 12 + 4
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + data[offset : offset + length]


def with_control_points(array: np.ndarray, crs: str) -> bytes:
    """A GeoTIFF that is placed by ground control points only."""
    points = [
        GroundControlPoint(row, column, 5e5 + 10 * column, 5e6 - 10 * row) for row, column in ((0, 0), (0, 40), (30, 0), (30, 40))
    ]
    bands, height, width = array.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=bands, height=height, width=width, dtype=array.dtype, gcps=points, crs=crs
        ) as dataset:
            dataset.write(array)
        return bytes(memory.getbuffer())


def with_nodata_text(text: bytes) -> bytes:
    """One band of bytes with this GDAL_NODATA."""
    return plain_tiff(4, 4, bytes(16), tag_42113=(2, list(text + b"\0")))
