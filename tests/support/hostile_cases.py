"""The hostile records of `stories/test_hostile.py`, each with the dead letter that it should become."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support import hostile, images, web
from support.foreign_avro import datum, single_object
from support.hostile import base64_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.web import Web

JSON, AVRO, TIFF, PNG, NPY = "application/json", "application/avro", "image/tiff", "image/png", "application/x-npy"
SECRET = "the secret of this machine"
UNREADABLE = [("\ufffd", None)]
EVENT = (("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/sensor"), ("ce_type", "tile"))
Headers = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """`message`: a regular expression. `filtered`: no dead letter. `raw_header`: sent as it is, beside no other."""

    name: str
    value: bytes | None
    headers: Headers
    error_type: str = ""
    stage: str = "decode"
    message: str = ""
    key: bytes | None = None
    filtered: bool = False
    raw_header: tuple[bytes, bytes] | None = None


@dataclass(frozen=True)
class World:
    """What records may name: a web server, a folder, the input's Avro schema."""

    web: Web | None
    folder: Path | str
    schema: Any

    @classmethod
    def unbuilt(cls) -> World:
        """For the names of the cases alone."""
        return cls(None, "", {"type": "record", "name": "pesto.x.Input", "fields": []})

    def url(self, path: str, **more: Any) -> str:
        return self.web.url(path, **more) if self.web else path

    def avro(self, **changes: Any) -> bytes:
        return single_object(self.schema, {**hostile.a_datum(), "act": None, **changes})

    def good(self) -> list[tuple[bytes, Headers]]:
        """Payloads with their headers that have results."""
        urls = (self.url("/good.tif"), f"file://{self.folder}/open/good.tif")
        requests = [hostile.a_request(), *(hostile.a_request(image=url, label=None, info=None) for url in urls)]
        return [*((a_json(request), typed(JSON)) for request in requests), (self.avro(), (*EVENT, *typed(AVRO)))]

    def good_plain(self) -> list[tuple[bytes, Headers]]:
        strange = json.dumps("line\nbreak \x00 \u202e é \U0001f6f0")
        return [
            (hostile.TIFF, typed(TIFF)),
            (hostile.TIFF, typed(TIFF, ("x-large", b"\xff" * (1 << 20)))),
            (hostile.PNG, typed(PNG, ("pesto_gain", "2"), ("pesto_label", strange))),
            (hostile.PNG, (("content-type", "text/html"), ("Content-Type", "image/png; q=1"))),
            (a_json({"image": base64_of(hostile.TIFF), "label": "x"}), typed(JSON, ("ce_subject", "s" * (1 << 20)))),
            (images.overview_tiff(f"{self.folder}/secret/secret.tif"), typed(TIFF)),
        ]


def typed(content_type: str, *more: tuple[str, Any]) -> Headers:
    return (("content-type", content_type), *more)


def a_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def pages() -> dict[str, web.Page]:
    bomb = gzip.compress(bytes(64 << 20), 1)
    return {
        "/good.tif": hostile.TIFF,
        "/silent": web.silent(),
        "/dripping": web.dripping(hostile.TIFF),
        "/dripping-headers": web.dripping_headers(),
        "/endless": web.endless(hostile.TIFF[:8]),
        "/gzip-bomb": web.encoded(bomb, "gzip"),
        "/announced": web.lying(hostile.TIFF, 10**12),
        "/cut-short": web.lying(hostile.TIFF[:50], len(hostile.TIFF)),
        "/page": b"<html>not an image</html>",
        "/to-private": web.redirect("http://10.0.0.1/a.tif"),
        "/to-metadata": web.redirect("http://169.254.169.254/latest/meta-data/"),
        "/to-itself": web.redirect("/to-itself"),
        "/to-a-file": web.redirect("file:///etc/passwd"),
        "/to-no-url": web.redirect("http://["),
        "/to-nowhere": web.redirect(""),
    }


# -- for the algorithm with every kind of input


