"""A made-up scene that a network trained on satellite images takes for one: land with detail at every scale, and clouds with shadows.

The scene of `pesto-stream scene make` is too smooth for that: its land has hardly any detail below some pixels.
"""

from typing import NamedTuple

import numpy as np
import rasterio

SCALE = 10_000
PLANTS, SOIL = (0.025, 0.045, 0.03, 0.30), (0.07, 0.10, 0.13, 0.22)
CLOUD = (1.02, 1.0, 0.98, 1.05)
CLOUDS, RADIUS, EDGE = 9, (15, 55), 6
SHADOW_SHIFT = (24, -16)
SHADOW_DEPTH = 0.6


class Cumulus(NamedTuple):
    """`image` is (4, H, W) uint16, reflectance times SCALE of blue, green, red, near infrared; `truth` (H, W): 0, 1 cloud, 2 shadow."""

    image: np.ndarray
    truth: np.ndarray


def cumulus(size: int = 460, seed: int = 3) -> Cumulus:
    rng = np.random.default_rng(seed)
    plants = 1 / (1 + np.exp(-1.5 * detail(rng, size, 0.8)))
    land = (plants * column(PLANTS) + (1 - plants) * column(SOIL)) * (1 + 0.12 * detail(rng, size, 0.5))
    cloud, shadow = sky(rng, size)
    bright = (0.55 + 0.08 * detail(rng, size, 1.2)) * column(CLOUD)
    reflectance = land * (1 - SHADOW_DEPTH * shadow) * (1 - cloud) + cloud * bright
    truth = np.where(cloud > 0.5, 1, np.where(shadow > 0.5, 2, 0)).astype(np.uint8)
    return Cumulus(np.clip(reflectance * SCALE, 50, 12_000).astype(np.uint16), truth)


def write_cumulus(path, scene: Cumulus) -> None:
    """A GeoTIFF with nodata 0, which no pixel has."""
    bands, height, width = scene.image.shape
    profile = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": "uint16",
        "nodata": 0,
        "crs": "EPSG:32631",
    }
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 300_000, 0, -10, 4_900_020), **profile) as dataset:
        dataset.write(scene.image)


def sky(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of clouds and of their shadows, (H, W), 0 to 1."""
    rows, columns = np.mgrid[:size, :size]
    rough = 1.5 * detail(rng, size, 1.6)
    cloud = np.full((size, size), -9.0)
    shadow = cloud.copy()
    down, right = SHADOW_SHIFT
    for _ in range(CLOUDS):
        row, column = rng.uniform(0, size, 2)
        radius = rng.uniform(*RADIUS)
        cloud = np.maximum(cloud, (radius - np.hypot(rows - row, columns - column)) / EDGE + rough)
        below = np.roll(rough, SHADOW_SHIFT, (0, 1))
        shadow = np.maximum(shadow, (radius - np.hypot(rows - row - down, columns - column - right)) / EDGE + below)
    return 1 / (1 + np.exp(-2 * cloud)), 1 / (1 + np.exp(-2 * shadow))


def detail(rng: np.random.Generator, size: int, slope: float) -> np.ndarray:
    """Noise (H, W) whose amplitude falls with frequency to the power `slope`; mean 0, deviation 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij"))
    frequency[0, 0] = 1
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(size, size))) / frequency**slope).real
    return (noise - noise.mean()) / noise.std()


def column(bands: tuple[float, ...]) -> np.ndarray:
    return np.array(bands).reshape(-1, 1, 1)
