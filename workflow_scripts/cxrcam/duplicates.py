"""Near-duplicate images: exact search among difference hashes, confirmation, clusters.

Two stages. *Candidates* are all pairs whose 256-bit difference hashes differ in at most `radius`
bits; none is missed. *Confirmation* compares thumbnails after local contrast normalisation, because
chest X-rays resemble each other: within 36 bits of a typical image lie many other patients.

Defaults were chosen on 2,100 real X-rays (700 COVID, 700 Normal, 700 Viral Pneumonia; 2.2 million
pairs) that hold 30 known clusters of 61 images:

- every pair that joins those clusters lies within 33 bits and correlates at 0.691 or more. The best
  pair outside them (one patient, two exposures, by the look of it) correlates at 0.644, the best
  outside COVID at 0.620, the best of two classes at 0.575. Thresholds from 0.645 to 0.71 and any
  radius from 33 to 50 give exactly the 30 clusters;
- plain correlation of thumbnails cannot do it: different children correlate at up to 0.971, while
  true copies with changed contrast fall to 0.91.

A copy that was shifted by a pixel of the thumbnail (3 % of the width) or cropped by more is mostly
missed: three such pairs in the same data were seen by eye and are not among the 30.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workflow_scripts.cxrcam.fingerprints import (
    HASH_BITS,
    HASH_SIDE,
    THUMBNAIL_SIDE,
    difference_bits,
)
from workflow_scripts.cxrcam.hash_search import candidate_pair_blocks, check_hashes
from workflow_scripts.cxrcam.thumbnail_correlation import (
    THUMBNAIL_CHUNK,
    check_thumbnails,
    normalised_thumbnails,
    pair_correlations,
)

Kind = Literal["exact", "near", "mirrored", "inverted"]
UInt8Array = npt.NDArray[np.uint8]
IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

#: Largest Hamming distance of two hashes that may belong to one picture, in bits of 256. The known
#: copies need 33; the rest is slack for brightness changes that clip.
DEFAULT_RADIUS: Final = 36

#: Smallest correlation of locally normalised thumbnails that confirms a pair.
DEFAULT_CORRELATION: Final = 0.67

#: Groups of identical images up to this size are reported pair by pair. Larger ones (thousands of
#: blank images) would give quadratically many rows, so each member is paired with the first only.
#: Clusters come out the same.
LARGEST_COMPLETE_GROUP: Final = 100


def find_duplicates(
    image_ids: Sequence[str],
    pixel_sha256s: Sequence[str],
    dhashes: UInt8Array,
    thumbnails: UInt8Array,
    radius: int = DEFAULT_RADIUS,
    minimum_correlation: float = DEFAULT_CORRELATION,
    kinds: Sequence[Kind] = ("near", "mirrored", "inverted"),
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
    radius, minimum_correlation, kinds
        As for `confirmed_pairs`.

    Returns
    -------
    DataFrame
        ``image_id_a``, ``image_id_b`` (str, a before b in the order given), ``distance`` (int64,
        bits of 256), ``correlation`` (float32), ``kind`` ("exact", "near", "mirrored" or
        "inverted"). All pairs, but where identical images number more than 100: there, each is
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
    group_of, first_rows = pd.factorize(np.asarray(pixel_sha256s, dtype=object))
    members = _members(group_of.astype(np.int64), len(first_rows))
    representatives = np.array([rows[0] for rows in members], np.int64)
    near = confirmed_pairs(
        dhashes[representatives],
        thumbnails[representatives],
        radius,
        minimum_correlation,
        kinds,
    )
    exact = np.array(
        [pair for rows in members if len(rows) > 1 for pair in _group_pairs(rows)], np.int64
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
        _spread_over_copies(near, members),
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


def _members(group_of: IndexArray, groups: int) -> list[IndexArray]:
    """Rows of each group, ascending."""
    order = np.argsort(group_of, kind="stable").astype(np.int64)
    ends = np.cumsum(np.bincount(group_of, minlength=groups))[:-1]
    return np.split(order, ends) if groups else []


def _group_pairs(rows: IndexArray) -> Iterator[tuple[int, int]]:
    """Pairs within a group of identical images; with the first only, where the group is large."""
    if len(rows) > LARGEST_COMPLETE_GROUP:
        yield from ((int(rows[0]), int(row)) for row in rows[1:])
    else:
        yield from combinations(rows.tolist(), 2)


def _spread_over_copies(near: pd.DataFrame, members: list[IndexArray]) -> pd.DataFrame:
    """Extend pairs of representatives to the identical copies of both."""
    sizes = np.array([len(rows) for rows in members], np.int64)
    a, b = near["a"].to_numpy(), near["b"].to_numpy()
    source: list[int] = []
    ends: list[tuple[int, int]] = []
    for row, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        large = max(sizes[i], sizes[j]) > LARGEST_COMPLETE_GROUP
        left, right = (rows[:1] if large else rows for rows in (members[i], members[j]))
        for first in left.tolist():
            for second in right.tolist():
                source.append(row)
                ends.append((min(first, second), max(first, second)))
    spread = near.iloc[source].reset_index(drop=True)
    rows_of_ends = np.array(ends, np.int64).reshape(-1, 2)
    return spread.assign(a=rows_of_ends[:, 0], b=rows_of_ends[:, 1])


def confirmed_pairs(
    dhashes: UInt8Array,
    thumbnails: UInt8Array,
    radius: int = DEFAULT_RADIUS,
    minimum_correlation: float = DEFAULT_CORRELATION,
    kinds: Sequence[Kind] = ("near", "mirrored", "inverted"),
) -> pd.DataFrame:
    """Find pairs of images that show one picture, as it is, mirrored or inverted.

    Parameters
    ----------
    dhashes : ndarray of uint8, shape (n, 32)
        Difference hashes, as from `fingerprints.dhash256`.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`. The mirrored and the inverted are searched by hashes of
        the thumbnails, because the finished hash does not tell equal neighbours apart.
    radius : int
        Largest Hamming distance of candidates, in bits of 256.
    minimum_correlation : float
        Smallest correlation, above 0 and up to 1, of locally normalised thumbnails.
    kinds : sequence of {"near", "mirrored", "inverted"}
        What to look for.

    Returns
    -------
    DataFrame
        Columns ``a``, ``b`` (int64 row numbers, a < b), ``distance`` (int64, bits),
        ``correlation`` (float32), ``kind``; sorted by a, b. A pair that matches in several ways
        appears once, with the best correlation.
    """
    check_thumbnails(thumbnails)
    if len(dhashes) != len(thumbnails):
        raise ValueError(f"there are {len(dhashes)} hashes but {len(thumbnails)} thumbnails")
    if not 0 < minimum_correlation <= 1:
        raise ValueError(f"minimum_correlation is {minimum_correlation}: it must be in (0, 1]")
    # An image of one grey has no structure to compare; thousands of them would swamp the search.
    rows = np.flatnonzero(thumbnails.min(axis=(1, 2)) < thumbnails.max(axis=(1, 2)))
    dhashes, thumbnails = dhashes[rows], thumbnails[rows]
    plain = normalised_thumbnails(thumbnails)
    frames = [_empty_pairs()]
    for kind in kinds:
        if kind == "near":
            searched, queries, other = dhashes, None, plain
        elif kind == "mirrored":
            small = _thumbnail_hash_images(thumbnails)
            searched, queries = _packed(small), _packed(small, mirrored=True)
            other = normalised_thumbnails(thumbnails[:, :, ::-1])
        elif kind == "inverted":
            small = _thumbnail_hash_images(thumbnails)
            searched, queries = _packed(small), _packed(small, inverted=True)
            other = normalised_thumbnails(255 - thumbnails)
        else:
            raise ValueError(f"unknown kind {kind!r}: choose from near, mirrored, inverted")
        for pairs, distances in candidate_pair_blocks(searched, radius, queries):
            correlations = pair_correlations(pairs, other, plain)
            # A symmetric image matches its own mirror image: no pair.
            kept = (correlations >= minimum_correlation) & (pairs[:, 0] != pairs[:, 1])
            ends = np.sort(rows[pairs[kept]], axis=1)
            frames.append(
                pd.DataFrame(
                    {
                        "a": ends[:, 0],
                        "b": ends[:, 1],
                        "distance": distances[kept],
                        "correlation": correlations[kept],
                        "kind": kind,
                    }
                )
            )
    found = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    best_first = found.sort_values(
        ["a", "b", "correlation", "distance"], ascending=[True, True, False, True], kind="stable"
    )
    return best_first.drop_duplicates(["a", "b"]).reset_index(drop=True)


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


def _thumbnail_hash_images(thumbnails: UInt8Array) -> FloatArray:
    """Shrink thumbnails from 32 x 32 to 16 x 17 by area; in whole numbers, shape (n, 16, 17).

    Whole numbers, so that equal neighbours stay equal, whichever way round they are added up.
    The largest, 2 x 32 x 255, is exact in float32, whose products are the fastest.
    """
    width = HASH_SIDE + 1
    # In units of 1/17 of a thumbnail pixel: inputs are 17 wide, outputs 32.
    edges_in = np.arange(THUMBNAIL_SIDE + 1) * width
    edges_out = np.arange(width + 1) * THUMBNAIL_SIDE
    overlap = np.minimum(edges_in[1:, None], edges_out[None, 1:]) - np.maximum(
        edges_in[:-1, None], edges_out[None, :-1]
    )
    weights = np.maximum(overlap, 0).astype(np.float32)
    small = np.empty((len(thumbnails), HASH_SIDE, width), np.float32)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        values = thumbnails[rows].astype(np.float32)
        small[rows] = (values[:, ::2] + values[:, 1::2]) @ weights
    return small


def _packed(small: FloatArray, *, mirrored: bool = False, inverted: bool = False) -> UInt8Array:
    """Hashes of small images, shape (n, 32)."""
    bits = difference_bits(small, mirrored=mirrored, inverted=inverted)
    return np.packbits(bits.reshape(len(small), HASH_BITS), axis=1)