def everything_cases(world: World) -> list[Case]:
    cases = [*wrong_types(), *json_texts(), *names(), *image_texts(), *urls(world), *avro(world), *misbehaviour()]
    return [*cases, Case("tombstone", None, typed(JSON), filtered=True)]


def in_json(name: str, error: str, message: str, *, key: bytes | None = b"k", **changes: Any) -> Case:
    return Case(name, a_json(hostile.a_request(**changes)), typed(JSON), error, "decode", message, key)


def wrong_types() -> Iterator[Case]:
    expected = {
        "image": r"input 'image': '7' where an image .* was expected",
        "images": r"input 'images\[0\]': 'not base64!' is neither a URL .* nor an image in base64",
        "area": r"input 'area.type': 'Point' where one of 'Polygon' was expected",
        "info": r"input 'info': .*'no', 'object'.* where an object was expected",
        "gain": r"input 'gain': 'much' where a number was expected",
        "count": r"input 'count': '1.5' where a whole number was expected",
        "label": r"input 'label': '12' where a text was expected",
        "flag": r"input 'flag': 'yes' where true or false was expected",
        "mode": r"input 'mode': 'medium' where one of 'fast', 'slow' was expected",
        "weights": r"input 'weights\[1\]': 'two' where a number was expected",
        "options": r"input 'options.limit': 'none' where a whole number was expected",
        "sensor": r"input 'sensor': 'name' is a required property",
    }
    for name, value in hostile.WRONG.items():
        error = "ImageError" if name == "images" else "SchemaError"
        yield in_json(f"wrong-type-of-{name}", error, expected[name], **{name: value})


def json_texts() -> Iterator[Case]:
    valid = a_json(hostile.a_request())
    lists = b'{"area": [' + b"[]," * 1_000_000 + b"[]]}"
    texts = [
        ("empty-value", b"", "record has an empty value: expected a payload of 'application/json'"),
        ("json-of-10000-levels", b"[" * 10_000 + b"]" * 10_000, r"nested more than 1024 levels deep: expected at most 64"),
        (
            "json-of-100-levels",
            b'{"info":' + b"[" * 100 + b"]" * 100 + b"}",
            r"nested 65 or more levels deep: expected at most 64",
        ),
        ("json-with-nan", valid.replace(b'"gain": 2.0', b'"gain": NaN'), r"payload is not valid JSON: .*line 1 column \d+"),
        (
            "json-with-infinity",
            valid.replace(b'"gain": 2.0', b'"gain": 1e999'),
            r"payload is not valid JSON: .*line 1 column \d+",
        ),
        ("json-cut", valid[:-5], "payload is not valid JSON"),
        ("json-with-more-behind", valid + b"{}", "payload is not valid JSON"),
        ("json-of-latin-1", '{"label": "é"}'.encode("latin-1"), "payload is not valid JSON: .*UTF-8"),
        ("json-list", b"[1, 2]", "payload is a JSON list: expected an object of inputs by name"),
        ("json-text", b'"image"', "payload is a JSON text: expected an object"),
        ("json-null", b"null", "payload is a JSON null: expected an object"),
        ("json-of-half-a-character", b'{"label": "\\ud800"}', "payload is not valid JSON: .*surrogate"),
    ]
    for name, value, message in texts:
        yield Case(name, value, typed(JSON), "DecodeError", "decode", message)
    yield Case(
        "json-of-a-million-lists",
        lists,
        typed(JSON),
        "DecodeError",
        "decode",
        "payload is JSON of about 200000\\d values: expected at most",
    )
    yield Case("json-over-its-limit", b" " * (7 << 20), typed(JSON), "DecodeError", "decode", "payload is not valid JSON")


