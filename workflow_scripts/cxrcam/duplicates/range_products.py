"""Cartesian products of many pairs of ranges, without holding them all in memory."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.int64]

#: Pairs that one step of the search holds in memory: about 100 MB with all temporaries.
BLOCK_PAIRS: Final = 1 << 20


class RangeProducts:
    """Cartesian products of pairs of ranges, cut into blocks of at most `BLOCK_PAIRS`.

    Range pair s stands for all (first_starts[s] + a, second_starts[s] + b) with a below
    first_sizes[s] and b below second_sizes[s]. One product may span several blocks, which is what
    bounds memory however crowded a bucket is.

    Parameters
    ----------
    first_starts, first_sizes, second_starts, second_sizes : ndarray of int64, shape (s,)
        Beginnings and lengths of the ranges.
    """

    def __init__(
        self,
        first_starts: IndexArray,
        first_sizes: IndexArray,
        second_starts: IndexArray,
        second_sizes: IndexArray,
    ) -> None:
        self._starts = first_starts, second_starts
        self._first_sizes, self._second_sizes = first_sizes, second_sizes
        self._sizes = first_sizes * second_sizes
        self._ends = np.cumsum(self._sizes)

    def cuts(self) -> range:
        """Where the blocks begin."""
        return range(0, int(self._ends[-1]) if len(self._ends) else 0, BLOCK_PAIRS)

    def block(self, begin: int) -> tuple[IndexArray, IndexArray, IndexArray]:
        """One block; may be asked for by several threads at a time.

        Returns
        -------
        first, second : ndarray of int64, shape (k,)
            Numbers from the first and the second range.
        source : ndarray of int64, shape (k,)
            Which pair of ranges each came from.
        """
        sizes, ends = self._sizes, self._ends
        end = min(begin + BLOCK_PAIRS, int(ends[-1]))
        low, high = np.searchsorted(ends, [begin, end - 1], side="right")
        span = slice(low, high + 1)
        # Of the first and the last product, only a part may fall into this block.
        lengths = np.minimum(ends[span], end) - np.maximum(ends[span] - sizes[span], begin)
        source = np.repeat(np.arange(low, high + 1), lengths)
        # Repeating is several times as fast as gathering by `source`.
        first, second = (np.repeat(starts[span], lengths) for starts in self._starts)
        if int(sizes[span].max()) > 1:  # otherwise each product is of one and one
            offset = np.arange(begin, end) - np.repeat((ends - sizes)[span], lengths)
            if int(self._second_sizes[span].max()) == 1:
                first += offset
            elif int(self._first_sizes[span].max()) == 1:
                second += offset
            else:
                rows, columns = np.divmod(offset, np.repeat(self._second_sizes[span], lengths))
                first += rows
                second += columns
        return first, second, source
