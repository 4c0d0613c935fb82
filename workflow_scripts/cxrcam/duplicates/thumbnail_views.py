"""Thumbnails that are chosen or changed when they are asked for, never all at once.

A million thumbnails take 1 GB. The search looks at them mirrored, inverted and cropped: as arrays,
each of these would take that much again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array


@dataclass(frozen=True)
class ThumbnailView:
    """Some thumbnails of an array, each changed in the same way.

    Attributes
    ----------
    source : uint8 array, shape (m, 32, 32)
    rows : int64 array, shape (n,)
        Which of them, in which order.
    change : callable
        Gives k changed thumbnails for k thumbnails, each by itself.
    """

    source: UInt8Array
    rows: Int64Array
    change: Callable[[UInt8Array], UInt8Array] = lambda thumbnails: thumbnails

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """As of an array."""
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array: (n, 32, 32)."""
        return (len(self.rows), *self.source.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | Int64Array) -> UInt8Array:
        return self.change(self.source[self.rows[chosen]])


Thumbnails = UInt8Array | ThumbnailView
