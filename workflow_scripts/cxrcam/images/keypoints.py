"""Keypoints of an image (SIFT; Lowe, IJCV 2004): where they are, and words for their surroundings.

An image may be shifted, turned, cropped or printed on a page: the surroundings of a keypoint stay
the same. Images that have many words in common may show one picture (see `duplicates`).

In a mirror image descriptors are mirrored, and in a negative turned by half a circle: the same
numbers in another order. Words are made so that known bits of them change then (`VIEWS`): they are
taken once, and found however an image was changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array, Int64Array, UInt8Array

UInt16Array = npt.NDArray[np.uint16]
UInt32Array = npt.NDArray[np.uint32]

#: Sides that an image is reduced to, in pixels, and how many of the strongest keypoints are kept in
#: each of 4 x 4 cells: letters in a corner must not be all that is kept. Two sides, because an
#: image at the smaller one is like itself printed on a page, or as it was before it was cropped.
SIDES: Final = {112: 10, 74: 6}
CELLS: Final = 4
MOST_KEYPOINTS: Final = CELLS**2 * sum(SIDES.values())
#: Window of the local contrast normalisation, in pixels.
WINDOW: Final = 15
#: Grey levels that are noise.
FLOOR: Final = 4.0
#: SIFT's threshold of contrast, half of the usual: X-rays are smooth.
CONTRAST: Final = 0.02

#: Words of a keypoint, and bits of each.
WORDS: Final = 4
WORD_BITS: Final = 24
#: In place of the words of keypoints that an image lacks.
NO_WORD: Final = np.uint32(0xFFFFFFFF)

#: Steps of a point's coordinates from one border of the image to the other.
STEPS: Final = 65535


class Keypoints(NamedTuple):
    """Keypoints of one image, padded to `MOST_KEYPOINTS` rows.

    Attributes
    ----------
    words : uint32 array, shape (keypoints, `WORDS`)
        Bits of each from 0 to 23; `NO_WORD` in the rows that are left over.
    points : uint16 array, shape (keypoints, 2)
        x and y, in 65,535ths of the width and height.
    """

    words: UInt32Array
    points: UInt16Array


@dataclass(frozen=True)
class View:
    """A way in which the keypoints of a copy differ from those of its original.

    Attributes
    ----------
    mirrored, inverted : bool
        Left and right exchanged; black and white exchanged.
    """

    mirrored: bool = False
    inverted: bool = False

    def of_words(self, words: UInt32Array) -> UInt32Array:
        """Words of the changed image, of any shape; `NO_WORD` stays above all words."""
        flipped: UInt32Array = words ^ _projections()[1][VIEWS.index(self)]
        return flipped

    def of_points(self, shares: Float64Array) -> Float64Array:
        """Points of the changed image, in shares of the width and height, shape (k, 2)."""
        return shares * [-1, 1] + [1, 0] if self.mirrored else shares

    def of_pixels(self, pixels: UInt8Array) -> UInt8Array:
        """Pixels of the changed image, shape (height, width)."""
        if self.mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        return 255 - pixels if self.inverted else pixels

    def order(self) -> Int64Array:
        """Which number of a descriptor takes the place of each: 4 rows, 4 columns, 8 directions."""
        numbers = np.arange(128).reshape(4, 4, 8)
        if self.mirrored:
            numbers = numbers[::-1, :, -np.arange(8)]
        if self.inverted:
            numbers = numbers[::-1, ::-1]
        return numbers.ravel()


#: As it is, mirrored, inverted, and both. Turned images need none: descriptors turn along.
VIEWS: Final = (View(), View(mirrored=True), View(inverted=True), View(True, True))


def keypoints(pixels: UInt8Array) -> Keypoints:
    """Find the keypoints of an image.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width)
        Grey image of any size; it is stretched to a square.

    Returns
    -------
    Keypoints
        None where all is of one grey.
    """
    cv2.setNumThreads(1)  # images are shared among threads, not parts of one
    parts = [_keypoints_at(pixels, side, kept) for side, kept in SIDES.items()]
    shares, descriptors = (np.concatenate(some) for some in zip(*parts, strict=True))
    points = np.zeros((MOST_KEYPOINTS, 2), np.uint16)
    points[: len(shares)] = np.rint(np.clip(shares, 0, 1) * STEPS)
    # Signs of sums (random hyperplanes; Charikar, STOC 2002), in whole numbers that float32 holds.
    bits = (descriptors @ _projections()[0] > 0).reshape(-1, WORDS, WORD_BITS)
    words = np.full((MOST_KEYPOINTS, WORDS), NO_WORD)
    words[: len(bits)] = bits @ (1 << np.arange(WORD_BITS, dtype=np.uint32))
    return Keypoints(words, points)


def _keypoints_at(pixels: UInt8Array, side: int, kept: int) -> tuple[Float64Array, Float32Array]:
    """Points, in shares, and descriptors of an image that is reduced to a square."""
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    # Otherwise letters, which are brighter than any rib, would be the strongest everywhere.
    levels = np.clip(128 + 40 * normalised(small, WINDOW), 0, 255).astype(np.uint8)
    sift = cv2.SIFT.create(contrastThreshold=CONTRAST, enable_precise_upscale=True)
    found = sift.detect(levels, None)
    if not found:
        return np.empty((0, 2)), np.empty((0, 128), np.float32)
    places = np.array([point.pt for point in found])
    strength = np.array([point.response for point in found])
    columns, rows = np.clip(places * CELLS // side, 0, CELLS - 1).T
    cells = rows * CELLS + columns
    order = np.lexsort((-strength, cells))
    rank = np.arange(len(order)) - np.searchsorted(cells[order], cells[order])
    chosen, descriptors = sift.compute(levels, [found[k] for k in order[rank < kept]])
    return (np.array([point.pt for point in chosen]) + 0.5) / side, descriptors


def normalised(pixels: UInt8Array, window: int) -> Float32Array:
    """Normalise the local contrast: less the local mean, by the local standard deviation.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width)
    window : int
        Side of the square neighbourhood, in pixels.

    Returns
    -------
    float32 array, shape (height, width)
        About -2 to 2; noise of a few grey levels stays small (`FLOOR`).
    """
    values = pixels.astype(np.float32)
    detail = values - cv2.blur(values, (window, window))
    power = np.maximum(cv2.blur(detail * detail, (window, window)), 0)
    result: Float32Array = detail / (np.sqrt(power) + np.float32(FLOOR))
    return result


@cache
def _projections() -> tuple[Float32Array, UInt32Array]:
    """Weights of the sums, shape (128, bits), and which bits of a word each view flips."""
    draw = np.random.default_rng(20)
    mirror, negative = View(mirrored=True).order(), View(inverted=True).order()
    weights, flips = [], []
    for bit in range(WORDS * WORD_BITS):
        # Each sum changes its sign in a mirror image, a negative, or both. So none leans to a side.
        by_mirror, by_negative = ((-1, 1), (1, -1), (-1, -1))[bit % 3]
        one = draw.choice([-1, 1], 128)
        one = one + by_mirror * one[mirror]
        weights.append(one + by_negative * one[negative])
        flips.append([sign < 0 for sign in (1, by_mirror, by_negative, by_mirror * by_negative)])
    of_word = np.array(flips[:WORD_BITS]).T @ (1 << np.arange(WORD_BITS, dtype=np.uint32))
    return np.array(weights, np.float32).T, of_word.astype(np.uint32)
