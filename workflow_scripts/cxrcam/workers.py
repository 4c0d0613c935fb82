"""Threads that share work whose results come in the order of the work, a few ahead at most."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Results for each thread that wait for the one whose turn it is: what bounds memory.
AHEAD: Final = 2


class Workers:
    """Context in which `map` shares work among threads.

    NumPy releases Python's lock, so threads are enough. Results do not depend on their number: work
    is cut without regard to it, taken in order, and matrix products stay in their thread.

    Parameters
    ----------
    threads : int
        With 1, none is started.
    """

    def __init__(self, threads: int) -> None:
        self._ahead = AHEAD * threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Self:
        self._limits = threadpool_limits(1, "blas")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield what `function` makes of each item, in their order.

        Items are taken when they are needed. They may come from another `map`, but `function` must
        not call one: all threads could end up waiting for each other.
        """
        if self._pool is None:
            yield from map(function, items)
            return
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(function, item))
            if len(waiting) > self._ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def slices(n: int, size: int) -> Iterator[slice]:
    """Divide n rows into slices of `size` and a rest."""
    return (slice(start, start + size) for start in range(0, n, size))
