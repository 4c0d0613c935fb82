"""Pairs of images that have many words in common, and so may show one picture.

Words are looked up in sorted lists: the time grows with the images, and only slowly with their
pairs. A word that very many images share (a burnt-in frame, thousands of copies of one picture)
leads from each of them to the next `NEIGHBOURS` only: copies still hang together, and the time
stays bounded. Of an image's partners those come first that share its rarest words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Int64Array
from workflow_scripts.cxrcam.images.keypoints import (
    NO_WORD,
    VIEWS,
    WORD_BITS,
    UInt16Array,
    UInt32Array,
)
from workflow_scripts.cxrcam.workers import Workers, slices

UInt64Array = npt.NDArray[np.uint64]

#: Words in common from which on a pair is looked at. Copies have 80 or more as a rule, those of
#: which an eighth is cut off on each side 10, those that are small on a page, or cropped and
#: stretched, 5; of strangers one pair in 600 has 5, and with each further word less than half as
#: many.
LEAST_VOTES: Final = 5
#: Images that a word leads to, the next in order.
NEIGHBOURS: Final = 32
#: Pairs that are looked at of each image.
MOST_PARTNERS: Final = 10
#: Places that a rare word stands in. One that stands in more counts less when partners are ranked,
#: by the square of the number.
RARE: Final = 4
#: Images whose words are looked up at a time.
BLOCK: Final = 256

_ROW_BITS: Final = np.uint64(32)


class Candidates(NamedTuple):
    """Pairs to be looked at, sorted by a; those with the rarest words first.

    Attributes
    ----------
    a, b : int64 array, shape (k,)
        Rows of the images, a < b.
    view : int64 array, shape (k,)
        Position in `keypoints.VIEWS`: in which way b may be changed.
    """

    a: Int64Array
    b: Int64Array
    view: Int64Array


def candidate_pairs(words: UInt32Array, n_first: int, workers: Workers) -> Candidates:
    """Find pairs with `LEAST_VOTES` words in common or more.

    Parameters
    ----------
    words : uint32 array, shape (n, keypoints, words)
        As in `keypoints.Keypoints`.
    n_first : int
        Above 0: these first images are compared with the others only, instead of all with all.
    workers : Workers
        Threads; the result does not depend on their number.

    Returns
    -------
    Candidates
        At most `MOST_PARTNERS` for each a.
    """
    n = len(words)
    lists = [_sorted_list(words[n_first:, :, k], n_first) for k in range(words.shape[2])]

    def looked_up(rows: slice) -> Int64Array:
        counted = []
        for number, view in enumerate(VIEWS):
            votes = [*_votes(view.of_words(words[rows]), rows.start, lists, n)]
            each, weight = np.concatenate([np.empty((2, 0), np.int64), *votes], axis=1)
            pair, place, count = np.unique(each, return_inverse=True, return_counts=True)
            total = np.bincount(place, weight, len(pair)).astype(np.int64)
            columns = np.stack([*np.divmod(pair, n), np.full(len(pair), number), total])
            counted.append(columns[:, count >= LEAST_VOTES])
        a, b, views, totals = np.concatenate(counted, axis=1)
        order = np.lexsort((views, b, -totals, a))
        rank = np.arange(len(order)) - np.searchsorted(a[order], a[order])
        kept = order[rank < MOST_PARTNERS]
        return np.stack([a[kept] + rows.start, b[kept], views[kept]])

    queried = n_first or n
    blocks = (slice(some.start, min(some.stop, queried)) for some in slices(queried, BLOCK))
    none = np.empty((3, 0), np.int64)
    return Candidates(*np.concatenate([none, *workers.map(looked_up, blocks)], axis=1))


def _sorted_list(words: UInt32Array, first_row: int) -> tuple[UInt64Array, UInt16Array]:
    """Words of some images, each before the row of its image in one number; ascending. Weights."""
    rows = np.arange(first_row, first_row + len(words), dtype=np.uint64)[:, None]
    entries = words.astype(np.uint64)
    entries <<= _ROW_BITS  # in place, like the sort: the list is the largest of what a search holds
    entries |= rows
    entries = entries[words != NO_WORD]
    entries.sort()
    starts = np.flatnonzero(np.diff(entries >> _ROW_BITS, prepend=NO_WORD))
    sizes = np.diff(starts, append=len(entries))
    # In whole numbers, whose sums are the same in any order.
    weights = 4096 * RARE**2 // np.maximum(sizes, RARE) ** 2
    return entries, np.repeat(weights, sizes).astype(np.uint16)


def _votes(
    words: UInt32Array, start: int, lists: Sequence[tuple[UInt64Array, UInt16Array]], n: int
) -> Iterator[Int64Array]:
    """Words in common of some images, the first of which has row `start`, with later ones.

    Yields
    ------
    int64 array, shape (2, k)
        For each word in common: the image, counted from `start`, times n, plus the other's row;
        and the word's weight.
    """
    for own, (entries, weights) in zip(np.moveaxis(words, 2, 0), lists, strict=True):
        image, keypoint = np.nonzero(own >> WORD_BITS == 0)
        word = own[image, keypoint].astype(np.uint64)
        wanted = (word << _ROW_BITS) | (image + start + 1).astype(np.uint64)
        # In order they are found four times as fast: neighbours lie in the processor's cache.
        order = np.argsort(wanted)
        word, image = word[order], image[order]
        place = np.searchsorted(entries, wanted[order])
        for _ in range(NEIGHBOURS):
            within = place < len(entries)
            place, word, image = place[within], word[within], image[within]
            entry = entries[place]
            same = entry >> _ROW_BITS == word
            place, word, image = place[same], word[same], image[same]
            if not len(place):
                break
            other = (entry[same] & np.uint64(NO_WORD)).astype(np.int64)
            yield np.stack([image * n + other, weights[place]])
            place += 1