def names() -> Iterator[Case]:
    yield in_json("unknown-input", "DecodeError", "input 'imgae' is not declared; did you mean 'image'", imgae="x")
    yield in_json(
        "unknown-input-of-control-characters", "DecodeError", r"input '\\x1b\[2J\\u202e' is not declared", **{"\x1b[2J\u202e": 1}
    )
    yield in_json("unknown-input-of-a-megabyte", "DecodeError", r"input 'n{59}…' is not declared", **{"n" * (1 << 20): 1})
    yield in_json("missing-input", "SchemaError", "input 'image' is missing: the algorithm requires it", image=None)
    yield in_json(
        "integer-of-70-bits", "SchemaError", "input 'count': .* where a whole number of 64 bits was expected", count=2**70
    )
    yield in_json("number-over-its-maximum", "SchemaError", "input 'gain': '1000' where at most 100 was expected", gain=1000)
    yield in_json("list-over-its-length", "SchemaError", "input 'weights': .*is too long", weights=[0] * 100_000)


def image_texts() -> Iterator[Case]:
    bad = "ImageError"
    yield in_json("base64-garbage", bad, "input 'image': '.*' is neither a URL .* nor an image in base64", image="%%%" * 10_000)
    yield in_json(
        "base64-of-lines", bad, "is neither a URL", image=base64_of(hostile.TIFF)[:40] + "\n" + base64_of(hostile.TIFF)[40:]
    )
    yield in_json("base64-of-nothing", bad, "input 'image': cannot read image: it is empty", image="")
    yield in_json(
        "base64-of-text",
        bad,
        "input 'options.mask': cannot read image: its first bytes '68 65",
        options={"limit": 1, "mask": "aGVsbG8="},
    )
    yield in_json(
        "base64-over-the-limit", bad, "encoded image has 4500000 bytes: expected at most 4194304", image="A" * 6_000_000
    )
    yield in_json(
        "image-bomb",
        bad,
        r"input 'images\[1\]': .*'17000 x 17000' .*limits.max",
        images=[base64_of(hostile.PNG), base64_of(images.png_bomb())],
    )
    yield in_json(
        "images-over-their-number",
        "DecodeError",
        r"input 'images\[7\]' is image 9 .*at most 8",
        images=[base64_of(hostile.PNG)] * 9,
    )


def urls(world: World) -> Iterator[Case]:
    file, http = f"file://{world.folder}", world.url
    refused = [
        (
            "url-outside-the-allow-list",
            "http://127.0.0.1:1/a.tif",
            "cannot read 'http://127.0.0.1:1/a.tif': it is not allowed; add '.*' to urls.allow",
        ),
        ("url-with-a-password", "http://me:word@127.0.0.1/a.tif", "'http://\\*\\*\\*@127.0.0.1/a.tif': user names and passwords"),
        ("url-of-another-spelling", "http://2130706433/a.tif", "is not an IPv4 address of four decimal numbers"),
        ("url-of-ftp", "ftp://127.0.0.1/a.tif", "expected a URL that starts with one of file://, http://"),
        ("url-of-gdal", "vsicurl://127.0.0.1/a.tif", "expected a URL that starts with one of"),
        ("s3-not-configured", "s3://bucket/a.tif", "cannot read 's3://bucket/a.tif': it is not allowed"),
        ("gs-not-configured", "gs://bucket/a.tif", "cannot read 'gs://bucket/a.tif': it is not allowed"),
        ("file-outside-the-folder", f"{file}/secret/secret.tif", "it is not allowed"),
        ("file-by-dots", f"{file}/open/../secret/secret.tif", "it is not allowed"),
        ("file-by-encoded-dots", f"{file}/open/%2e%2e/secret/secret.tif", "it is not allowed"),
        ("file-by-a-link", f"{file}/open/link.tif", "it is a link out of the folders in urls.allow"),
        ("file-of-no-end-by-a-link", f"{file}/open/zero.tif", "it is a link out of the folders in urls.allow"),
        ("file-of-no-end", "file:///dev/zero", "it is not allowed"),
        ("file-of-a-pipe", f"{file}/open/pipe.tif", "it is not a regular file"),
        ("file-that-is-not-there", f"{file}/open/none.tif", "no such file"),
        ("file-of-no-text", f"{file}/open/%ff.tif", "its percent-encoding is not valid"),
        (
            "redirect-to-a-private-address",
            http("/to-private"),
            "cannot follow the redirect of '.*/to-private': cannot read 'http://10.0.0.1/a.tif': it is not allowed",
        ),
        (
            "redirect-to-the-metadata-service",
            http("/to-metadata"),
            "cannot follow the redirect .*169.254.169.254.* it is not allowed",
        ),
        ("redirect-to-itself", http("/to-itself"), "more than 3 redirects"),
        ("redirect-to-a-file", http("/to-a-file"), "it redirects to another scheme than http and https"),
        ("redirect-to-no-url", http("/to-no-url"), "it redirects to what is no URL"),
        ("redirect-to-nowhere", http("/to-nowhere"), "it answers with a redirect to nowhere"),
        ("server-silent", http("/silent"), "cannot read '.*/silent': 0 bytes came in 1 s; the server is too slow"),
        ("server-drips-bytes", http("/dripping"), r"\d+ bytes came in 1 s; the server is too slow \(urls.timeout_seconds\)"),
        ("server-drips-headers", http("/dripping-headers"), "the server is too slow"),
        ("server-without-end", http("/endless"), r"\d+ bytes so far, the limit is 4194304 \(limits.max_encoded_mib\)"),
        ("server-with-a-gzip-bomb", http("/gzip-bomb"), "its body is encoded as 'gzip', expected no Content-Encoding"),
        ("server-announces-too-much", http("/announced"), "1000000000000 bytes announced, the limit is 4194304"),
        ("server-hangs-up", http("/cut-short"), "the server's answer is not valid or ends early"),
        ("server-has-nothing", http("/none"), r"it is not there \(HTTP status 404\)"),
    ]
    for name, url, message in refused:
        yield in_json(name, "FetchRefused", f"input 'image': .*{message}", image=url)
    yield in_json(
        "server-has-no-image", "ImageError", "input 'image': .*first bytes '3c 68.*, from '.*/page'", image=http("/page")
    )


def avro(world: World) -> Iterator[Case]:
    schema = {"type": "record", "name": "Other", "fields": [{"name": "image", "type": "bytes"}]}
    good = world.avro() if world.web else b""
    image = b"\x00" + _varint(2**60)  # the union's first branch, and its bytes' length
    payloads = [
        (
            "avro-of-a-foreign-schema",
            single_object(schema, {"image": b"x"}),
            "written with the schema of fingerprint '.*': expected '.*'",
        ),
        (
            "avro-in-confluent-framing",
            b"\0\0\0\0\7" + datum(schema, {"image": b"x"}),
            "schema id '7' and no schema registry is configured: set 'schema_registry.url'",
        ),
        (
            "avro-without-framing",
            datum(schema, {"image": b"xxxxxxxxxxxx"}),
            "that starts with '18 78.*: expected single-object encoding",
        ),
        ("avro-file", b"Obj\1" + bytes(30), "that starts with '4f 62 6a 01.*: expected single-object encoding"),
        ("avro-cut", good[:-3], "ends within the datum"),
        ("avro-with-bytes-behind", good + b"xyz", "has 3 bytes after the datum"),
        ("avro-of-a-length-of-2-60", good[:10] + image, "ends within the datum"),
        ("avro-of-a-negative-length", good[:10] + b"\x00" + _varint(-5), "Avro payload"),
        ("avro-of-no-branch", good[:10] + _varint(77), "Avro payload cannot be read"),
    ]
    for name, value, message in payloads:
        yield Case(name, value, typed(AVRO), "DecodeError", "decode", message)
    if not world.web:
        yield from (Case(name, b"", ()) for name in RASTERS)
        return
    for name, (changes, message) in RASTERS.items():
        filled = {key: value.format(folder=world.folder) if isinstance(value, str) else value for key, value in changes.items()}
        yield Case(
            name, world.avro(image=hostile.raster(**filled)), typed(AVRO), "ImageError", "decode", f"input 'image': {message}"
        )


