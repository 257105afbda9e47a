"""A record's attributes (CloudEvents) and payload, before any payload byte was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
AVRO = "application/avro"
TIFF = "image/tiff"
PNG = "image/png"
JPEG = "image/jpeg"
JP2 = "image/jp2"
NPY = "application/x-npy"
RASTER = "raster"
"""Stands where a media type would for an Avro raster, which has no file format."""
IMAGE_TYPES = (TIFF, PNG, JPEG, NPY)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event.

    `id` and `source` identify it (topic/partition/offset where the record is no CloudEvent). `content_type` is lower case,
    without parameters. `extensions` holds the CloudEvents extension attributes that are passed on (`correlationid`, `sceneid`,
    `tileindex`, `tilecount`, `tilewindow`, and foreign ones). `parameters` are the `pesto_<name>` headers, name without prefix,
    as text.
    """

    id: str
    source: str
    type: str | None
    content_type: str
    payload: bytes
    time: str | None = None
    subject: str | None = None
    traceparent: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_cloud_event: bool = False

    @property
    def correlation_id(self) -> str | None:
        return self.extensions.get("correlationid")

    @property
    def scene_id(self) -> str | None:
        return self.extensions.get("sceneid")
