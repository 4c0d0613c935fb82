"""Every random draw comes from one seed, keyed by what it is for."""

import hashlib

import numpy as np


def seed_sequence(seed: int, *keys: str | int) -> np.random.SeedSequence:
    """Seed sequence of one purpose, for example ``(seed, "train", task, scheme, fold)``.

    Keys are hashed, not added up: neighbouring seeds or folds share nothing, and a new task or
    fold changes no other draw.
    """
    digest = hashlib.sha256("\x1f".join(map(str, keys)).encode()).digest()
    return np.random.SeedSequence([seed, *np.frombuffer(digest, dtype="<u4").tolist()])


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """NumPy random generator of one purpose; see `seed_sequence`."""
    return np.random.default_rng(seed_sequence(seed, *keys))


def integer_seed(seed: int, *keys: str | int) -> int:
    """63-bit seed of one purpose for libraries that take an integer, such as torch."""
    return int(seed_sequence(seed, *keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
