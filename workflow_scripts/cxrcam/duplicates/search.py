"""Copies of one picture within a data set, or across two.

Two steps. *Candidates* are pairs of images with words in common (`candidates`). *Confirmation* lays
one over the other by their keypoints and compares what both show, on cached pixels (`alignment`);
`kinds` says what is a copy, what another exposure of the same patient, and how a copy was changed.

Missed are copies of which little is left (more than an eighth cut off on each side, smaller than
0.6 of a page), pages full of the same text, images that show little structure or are cached at
fewer than 64 pixels, and most other exposures of a patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array
from workflow_scripts.cxrcam.contracts import DUPLICATES
from workflow_scripts.cxrcam.data.cache import cached_size, read_pixels_within
from workflow_scripts.cxrcam.duplicates.alignment import (
    LEAST_INLIERS,
    LEAST_SIZE,
    Fit,
    Overlay,
    fitted,
    overlay,
)
from workflow_scripts.cxrcam.duplicates.candidates import candidate_pairs
from workflow_scripts.cxrcam.duplicates.kinds import kind_of
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints
from workflow_scripts.cxrcam.images.keypoints import NO_WORD, VIEWS, Keypoints
from workflow_scripts.cxrcam.terms import EXACT
from workflow_scripts.cxrcam.workers import Workers, slices

#: Groups of identical images up to this size are reported pair by pair. Larger ones (thousands of
#: blank images) would give quadratically many rows, so each member is paired with the first only.
#: Clusters come out the same.
LARGEST_COMPLETE_GROUP: Final = 100

#: Pixels of candidates beyond this many MB wait in a file without a name.
PIXEL_MEMORY_MB: Final = 400
#: Pairs that a thread fits at a time.
PAIRS_AT_ONCE: Final = 32

#: What identical images have in the columns from ``kind`` on.
_EXACT_ROW: Final = (EXACT, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0)


class _Pair(NamedTuple):
    """Rows of two images, or numbers of two groups, and the columns from ``kind`` on."""

    a: int
    b: int
    values: tuple[Any, ...]


@dataclass(frozen=True)
class _Distinct:
    """Images of one data set, of identical ones the first."""

    images: Fingerprints
    shards: Sequence[str | Path]
    groups: list[list[int]]

    @classmethod
    def of(cls, images: Fingerprints, shards: Sequence[str | Path]) -> _Distinct:
        """Groups of identical images, each and all in order of appearance."""
        rows: dict[str, list[int]] = {}
        for row, sha in enumerate(images.pixel_sha256):
            rows.setdefault(sha, []).append(row)
        return cls(images, shards, list(rows.values()))

    @property
    def first(self) -> Int64Array:
        """Row of the first image of each group."""
        return np.array([rows[0] for rows in self.groups], np.int64)

    def pixels(self, groups: Int64Array) -> UInt8Array:
        """Cached pixels of the first image of some groups, shape (k, size, size)."""
        shards = [Path(shard) for shard in self.shards]
        names = [self.images.image_ids[self.groups[group][0]] for group in groups]
        return read_pixels_within(shards, names, cached_size(shards), PIXEL_MEMORY_MB)


def find_duplicates(
    images: Fingerprints, shards: Sequence[str | Path], threads: int = 1
) -> pd.DataFrame:
    """Find pairs of images of one data set that show one picture, or one patient twice.

    Parameters
    ----------
    images : Fingerprints
        As from `stored.stored_fingerprints`.
    shards : sequence of path
        Cache shards of the data set. Only pixels of candidates are kept.
    threads : int
        The result does not depend on their number, nor on how images are divided into shards.

    Returns
    -------
    DataFrame
        Columns of `contracts.DUPLICATES`, a pair a row, in the order of the images. Of more than
        100 identical images, each is paired with the first only; of many other copies of one
        picture, each with some others only (`candidates.MOST_PARTNERS`). Clusters come out as
        with all pairs.

    Raises
    ------
    CacheError
        As from `data.cache.read_pixels`.
    """
    distinct = _Distinct.of(images, shards)
    same = [
        _Pair(a, b, _EXACT_ROW)
        for rows in distinct.groups
        for a, b in (
            combinations(rows, 2)
            if len(rows) <= LARGEST_COMPLETE_GROUP
            else ((rows[0], row) for row in rows[1:])
        )
    ]
    found = _confirmed([distinct], threads)
    return _table([*same, *_spread(found, distinct, distinct)], images, images)


def find_cross_duplicates(
    own: Fingerprints,
    own_shards: Sequence[str | Path],
    other: Fingerprints,
    other_shards: Sequence[str | Path],
    threads: int = 1,
) -> pd.DataFrame:
    """Find pairs of an image of one data set and one of another, as `find_duplicates` does.

    Parameters
    ----------
    own, other : Fingerprints
        The same image id may stand in both.
    own_shards, other_shards : sequence of path
        Cache shards of each.
    threads : int
        The result does not depend on their number.

    Returns
    -------
    DataFrame
        As from `find_duplicates`; ``image_id_a`` is of `own`, ``image_id_b`` of `other`.

    Raises
    ------
    CacheError
        As from `data.cache.read_pixels`.
    """
    left, right = _Distinct.of(own, own_shards), _Distinct.of(other, other_shards)
    place = {own.pixel_sha256[rows[0]]: group for group, rows in enumerate(left.groups)}
    same = [
        _Pair(place[sha], group, _EXACT_ROW)
        for group, rows in enumerate(right.groups)
        if (sha := other.pixel_sha256[rows[0]]) in place
    ]
    exact = {(pair.a, pair.b) for pair in same}
    n = len(left.groups)
    found = [_Pair(a, b - n, values) for a, b, values in _confirmed([left, right], threads)]
    different = [pair for pair in found if (pair.a, pair.b) not in exact]
    return _table([*_spread([*same, *different], left, right)], own, other)


def not_compared(images: Fingerprints, shards: Sequence[str | Path]) -> list[str]:
    """Sentences on images of which only identical copies are found; none where all is well."""
    sentences = []
    bare = int((images.keypoints.words[:, LEAST_INLIERS - 1, 0] == NO_WORD).sum())
    if bare:
        sentences.append(
            f"{bare} of {len(images.image_ids)} images show too little to be compared (blank ones,"
            " or a few pixels): of these, only identical copies are found."
        )
    size = cached_size([Path(shard) for shard in shards])
    if size < LEAST_SIZE:
        sentences.append(
            f"Images are cached at {size} pixels: too few to tell copies from strangers. Identical"
            f" copies are found; for others set image.size to {LEAST_SIZE} or more."
        )
    return sentences


def _confirmed(sets: Sequence[_Distinct], threads: int) -> list[_Pair]:
    """Compare the candidates among the groups of one data set, or of one with those of another.

    Groups of the second are numbered after those of the first.
    """
    words, points = (
        np.concatenate([one.images.keypoints[part][one.first] for one in sets]) for part in (0, 1)
    )
    n_first = len(sets[0].groups)

    def fits(rows: slice) -> list[tuple[int, int, Fit | None]]:
        pairs = zip(found.a[rows].tolist(), found.b[rows].tolist(), strict=True)
        return [
            (a, b, fitted(Keypoints(words[a], points[a]), Keypoints(words[b], points[b]), view))
            for (a, b), view in zip(pairs, (VIEWS[k] for k in found.view[rows]), strict=True)
        ]

    with Workers(threads) as workers:
        found = candidate_pairs(words, n_first if len(sets) > 1 else 0, workers)
        parts = workers.map(fits, slices(len(found.a), PAIRS_AT_ONCE))
        fitting = [(a, b, fit) for part in parts for a, b, fit in part if fit is not None]
        ends = np.array([(a, b) for a, b, _ in fitting], np.int64).ravel()
        picture = _Pictures.of(sets, np.unique(ends)).picture

        def compared(pair: tuple[int, int, Fit]) -> _Pair | None:
            a, b, fit = pair
            laid = overlay(picture(a), picture(b), fit)
            kind = None if laid is None else kind_of(laid)
            return None if laid is None or kind is None else _Pair(a, b, _values(kind, laid))

        best: dict[tuple[int, int], _Pair] = {}
        for pair in filter(None, workers.map(compared, fitting)):
            # Found as it is and mirrored, say: the view that agrees better.
            known = best.setdefault((pair.a, pair.b), pair)
            if pair.values[1] > known.values[1]:
                best[pair.a, pair.b] = pair
    return list(best.values())


@dataclass(frozen=True)
class _Pictures:
    """Pixels of some groups; groups of a second data set are numbered after those of the first."""

    groups: Int64Array
    n_of_first: int
    pixels: list[UInt8Array]

    @classmethod
    def of(cls, sets: Sequence[_Distinct], groups: Int64Array) -> _Pictures:
        """Read what is needed, each shard once."""
        n_first = len(sets[0].groups)
        border = int(np.searchsorted(groups, n_first))
        parts = zip(sets, (groups[:border], groups[border:] - n_first), strict=False)
        return cls(groups, border, [one.pixels(some) for one, some in parts if len(some)])

    def picture(self, group: int) -> UInt8Array:
        """Pixels of a group's first image."""
        place = int(np.searchsorted(self.groups, group))
        of_second = place >= self.n_of_first
        one: UInt8Array = self.pixels[of_second][place - of_second * self.n_of_first]
        return one