RASTERS: dict[str, tuple[dict[str, Any], str]] = {
    "raster-of-2-60-pixels": ({"shape": [1, 1 << 30, 1 << 30]}, "raster has .* pixels: expected at most"),
    "raster-of-a-negative-side": ({"shape": [1, -8, -8]}, "raster has shape .*: expected three positive numbers"),
    "raster-of-less-data": ({"shape": [1, 8, 9]}, ".* has 64 bytes of data: expected 72"),
    "raster-of-objects": ({"dtype": "object"}, "raster has dtype 'object': expected one of uint8"),
    "raster-whose-crs-is-a-file": (
        {"crs": "{folder}/secret/secret.prj"},
        "raster has the CRS '.*': expected 'EPSG:' and a number, or WKT",
    ),
    "raster-whose-crs-is-a-url": ({"crs": "/vsicurl/http://127.0.0.1:1/"}, "raster has the CRS '/vsicurl.*': expected 'EPSG:'"),
    "raster-of-no-place": (
        {"transform": [1.0, float("nan"), 0, 0, 0, 0]},
        "transform of the raster is .*: expected six finite numbers",
    ),
}


def _varint(number: int) -> bytes:
    """Avro's long: zigzag, seven bits a byte."""
    left, out = (number << 1) ^ (number >> 63), bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def misbehaviour() -> Iterator[Case]:
    """An algorithm that breaks its own contract, as its input says."""
    algorithm, encode = ("AlgorithmError", "algorithm"), ("EncodeError", "encode")
    acts = [
        ("raise", algorithm, r"ZeroDivisionError: division by zero \(process.py:\d+"),
        ("exit", algorithm, "SystemExit: 7"),
        ("interrupt", algorithm, "KeyboardInterrupt: raised by the algorithm"),
        ("generator-exit", algorithm, "GeneratorExit"),
        ("recurse", algorithm, "RecursionError: maximum recursion depth"),
        ("long-message", algorithm, r"ValueError: x{100,}\.\.\. \(process.py:\d+ in "),
        ("surrogate-message", algorithm, r"ValueError: half \\ud800 a character"),
        ("control-message", algorithm, r"ValueError: red \\x1b\[31m text"),
        ("path-message", algorithm, "ModuleNotFoundError|ImportError"),
        ("silent-message", algorithm, "Silent: <its text cannot be shown>"),
        ("none", algorithm, "process returned None; expected a dict of outputs by name"),
        ("list", algorithm, "process returned a value of type 'list'; expected a dict"),
        ("number-as-name", algorithm, "process returned a dict with a key of type 'int'; expected names of outputs"),
        ("wrong-shape", encode, r"output 'image' is an array of shape '\(5,\)': expected \(C, H, W\) or \(H, W\)"),
        ("object-array", encode, "output 'image' is an array of dtype 'object': expected whole numbers, floats or booleans"),
        ("complex-array", encode, "output 'image' is an array of dtype 'complex128'"),
        ("half-array", encode, "output 'image': cannot write image of 1 bands of 'float16' as TIFF"),
        ("list-as-image", encode, "output 'image' is of type 'list': expected a numpy array"),
        ("nan", encode, "output 'info.a.*' holds NaN or an infinity, which JSON does not have"),
        ("bytes", encode, "output 'info.a' holds a value of type 'bytes': expected what JSON can say"),
        ("endless", encode, "output 'info.a.*' is nested deeper than 100 levels"),
        ("surrogate", encode, "cannot be written as JSON: .*surrogates"),
        ("unknown-output", encode, "output 'maen' is not declared; did you mean 'mean'"),
        ("missing-output", encode, "output 'mean' is missing: the output schema requires it"),
        ("wrong-output", encode, "output 'mean': 'many' where a number was expected"),
    ]
    for act, (error, stage), message in acts:
        yield Case(f"algorithm-{act}", a_json({"image": base64_of(hostile.TIFF), "act": act}), typed(JSON), error, stage, message)
