"""Pairs of images that may show one picture: near hashes, and thumbnails that correlate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.duplicates.hash_search import candidate_pair_blocks
from workflow_scripts.cxrcam.duplicates.thumbnail_alignment import cropped_thumbnails
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    NormalisedThumbnails,
    normalised_thumbnails,
    pair_correlations,
    tile_correlations,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_hashes import thumbnail_dhashes
from workflow_scripts.cxrcam.duplicates.thumbnail_views import Thumbnails, ThumbnailView
from workflow_scripts.cxrcam.workers import Workers

Kind = Literal["exact", "near", "mirrored", "inverted", "cropped"]

#: Agreement of the better tiles that confirms a pair, where aligning does not help: a copy with
#: arrows and a date written over it agrees fully in the rest.
TILE_CORRELATION: Final = 0.88

#: Pairs that correlate less than this as they are, are not aligned when looking for crops.
PROMISING_CORRELATION: Final = 0.55

#: Share of the width that is left of the images whose hashes are looked up to find crops: between
#: 3 % cut off altogether and 3 % on each side.
QUERY_SCALE: Final = 0.955

#: That search is narrower, in bits: many strangers resemble the centre of an image.
CROP_RADIUS_LESS: Final = 4


@dataclass(frozen=True)
class Search:
    """One search for candidates: hashes of variants of all images among the hashes of all.

    Attributes
    ----------
    kind : str
        What a pair is that matches in place.
    searched : ndarray of uint8, shape (n, 32)
        Hashes to search.
    queries : ndarray of uint8, shape (n, 32), or None
        Hashes of the variants; None where they are the images themselves.
    variants : uint8 array or view, shape (n, 32, 32)
        Thumbnails of the variants.
    aligned_with : uint8 array or view, shape (n, 32, 32)
        Thumbnails of which crops are tried: the variants, if they are not crops themselves.
    radius : int
        In bits.
    finds_crops : bool
        Whether pairs that match only when aligned are taken, as "cropped".
    """

    kind: Kind
    searched: UInt8Array
    queries: UInt8Array | None
    variants: Thumbnails
    aligned_with: Thumbnails
    radius: int
    finds_crops: bool = False


@dataclass(frozen=True)
class PromisingPairs:
    """Some pairs that one search has found, and that may show one picture.

    Attributes
    ----------
    search : Search
        Which found them.
    pairs : ndarray of int64, shape (k, 2)
        Row of the variant, row of the image; never the same.
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.
    correlations : ndarray of float32, shape (k,)
        Of the normalised thumbnails as they lie.
    strong : ndarray of bool, shape (k,)
        Which correlate enough without being aligned.
    in_place : ndarray of bool, shape (k,)
        Which of those agree in their better tiles too: they need not be aligned.
    """

    search: Search
    pairs: Int64Array
    distances: Int64Array
    correlations: Float32Array
    strong: BoolArray
    in_place: BoolArray


def promising_pairs(
    workers: Workers,
    dhashes: UInt8Array,
    thumbnails: ThumbnailView,
    radius: int,
    minimum_correlation: float,
    kinds: Sequence[Kind],
) -> Iterator[PromisingPairs]:
    """Yield the pairs that are worth aligning, or are confirmed already, block by block.

    Parameters
    ----------
    workers : Workers
        Threads that search.
    dhashes, thumbnails, radius, minimum_correlation, kinds
        As for `search.confirmed_pairs`.

    Yields
    ------
    PromisingPairs
        Of one search after the other. A pair may be found by several.
    """
    plain = normalised_thumbnails(thumbnails, workers)
    for search in _searches(workers, dhashes, thumbnails, radius, kinds):
        yield from _promising(workers, search, plain, minimum_correlation)


def _searches(
    workers: Workers,
    dhashes: UInt8Array,
    thumbnails: ThumbnailView,
    radius: int,
    kinds: Sequence[Kind],
) -> Iterator[Search]:
    """Yield the searches that find all kinds; images and their crops share one."""
    if "near" in kinds or "cropped" in kinds:
        crops = "cropped" in kinds
        yield Search("near", dhashes, None, thumbnails, thumbnails, radius, finds_crops=crops)
    if set(kinds) == {"near"}:
        return
    hashes = thumbnail_dhashes(thumbnails, workers)
    if "mirrored" in kinds:
        variants = replace(thumbnails, change=lambda some: some[:, :, ::-1])
        queries = thumbnail_dhashes(variants, workers)
        yield Search("mirrored", hashes, queries, variants, variants, radius)
    if "inverted" in kinds:
        variants = replace(thumbnails, change=lambda some: 255 - some)
        queries = thumbnail_dhashes(variants, workers)
        yield Search("inverted", hashes, queries, variants, variants, radius)
    if "cropped" in kinds:
        variants = replace(thumbnails, change=lambda some: cropped_thumbnails(some, QUERY_SCALE))
        narrower = max(0, radius - CROP_RADIUS_LESS)
        queries = thumbnail_dhashes(variants, workers)
        yield Search("cropped", hashes, queries, variants, thumbnails, narrower, finds_crops=True)


def _promising(
    workers: Workers,
    search: Search,
    plain: NormalisedThumbnails,
    minimum_correlation: float,
) -> Iterator[PromisingPairs]:
    """Yield pairs within the radius that correlate enough to be looked at."""
    other = plain
    if search.queries is not None:
        other = normalised_thumbnails(search.variants, workers)
    lowest = minimum_correlation
    if search.finds_crops:
        lowest = min(lowest, PROMISING_CORRELATION)

    def judged(block: tuple[Int64Array, Int64Array]) -> PromisingPairs:
        pairs, distances = block
        correlations = pair_correlations(pairs, other, plain)
        # A symmetric image matches its own mirror image: no pair.
        kept = (correlations >= lowest) & (pairs[:, 0] != pairs[:, 1])
        pairs, distances, correlations = pairs[kept], distances[kept], correlations[kept]
        strong = (correlations >= minimum_correlation) & (search.kind != "cropped")
        in_place = strong.copy()
        in_place[strong] = tile_correlations(pairs[strong], other, plain) >= TILE_CORRELATION
        return PromisingPairs(search, pairs, distances, correlations, strong, in_place)

    candidates = candidate_pair_blocks(workers, search.searched, search.radius, search.queries)
    yield from workers.map(judged, candidates)