def _values(kind: str, laid: Overlay) -> tuple[Any, ...]:
    """Columns from ``kind`` on."""
    return (kind, laid.correlation, laid.overlap, *laid.transform.ravel(), laid.inliers)


def _spread(pairs: Sequence[_Pair], left: _Distinct, right: _Distinct) -> Iterator[_Pair]:
    """Replace pairs of groups of identical images by pairs of images."""
    for a, b, values in pairs:
        ours, others = left.groups[a], right.groups[b]
        if max(len(ours), len(others)) <= LARGEST_COMPLETE_GROUP:
            ends: Iterable[tuple[int, int]] = product(ours, others)
        else:
            ends = [*product(ours[:1], others), *product(ours[1:], others[:1])]
        yield from (_Pair(row, other, values) for row, other in ends)


def _table(pairs: Sequence[_Pair], own: Fingerprints, other: Fingerprints) -> pd.DataFrame:
    """Name the images of pairs of rows."""
    ordered = sorted(pairs, key=lambda pair: pair[:2])
    rows = [(own.image_ids[a], other.image_ids[b], *values) for a, b, values in ordered]
    columns = [*zip(*rows, strict=True)] or [()] * len(DUPLICATES)
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, DUPLICATES, strict=True)
    ]
    table: pd.DataFrame = pa.table(arrays, schema=DUPLICATES).to_pandas()
    return table
