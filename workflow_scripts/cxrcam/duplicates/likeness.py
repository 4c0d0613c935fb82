"""Does a picture look like the X-rays of a data set? Asked without any network.

Two small pictures (32 × 32 pixels, as stored for the search for near-duplicates) are compared by
the correlation of their grey levels: 1 for the same picture at any brightness and contrast, 0 for
unrelated ones. An image is unlike the others if even the most similar one is less similar than
nearly all are to their own nearest neighbours; and it is turned or inverted if it is more similar
to them when it is turned back.

A network cannot be asked: it was trained to tell classes apart, and answers for a cat as well.
Correlation of small pictures cannot notice what keeps the coarse layout of a frontal chest X-ray:
another disease, foreign objects, a bad exposure, a mirrored image, a child among adults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints

#: Share of the training images that each of the two thresholds would call unusual.
UNUSUAL_SHARE: Final = 0.005

#: Training images of which the thresholds are taken; more of them only cost time.
MOST_QUERIES: Final = 4000

#: Pictures compared at a time: 2048 × 100,000 similarities are 0.8 GB.
_AT_ONCE: Final = 1024

#: What may have been done to an image, and how it is undone (`rot90` turns to the left).
CHANGES: Final[dict[str, Callable[[UInt8Array], UInt8Array]]] = {
    "turned by 90° to the right": lambda pictures: np.rot90(pictures, 1, axes=(1, 2)),
    "upside down": lambda pictures: np.rot90(pictures, 2, axes=(1, 2)),
    "turned by 90° to the left": lambda pictures: np.rot90(pictures, 3, axes=(1, 2)),
    "upside down and mirrored": lambda pictures: pictures[:, ::-1],
    "with black and white exchanged": lambda pictures: 255 - pictures,
}


@dataclass(frozen=True)
class Likeness:
    """How similar n images are to the most similar training image.

    Attributes
    ----------
    similarity : float32 array, shape (n,)
        Largest correlation, in [-1, 1].
    gain : float32 array, shape (n,)
        How much larger it is after the best of `CHANGES`; negative where none helps.
    change : list of str, length n
        Which change that is.
    """

    similarity: Float32Array
    gain: Float32Array
    change: list[str]


@dataclass(frozen=True)
class Thresholds:
    """From where on an image is unusual.

    Attributes
    ----------
    similarity : float
        Below it, it is unlike the training images.
    gain : float
        Above it, it is turned or inverted.
    """

    similarity: float
    gain: float


def thumbnails_of(stored: Fingerprints, image_ids: Sequence[str]) -> UInt8Array:
    """Thumbnails of some of the images, shape (m, 32, 32), in the order asked for."""
    row_of = {image_id: row for row, image_id in enumerate(stored.image_ids)}
    return stored.thumbnails[[row_of[image_id] for image_id in image_ids]]


def likeness(
    pictures: UInt8Array,
    training: UInt8Array,
    groups: Sequence[str] | None = None,
    training_groups: Sequence[str] | None = None,
    rank: int = 1,
) -> Likeness:
    """Compare images with all training images.

    Parameters
    ----------
    pictures : uint8 array, shape (n, side, side)
    training : uint8 array, shape (m, side, side), m ≥ 1
    groups, training_groups : sequence of str, lengths n and m, optional
        Images of one group (a patient, near-duplicates, the image itself) are not compared.
    rank : int, at most m
        With which of the training images to compare: 1 is the most similar one. Where bad pictures
        stand among the training images, a rank beyond their number keeps them from finding each
        other.

    Returns
    -------
    Likeness
        A picture without any contrast has a similarity of 0.
    """
    known = _normalised(training).T
    apart = None
    if groups is not None and training_groups is not None:
        numbers: dict[str, int] = {}
        left, right = (
            np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
            for names in (groups, training_groups)
        )
        apart = (left, right)
    undo: list[Callable[[UInt8Array], UInt8Array]] = [lambda same: same, *CHANGES.values()]
    similarities = np.empty((len(pictures), len(undo)), dtype=np.float32)
    for start in range(0, len(pictures), _AT_ONCE):
        chosen = slice(start, start + _AT_ONCE)
        for column, change in enumerate(undo):
            correlation = _normalised(change(pictures[chosen])) @ known
            if apart is not None:
                correlation[apart[0][chosen, None] == apart[1][None]] = -1.0
            # Rounding can leave the correlation of a picture with itself above 1.
            similarities[chosen, column] = np.clip(_ranked(correlation, rank), -1.0, 1.0)
    best = similarities[:, 1:].argmax(axis=1) if len(pictures) else np.empty(0, dtype=np.int64)
    names = list(CHANGES)
    return Likeness(
        similarities[:, 0],
        similarities[np.arange(len(pictures)), 1 + best] - similarities[:, 0],
        [names[k] for k in best],
    )


def usual_likeness(training: UInt8Array, groups: Sequence[str]) -> Thresholds:
    """Thresholds at which few training images would be unusual among the others.

    Parameters
    ----------
    training : uint8 array, shape (m, side, side)
    groups : sequence of str, length m
        As in `likeness`.

    Returns
    -------
    Thresholds
        Each at a share of `UNUSUAL_SHARE`, of at most `MOST_QUERIES` images spread evenly. With
        one group only there is nothing to compare: then nothing is unusual.
    """
    if len(set(groups)) < 2:
        return Thresholds(-1.0, 2.0)
    chosen = np.unique(np.linspace(0, len(training) - 1, MOST_QUERIES).astype(np.int64))
    found = likeness(training[chosen], training, [groups[k] for k in chosen], groups)
    return Thresholds(
        float(np.quantile(found.similarity, UNUSUAL_SHARE)),
        # What looks no more like the training images when it is turned, was not turned.
        max(0.0, float(np.quantile(found.gain, 1.0 - UNUSUAL_SHARE))),
    )


def nearest(
    pictures: UInt8Array,
    others: UInt8Array,
    groups: Sequence[str],
    other_groups: Sequence[str],
    n: int,
) -> list[list[tuple[int, float]]]:
    """Most similar pictures of other groups.

    Parameters
    ----------
    pictures : uint8 array, shape (k, side, side)
    others : uint8 array, shape (m, side, side)
    groups, other_groups : sequence of str, lengths k and m
        As in `likeness`.
    n : int

    Returns
    -------
    list of list of (int, float), length k
        Position among `others` and correlation, the most similar first; fewer than `n` where there
        are no more.
    """
    known, apart = _normalised(others).T, np.asarray(other_groups, dtype=object)
    found = []
    for picture, group in zip(pictures, groups, strict=True):
        correlation = (_normalised(picture[None]) @ known)[0]
        candidates = np.flatnonzero(apart != group)
        order = np.argsort(-correlation[candidates], kind="stable")[:n]
        found.append([(int(k), float(correlation[k])) for k in candidates[order]])
    return found


def _ranked(correlation: Float32Array, rank: int) -> Float32Array:
    """Of each row the largest value, or the one that holds the `rank`-th place from the top."""
    if rank == 1:
        largest: Float32Array = correlation.max(axis=1)
        return largest
    place = correlation.shape[1] - rank
    ranked: Float32Array = np.partition(correlation, place, axis=1)[:, place]
    return ranked


def _normalised(pictures: UInt8Array) -> Float32Array:
    """Pictures as rows of mean 0 and length 1, so that their products are correlations."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Float32Array = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled
