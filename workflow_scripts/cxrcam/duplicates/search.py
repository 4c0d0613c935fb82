"""Near-duplicate images: exact search among difference hashes, confirmation, clusters.

Two stages. *Candidates* are all pairs whose 256-bit difference hashes differ in at most `radius`
bits; none is missed. *Confirmation* compares thumbnails after local contrast normalisation, because
chest X-rays resemble each other: within 36 bits of a typical image lie many other patients. A pair
is confirmed that correlates at 0.67 or more and either agrees in its better tiles
(`TILE_CORRELATION`) or agrees when aligned (`ALIGNED_CORRELATION`); as "cropped", where it agrees
only when aligned.

Defaults were chosen on 2,100 real X-rays (700 COVID, 700 Normal, 700 Viral Pneumonia; 2.2 million
pairs) with 30 known clusters of 61 images, and on 30,306 phantoms, all different:

- every pair that joins the known clusters lies within 33 bits and correlates at 0.691 or more; its
  better tiles agree at 0.894 or more, or it reaches 0.801 or more when aligned. Outside them, the
  best pair (one patient, two exposures, by the look of it) correlates at 0.644;
- three more pairs, copies by eye, are found as cropped, at 0.813 or more when aligned. The best
  other pair, again two exposures of one patient, reaches 0.775;
- phantoms share one anatomy: 622 pairs of them correlate at 0.67 to 0.79. Their better tiles agree
  at 0.866 or less, and aligned they reach 0.793 or less, but for one pair with 0.805, which is
  confirmed wrongly. Among 15,153 other phantoms no pair is;
- plain correlation of thumbnails cannot do it: different children correlate at up to 0.971, while
  true copies with changed contrast fall to 0.91.

Crops of more than 3 % on each side, and shifts of more than 5 % of the width, are mostly missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, TypedDict, Unpack

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.duplicates.hash_search import check_hashes, check_radius
from workflow_scripts.cxrcam.duplicates.promising_pairs import (
    Kind,
    PromisingPairs,
    promising_pairs,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_alignment import aligned_correlations
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    THUMBNAIL_CHUNK,
    check_thumbnails,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_views import Thumbnails, ThumbnailView
from workflow_scripts.cxrcam.workers import Workers

#: Largest Hamming distance of two hashes that may belong to one picture, in bits of 256. The known
#: copies need 33; the rest is slack for brightness changes that clip.
DEFAULT_RADIUS: Final = 36

#: Smallest correlation of locally normalised thumbnails of a pair that is not cropped.
DEFAULT_CORRELATION: Final = 0.67

#: Correlation at the best crop and shift that confirms a pair.
ALIGNED_CORRELATION: Final = 0.795

#: Pairs that wait to be aligned, all at once: 130 MB.
HELD_PAIRS: Final = 1 << 22

#: What is looked for, beside identical images.
KINDS: Final[tuple[Kind, ...]] = ("near", "mirrored", "inverted", "cropped")

#: Groups of identical images up to this size are reported pair by pair. Larger ones (thousands of
#: blank images) would give quadratically many rows, so each member is paired with the first only.
#: Clusters come out the same.
LARGEST_COMPLETE_GROUP: Final = 100


class MatchCriteria(TypedDict, total=False):
    """What `confirmed_pairs` asks of a pair; the defaults are in its signature."""

    radius: int
    minimum_correlation: float
    kinds: Sequence[Kind]


def find_duplicates(
    image_ids: Sequence[str],
    pixel_sha256s: Sequence[str],
    dhashes: UInt8Array,
    thumbnails: UInt8Array,
    threads: int = 1,
    **criteria: Unpack[MatchCriteria],
) -> pd.DataFrame:
    """Find all pairs of images that show one picture.

    Parameters
    ----------
    image_ids : sequence of str, length n
        Names of the images. To compare data sets with each other, pass them together.
    pixel_sha256s : sequence of str, length n
        As from `fingerprints.pixel_sha256`: equal means identical.
    dhashes : ndarray of uint8, shape (n, 32)
        As from `fingerprints.dhash256`.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`.
    threads : int
        The result does not depend on their number.
    **criteria
        `radius`, `minimum_correlation` and `kinds`, as for `confirmed_pairs`.

    Returns
    -------
    DataFrame
        ``image_id_a``, ``image_id_b`` (str, a before b in the order given), ``distance`` (int64,
        bits of 256), ``correlation`` (float32), ``kind`` ("exact", "near", "mirrored", "inverted"
        or "cropped"). All pairs, but where identical images number more than 100: there, each is
        paired with the first of its kind only. `clusters.cluster_labels` gives the same clusters
        anyway.

    Raises
    ------
    ValueError
        Inputs of different lengths, or as for `confirmed_pairs`.
    """
    lengths = {len(image_ids), len(pixel_sha256s), len(dhashes), len(thumbnails)}
    if len(lengths) > 1:
        raise ValueError(
            f"there are {len(image_ids)} image_ids, {len(pixel_sha256s)} pixel_sha256s, "
            f"{len(dhashes)} dhashes and {len(thumbnails)} thumbnails: one of each is needed"
        )
    check_hashes(dhashes, "dhashes")
    check_thumbnails(thumbnails)
    copies = _Copies.of(pixel_sha256s)
    near = confirmed_pairs(
        dhashes[copies.first], ThumbnailView(thumbnails, copies.first), threads, **criteria
    )
    repeated = np.flatnonzero(copies.sizes > 1).tolist()
    exact = np.array(
        [pair for group in repeated for pair in _group_pairs(copies.rows(group))], np.int64
    ).reshape(-1, 2)
    parts = [
        pd.DataFrame(
            {
                "a": exact[:, 0],
                "b": exact[:, 1],
                "distance": np.zeros(len(exact), np.int64),
                "correlation": np.ones(len(exact), np.float32),
                "kind": "exact",
            }
        ),
        _spread_over_copies(near, copies),
    ]
    table = pd.concat([part for part in parts if len(part)] or [_empty_pairs()])
    table = table.sort_values(["a", "b"], kind="stable").reset_index(drop=True)
    names = np.asarray(image_ids, dtype=object)
    return pd.DataFrame(
        {
            "image_id_a": pd.Series(names[table["a"].to_numpy()], dtype="str"),
            "image_id_b": pd.Series(names[table["b"].to_numpy()], dtype="str"),
            "distance": table["distance"].astype(np.int64),
            "correlation": table["correlation"].astype(np.float32),
            "kind": table["kind"].astype("str"),
        }
    )


@dataclass(frozen=True)
class _Copies:
    """Identical images: rows of group g are ``order[starts[g] : starts[g] + sizes[g]]``."""

    order: Int64Array
    starts: Int64Array
    sizes: Int64Array

    @classmethod
    def of(cls, pixel_sha256s: Sequence[str]) -> _Copies:
        """Groups in the order of their first images, rows ascending."""
        group_of, names = pd.factorize(np.asarray(pixel_sha256s, dtype=object))
        sizes = np.bincount(group_of, minlength=len(names)).astype(np.int64)
        order = np.argsort(group_of, kind="stable").astype(np.int64)
        return cls(order, np.cumsum(sizes) - sizes, sizes)

    @property
    def first(self) -> Int64Array:
        """First row of each group."""
        return self.order[self.starts]

    def rows(self, group: int) -> Int64Array:
        """All rows of a group."""
        start = self.starts[group]
        return self.order[start : start + self.sizes[group]]


def _group_pairs(rows: Int64Array) -> Iterator[tuple[int, int]]:
    """Pairs within a group of identical images; with the first only, where the group is large."""
    if len(rows) > LARGEST_COMPLETE_GROUP:
        yield from ((int(rows[0]), int(row)) for row in rows[1:])
    else:
        yield from combinations(rows.tolist(), 2)


def _spread_over_copies(near: pd.DataFrame, copies: _Copies) -> pd.DataFrame:
    """Extend pairs of representatives to the identical copies of both."""
    sizes = copies.sizes
    a, b = near["a"].to_numpy(), near["b"].to_numpy()
    source: list[int] = []
    ends: list[tuple[int, int]] = []
    for row, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        large = max(sizes[i], sizes[j]) > LARGEST_COMPLETE_GROUP
        left, right = (rows[:1] if large else rows for rows in (copies.rows(i), copies.rows(j)))
        for first in left.tolist():
            for second in right.tolist():
                source.append(row)
                ends.append((min(first, second), max(first, second)))
    spread = near.iloc[source].reset_index(drop=True)
    rows_of_ends = np.array(ends, np.int64).reshape(-1, 2)
    return spread.assign(a=rows_of_ends[:, 0], b=rows_of_ends[:, 1])


def confirmed_pairs(
    dhashes: UInt8Array,
    thumbnails: Thumbnails,
    threads: int = 1,
    radius: int = DEFAULT_RADIUS,
    minimum_correlation: float = DEFAULT_CORRELATION,
    kinds: Sequence[Kind] = KINDS,
) -> pd.DataFrame:
    """Find pairs of images that show one picture: as it is, mirrored, inverted or cropped.

    Parameters
    ----------
    dhashes : ndarray of uint8, shape (n, 32)
        Difference hashes, as from `fingerprints.dhash256`.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`. Other kinds than near are searched by hashes of the
        thumbnails, because the finished hash does not tell equal neighbours apart.
    threads : int
        The result does not depend on their number.
    radius : int
        Largest Hamming distance of candidates, in bits of 256.
    minimum_correlation : float
        Smallest correlation, above 0 and up to 1, of locally normalised thumbnails.
    kinds : sequence of {"near", "mirrored", "inverted", "cropped"}
        What to look for. "cropped" is a copy that was cropped or shifted by some 3 % of the width;
        without "near", a plain copy may be called so too.

    Returns
    -------
    DataFrame
        Columns ``a``, ``b`` (int64 row numbers, a < b), ``distance`` (int64, bits),
        ``correlation`` (float32), ``kind``; sorted by a, b. A pair that matches in several ways
        appears once, with the best correlation; as "cropped" only where nothing else fits.
    """
    check_thumbnails(thumbnails)
    if len(dhashes) != len(thumbnails):
        raise ValueError(f"there are {len(dhashes)} hashes but {len(thumbnails)} thumbnails")
    check_radius(radius)
    if not 0 < minimum_correlation <= 1:
        raise ValueError(f"minimum_correlation is {minimum_correlation}: it must be in (0, 1]")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kind {unknown[0]!r}: choose from {', '.join(KINDS)}")
    # An image of one grey has no structure to compare; thousands of them would swamp the search.
    rows = _structured(thumbnails)
    dhashes, thumbnails = dhashes[rows], _chosen(thumbnails, rows)
    with Workers(threads) as workers:
        promising = promising_pairs(
            workers, dhashes, thumbnails, radius, minimum_correlation, kinds
        )
        frames = list(_confirmed(workers, promising, thumbnails))
    table = pd.concat(
        [frame for frame in frames if len(frame)] or [_empty_pairs()], ignore_index=True
    )
    table = table[table["kind"].isin(kinds)]
    ends = np.sort(rows[table[["a", "b"]].to_numpy()], axis=1)
    table = table.assign(a=ends[:, 0], b=ends[:, 1])
    # The best crop and shift never correlate less than none: the plainer kind goes first.
    best_first = table.assign(is_crop=table["kind"] == "cropped").sort_values(
        ["a", "b", "is_crop", "correlation", "distance"],
        ascending=[True, True, True, False, True],
        kind="stable",
    )
    unique = best_first.drop(columns="is_crop").drop_duplicates(["a", "b"])
    return unique.reset_index(drop=True)


def _structured(thumbnails: Thumbnails) -> Int64Array:
    """Rows of the images that are not of one grey throughout."""
    kept = np.empty(len(thumbnails), bool)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        part = thumbnails[start : start + THUMBNAIL_CHUNK]
        kept[start : start + THUMBNAIL_CHUNK] = part.min(axis=(1, 2)) < part.max(axis=(1, 2))
    return np.flatnonzero(kept)


def _chosen(thumbnails: Thumbnails, rows: Int64Array) -> ThumbnailView:
    """Some rows, not copied."""
    if isinstance(thumbnails, ThumbnailView):
        return replace(thumbnails, rows=thumbnails.rows[rows])
    return ThumbnailView(thumbnails, rows)


def _confirmed(
    workers: Workers, promising: Iterable[PromisingPairs], thumbnails: Thumbnails
) -> Iterator[pd.DataFrame]:
    """Yield the pairs that show one picture, as in `confirmed_pairs`, in any order."""
    held: list[PromisingPairs] = []
    for found in promising:
        held.append(found)
        # As many as possible together: images and their crops are found by two searches.
        if sum(len(some.pairs) for some in held) >= HELD_PAIRS:
            yield from _aligned(workers, held, thumbnails)
            held = []
    yield from _aligned(workers, held, thumbnails)


def _aligned(
    workers: Workers, promising: Sequence[PromisingPairs], thumbnails: Thumbnails
) -> Iterator[pd.DataFrame]:
    """Align what need be, and yield the pairs that are confirmed."""
    aligned_with = {id(found.search.aligned_with): found.search.aligned_with for found in promising}
    for key, others in aligned_with.items():
        together = [found for found in promising if id(found.search.aligned_with) == key]
        pairs = [found.pairs[~found.in_place] for found in together]
        values = aligned_correlations(np.concatenate(pairs), others, thumbnails, workers)
        ends = np.cumsum([len(some) for some in pairs])
        for found, aligned in zip(together, np.split(values, ends[:-1]), strict=True):
            yield from _of_one_search(found, aligned)


def _of_one_search(found: PromisingPairs, aligned_others: Float32Array) -> Iterator[pd.DataFrame]:
    """Confirmed pairs by kind; `aligned_others` are the correlations of those not in place."""
    aligned = np.full(len(found.pairs), -1, np.float32)
    aligned[~found.in_place] = aligned_others
    fits = aligned >= ALIGNED_CORRELATION
    kinds: list[tuple[Kind, BoolArray, Float32Array]] = []
    if found.search.kind != "cropped":
        kinds.append((found.search.kind, found.in_place | found.strong & fits, found.correlations))
    if found.search.finds_crops:
        kinds.append(("cropped", fits & ~found.strong, aligned))
    for kind, chosen, correlations in kinds:
        yield pd.DataFrame(
            {
                "a": found.pairs[chosen, 0],
                "b": found.pairs[chosen, 1],
                "distance": found.distances[chosen],
                "correlation": correlations[chosen],
                "kind": kind,
            }
        )


def _empty_pairs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": np.empty(0, np.int64),
            "b": np.empty(0, np.int64),
            "distance": np.empty(0, np.int64),
            "correlation": np.empty(0, np.float32),
            "kind": pd.Series(dtype="str"),
        }
    )
