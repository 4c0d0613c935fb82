"""Seeds: every purpose has its own draw, the same one each time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.cxrcam.seeds import generator, integer_seed, seed_sequence

ROOT = Path(__file__).parents[2]
PURPOSES = [
    (0, "train", "two_class", "holdout", 1),
    (1, "train", "two_class", "holdout", 1),
    (0, "split", "two_class", "holdout", 1),
    (0, "train", "three_class", "holdout", 1),
    (0, "train", "two_class", "holdout", 2),
    (0, "train", "two_class", "holdout", 11),
    (0, "train", "two_class", "holdout1", 1),
    (0, "train", "two_class", 1, "holdout"),
    (0, "train", "two_class", "holdout"),
    (0,),
    (1,),
]


def draws(*keys) -> tuple[int, ...]:
    return tuple(generator(*keys).integers(0, 2**62, 4).tolist())


def test_the_same_purpose_draws_the_same_numbers():
    assert draws(*PURPOSES[0]) == draws(*PURPOSES[0])
    assert integer_seed(*PURPOSES[0]) == integer_seed(*PURPOSES[0])


def test_every_purpose_draws_numbers_of_its_own():
    assert len({draws(*keys) for keys in PURPOSES}) == len(PURPOSES)
    assert len({integer_seed(*keys) for keys in PURPOSES}) == len(PURPOSES)


def test_keys_are_not_run_together():
    assert draws(0, "ab", "c") != draws(0, "a", "bc")
    assert draws(0, 1, 23) != draws(0, 12, 3)


def test_neighbouring_seeds_share_nothing():
    streams = np.stack([generator(seed, "train").random(500) for seed in range(12)])
    correlation = np.corrcoef(streams)[~np.eye(12, dtype=bool)]
    assert np.abs(correlation).max() < 0.2


@given(st.integers(0, 2**32 - 1), st.lists(st.text(max_size=5), max_size=4))
def test_an_integer_seed_fits_every_library(seed, keys):
    value = integer_seed(seed, *keys)
    assert isinstance(value, int)
    assert 0 <= value < 2**63


def test_integer_seeds_use_their_whole_range():
    values = [integer_seed(0, k) for k in range(200)]
    assert max(values) > 2**62
    assert len(set(values)) == 200


def test_the_numbers_are_those_of_every_other_process():
    code = (
        "from workflow_scripts.cxrcam.seeds import integer_seed;"
        "print(integer_seed(7, 'split', 'two_class', 'holdout', 1))"
    )
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert int(other.stdout) == integer_seed(7, "split", "two_class", "holdout", 1)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        seed_sequence(-1, "train")
