"""Scenes on the broker in memory: a clock that moves when it is looked at, and a stand-in for a runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pesto_stream.clock import ManualClock
from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.model.spec import AlgorithmSpec, Interface
from pesto_stream.scene.results import georeferenced
from pesto_stream.serde import cloudevents

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from pesto_stream.broker.memory import MemoryBroker
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord
    from pesto_stream.model.tile import Tile

SPEC = AlgorithmSpec("threshold", "1.0.0", Interface({}), Interface({}))


class TickingClock(ManualClock):
    """Each look at it takes a tenth of a second."""

    def now(self) -> float:
        self.advance(0.1)
        return super().now()


def result(record: ConsumerRecord, encoded: EncodedPayload, topic: str = "results") -> ProducerRecord:
    """`encoded` as the runtime's result of a tile record."""
    envelope = cloudevents.parse(record, None)
    time = ManualClock().utc()
    return cloudevents.result_record(
        envelope, record, encoded, SPEC, topic=topic, event_type="pesto.result", source="/pesto/threshold/1.0.0", time=time
    )


def tile_of(record: ConsumerRecord) -> Tile:
    envelope = cloudevents.parse(record, None)
    tile, _ = decode_image(envelope.payload, envelope.content_type, Limits())
    return georeferenced(tile, envelope.parameters)


def image_result(
    record: ConsumerRecord, process: Callable[[np.ndarray], np.ndarray], media_type: str = "image/tiff"
) -> ProducerRecord:
    tile = tile_of(record)
    out = replace(tile, array=process(tile.array), nodata=None)
    return result(record, EncodedPayload(encode_image(out, media_type), media_type, georeference(out)))


def georeference(tile: Tile) -> tuple[tuple[str, bytes], ...]:
    if not tile.georeferenced:
        return ()
    return ("pesto_crs", tile.crs.encode()), ("pesto_transform", " ".join(map(str, tile.transform)).encode())


def run_all(broker: MemoryBroker, process: Callable[[np.ndarray], np.ndarray], media_type: str = "image/tiff") -> None:
    """Every tile on topic `tiles` becomes a result on `results`."""
    for record in broker.records("tiles"):
        broker.append(image_result(record, process, media_type))
