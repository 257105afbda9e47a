"""Bounds on what a sender may make us build, checked before anything of that size is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_encoded_bytes`: an image as it comes. `max_decoded_bytes`, `max_pixels` (width x height), `max_bands`: as it unfolds.
    `max_json_bytes`, `max_json_depth`: a JSON payload. `max_images`: images of one request.
    """

    max_encoded_bytes: int = 64 << 20
    max_decoded_bytes: int = 256 << 20
    max_pixels: int = 16384 * 16384
    max_bands: int = 512
    max_json_bytes: int = 64 << 20
    max_json_depth: int = 64
    max_images: int = 64
