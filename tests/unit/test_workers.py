"""Shared work: in order, a few items ahead, and over when something fails."""

import threading

import pytest
from threadpoolctl import threadpool_info

from workflow_scripts.cxrcam.workers import AHEAD, Workers, slices


def test_results_come_in_the_order_of_the_items_though_the_first_ends_last():
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        if item == 1:
            second_done.set()
        return item

    with Workers(2) as workers:
        assert list(workers.map(work, range(5))) == list(range(5))


@pytest.mark.parametrize("threads", [1, 3])
def test_items_are_taken_as_they_are_needed(threads):
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    with Workers(threads) as workers:
        results = workers.map(str, items())
        assert [next(results) for _ in range(3)] == ["0", "1", "2"]
        assert len(taken) <= 3 + AHEAD * threads


@pytest.mark.parametrize("threads", [1, 2])
def test_items_may_come_from_another_map(threads):
    with Workers(threads) as workers:
        squares = workers.map(lambda item: item**2, range(20))
        assert list(workers.map(lambda item: item + 1, squares)) == [k**2 + 1 for k in range(20)]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_fails_is_heard_of_and_the_rest_is_given_up(threads):
    done = []

    def work(item: int) -> None:
        done.append(item)
        if item == 2:
            raise ValueError("the third")

    with pytest.raises(ValueError, match="the third"), Workers(threads) as workers:
        list(workers.map(work, range(1000)))
    assert len(done) <= 3 + 2 * AHEAD * threads


def test_slices_divide_all_rows_and_no_other():
    rows = list(range(10))
    assert [rows[part] for part in slices(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(slices(0, 4)) == []


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_matrix_products_stay_in_their_thread_and_are_given_back():
    before = blas_threads()
    with Workers(2):
        assert blas_threads() == {1}
    assert blas_threads() == before
