"""Cartesian products of many pairs of ranges, without holding them all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.int64]

#: Pairs that one step of the search holds in memory: about 100 MB with all temporaries.
BLOCK_PAIRS: Final = 1 << 20


def range_products(
    first_starts: IndexArray,
    first_sizes: IndexArray,
    second_starts: IndexArray,
    second_sizes: IndexArray,
) -> Iterator[tuple[IndexArray, IndexArray, IndexArray]]:
    """Cartesian products of pairs of ranges, in blocks of at most `BLOCK_PAIRS`.

    Range pair s stands for all (first_starts[s] + a, second_starts[s] + b) with a below
    first_sizes[s] and b below second_sizes[s]. One product may span several blocks, which is what
    bounds memory however crowded a bucket is.

    Parameters
    ----------
    first_starts, first_sizes, second_starts, second_sizes : ndarray of int64, shape (s,)
        Beginnings and lengths of the ranges.

    Yields
    ------
    first, second : ndarray of int64, shape (k,)
        Numbers from the first and the second range.
    source : ndarray of int64, shape (k,)
        Which pair of ranges each came from.
    """
    sizes = first_sizes * second_sizes
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, BLOCK_PAIRS):
        end = min(begin + BLOCK_PAIRS, total)
        low, high = np.searchsorted(ends, [begin, end - 1], side="right")
        span = slice(low, high + 1)
        # Of the first and the last product, only a part may fall into this block.
        lengths = np.minimum(ends[span], end) - np.maximum(ends[span] - sizes[span], begin)
        source = np.repeat(np.arange(low, high + 1), lengths)
        # Repeating is several times as fast as gathering by `source`.
        first, second = (
            np.repeat(starts[span], lengths) for starts in (first_starts, second_starts)
        )
        if int(sizes[span].max()) > 1:  # otherwise each product is of one and one
            offset = np.arange(begin, end) - np.repeat((ends - sizes)[span], lengths)
            if int(second_sizes[span].max()) == 1:
                first += offset
            elif int(first_sizes[span].max()) == 1:
                second += offset
            else:
                rows, columns = np.divmod(offset, np.repeat(second_sizes[span], lengths))
                first += rows
                second += columns
        yield first, second, source
