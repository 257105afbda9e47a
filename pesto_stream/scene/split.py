"""A scene cut into tile records. Each is a CloudEvent whose id is a function of scene and index, so that splitting again repeats it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from pesto_stream.clock import SystemClock
from pesto_stream.converters.image import encode_image
from pesto_stream.errors import ConfigurationError, ImageError
from pesto_stream.model.envelope import NPY, PNG, TIFF
from pesto_stream.model.record import ProducerRecord
from pesto_stream.scene.deliver import Delivery
from pesto_stream.scene.place import Place
from pesto_stream.scene.plan import plan
from pesto_stream.scene.raster import open_scene
from pesto_stream.serde import cloudevents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pesto_stream.broker.base import Producer
    from pesto_stream.clock import Clock
    from pesto_stream.model.tile import Tile
    from pesto_stream.scene.plan import PlannedTile
    from pesto_stream.scene.raster import Scene

EVENT_TYPE: Final = "pesto.tile"
MAX_SCENE_ID: Final = 200
_PNG_BANDS: Final = 4
_PNG_DTYPES: Final = ("uint8", "uint16")


class Payload(StrEnum):
    """The kinds of image file that a tile may travel as."""

    TIFF = "tiff"
    PNG = "png"
    NPY = "npy"


MEDIA_TYPES: Final = {Payload.TIFF: TIFF, Payload.PNG: PNG, Payload.NPY: NPY}


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """`tile` and `overlap` in pixels (see `plan`). `scene_id` None: the file's name without its ending. `parameters` are the algorithm's
    other inputs, by name, as JSON text.
    """

    topic: str
    tile: int = 256
    overlap: int = 0
    scene_id: str | None = None
    payload: Payload = Payload.TIFF
    parameters: Mapping[str, str] = field(default_factory=dict)


class SplitProgress(NamedTuple):
    tiles: int
    sent: int
    delivered: int


class SplitReport(NamedTuple):
    """`size` is the scene's width and height in pixels, `image_bytes` what its tiles take as files."""

    scene_id: str
    tiles: int
    size: tuple[int, int]
    image_bytes: int


def split_scene(
    path: Path,
    producer: Producer,
    options: SplitOptions,
    *,
    clock: Clock | None = None,
    on_progress: Callable[[SplitProgress], None] = lambda _: None,
) -> SplitReport:
    """Send the scene in `path` as tile records, and return when the broker has confirmed all of them.

    Raises ConfigurationError (no such file or topic, a plan or payload that does not fit), ImageError (pixels that cannot be read),
    BrokerUnavailable (not delivered; says how many), AuthorizationFailed.
    """
    scene_id = checked_scene_id(options.scene_id or path.stem)
    clock = clock or SystemClock()
    delivery = Delivery(producer, options.topic, clock)
    with open_scene(path) as scene:
        tiles = plan(scene.width, scene.height, options.tile, options.overlap)
        _check_payload(scene, options.payload)
        delivery.check_topic()
        size = (scene.width, scene.height)

        def tell() -> None:
            on_progress(SplitProgress(len(tiles), delivery.sent, delivery.delivered))

        image_bytes = 0
        for tile in tiles:
            record = tile_record(Place.of(tile, scene_id, size), _read(scene, tile, delivery), options, clock)
            delivery.send(record)
            image_bytes += len(record.value or b"")
            tell()
            if delivery.failed:
                break
        delivery.finish(tell)
    return SplitReport(scene_id, len(tiles), size, image_bytes)


def checked_scene_id(scene_id: str) -> str:
    """Raises ConfigurationError for an id that makes no CloudEvents attribute: empty, long, or with control characters."""
    if not scene_id or len(scene_id) > MAX_SCENE_ID or not scene_id.isprintable():
        raise ConfigurationError(
            f"'{scene_id[:MAX_SCENE_ID]}' is no scene id: 1 to {MAX_SCENE_ID} printable characters are expected"
        )
    return scene_id


def _check_payload(scene: Scene, payload: Payload) -> None:
    if payload is Payload.PNG and (scene.bands > _PNG_BANDS or scene.dtype.name not in _PNG_DTYPES):
        raise ConfigurationError(
            f"cannot send '{scene.path}' as 'png': it has {scene.bands} bands of {scene.dtype}, and PNG holds up to {_PNG_BANDS} of"
            f" {' or '.join(_PNG_DTYPES)}; send 'tiff' or 'npy'"
        )


def _read(scene: Scene, tile: PlannedTile, delivery: Delivery) -> Tile:
    """The tile's pixels. When the scene breaks off, what was sent before is still delivered, and the error says how much it was."""
    try:
        return scene.read(tile.read)
    except ImageError as failure:
        delivery.settle()
        raise ImageError(f"{failure}; {delivery.delivered} of {tile.count} tiles were sent before") from failure


def tile_record(place: Place, tile: Tile, options: SplitOptions, clock: Clock) -> ProducerRecord:
    """One tile as a CloudEvent in Kafka's binary mode; its key spreads the scene over the partitions."""
    name = f"{place.scene_id}/{place.index}"
    media_type = MEDIA_TYPES[options.payload]
    headers = {
        "ce_specversion": cloudevents.SPEC_VERSION,
        "ce_id": name,
        "ce_source": f"/pesto/scene/{quote(place.scene_id, safe='')}",
        "ce_type": EVENT_TYPE,
        "ce_time": clock.utc().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ce_subject": name,
        "ce_correlationid": place.scene_id,
        "content-type": media_type,
    }
    headers |= {f"ce_{attribute}": value for attribute, value in place.attributes().items()}
    headers |= {f"pesto_{parameter}": value for parameter, value in options.parameters.items()}
    if options.payload is not Payload.TIFF and tile.crs is not None and tile.transform is not None:
        headers |= {"pesto_crs": tile.crs, "pesto_transform": " ".join(map(repr, tile.transform))}
    encoded = tuple((header, value.encode()) for header, value in headers.items())
    return ProducerRecord(options.topic, name.encode(), encode_image(tile, media_type), encoded)
