"""Pixels of the report's images."""

from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from tasks.report.drawing import COLORS, PIXEL_RATIO


def pixels(uri: str) -> np.ndarray:
    """Pixels of an image, shape (height, width, 3)."""
    image = Image.open(io.BytesIO(b64decode(uri.split(",")[1])))
    return np.asarray(image.convert("RGB"))


def where(uri: str, name: str) -> np.ndarray:
    """Mask of the pixels with an exact color, shape (height, width)."""
    return (pixels(uri) == np.round(255 * np.array(to_rgb(COLORS[name])))).all(axis=2)


def dots_of(uri: str, name: str) -> int:
    """Number of pixels with an exact color."""
    return int(where(uri, name).sum())


def columns_with(uri: str, name: str, periods: int) -> list[int]:
    """Periods with a color in the middle of their column; for figures of one panel."""
    found = where(uri, name)
    left, right = 46 * PIXEL_RATIO, found.shape[1] - 6 * PIXEL_RATIO
    middles = left + (np.arange(periods) + 0.5) * (right - left) / periods
    return [i for i, x in enumerate(middles) if found[:, round(x) - 1 : round(x) + 2].any()]
