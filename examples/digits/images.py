"""From a picture of a digit to the 8 × 8 numbers that the model was trained on.

The UCI digits were made by scaling each character to 32 × 32 black and white pixels, with strokes
of even weight, and counting the ink in blocks of 4 × 4. `to_digit` does the same, so that a drawing
looks to the model like its own data.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

SIDE = 8
INK = 16  # the most that one of the 8 × 8 numbers can be

WORKING_SIZE = 256

# How the data set looks: its pictures are 32 high, nearly as wide at most, with 30 % of all pixels
# inked.
FRAME = 32
INKED = 312 / FRAME**2
WIDEST = 28


class Unreadable(ValueError):
    """The picture has no digit on it."""


def read_ink(image: Image.Image) -> np.ndarray:
    """How much ink each pixel of a picture has, 0 to 1, on any even background.

    Large pictures are made smaller first. Raises Unreadable for a blank one.
    """
    scale = WORKING_SIZE / max(image.size)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BOX)
    picture = image.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    grey = Image.alpha_composite(paper, picture).convert("L")
    return _ink_of(np.asarray(grey, dtype=float) / 255)


def to_digit(ink: np.ndarray) -> np.ndarray:
    """Crop, scale, even out the strokes, centre by mass and count: 8 × 8 numbers from 0 to 16.

    `ink` has any height and width, with values from 0 (paper) to 1. Raises Unreadable where there
    is no ink.
    """
    large = _fit(_crop(ink), height=2 * FRAME, widest=2 * WIDEST, margin=FRAME // 4)
    drawn = _crop(_even_strokes(large))
    small = _fit(drawn, height=FRAME, widest=WIDEST, margin=0)
    block = FRAME // SIDE
    counted = _centre(small).reshape(SIDE, block, SIDE, block).sum(axis=(1, 3))
    return np.clip(np.round(counted), 0, INK)


def _ink_of(grey: np.ndarray) -> np.ndarray:
    """Tell ink from paper by the border: what differs from it is ink, be it darker or lighter."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    difference = np.abs(grey - np.median(border))
    if difference.max() < 0.1:
        raise Unreadable("The picture is blank: there is no digit on it.")
    threshold = _otsu(difference)
    return np.clip((difference - threshold / 2) / threshold, 0, 1)


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts the values into the two most different groups (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=64)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    weighted = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (weighted / below - (weighted[-1] - weighted) / above) ** 2
    spread = np.nan_to_num(below * above * apart, nan=0, posinf=0)
    return float(edges[1:][np.argmax(spread)])


def _crop(ink: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero((ink > 0.5).any(axis=1))
    columns = np.flatnonzero((ink > 0.5).any(axis=0))
    if not len(rows):
        raise Unreadable("The picture is blank: there is no digit on it.")
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(ink: np.ndarray, *, height: int, widest: int, margin: int) -> np.ndarray:
    """Scale to the height, keep the shape unless it gets too wide, and centre in a square."""
    width = round(height * ink.shape[1] / ink.shape[0])
    size = (min(max(width, 1), widest), height)
    scaled = Image.fromarray((ink * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    side = height + 2 * margin
    square = Image.new("L", (side, side))
    square.paste(scaled, ((side - size[0]) // 2, margin))
    return np.asarray(square, dtype=float) / 255


def _even_strokes(ink: np.ndarray) -> np.ndarray:
    """Make strokes thinner or thicker until as much is inked as in the data set."""
    picture = Image.fromarray((ink * 255).astype(np.uint8))
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(3)), dtype=float)
    inked = round(INKED * (2 * FRAME) ** 2)
    threshold = np.sort(blurred, axis=None)[-inked]
    return (blurred > max(threshold, 1)).astype(float)


def _centre(ink: np.ndarray) -> np.ndarray:
    """Move sideways until the centre of mass is in the middle."""
    mass = ink.sum(axis=0)
    middle = float(mass @ np.arange(len(mass)) / mass.sum())
    empty = np.flatnonzero(mass)
    shift = round((len(mass) - 1) / 2 - middle)
    shift = min(max(shift, -int(empty[0])), len(mass) - 1 - int(empty[-1]))
    return np.roll(ink, shift, axis=1)
