"""Slices that are none, and planted ones: `python -m benchmarks.slices`.

Features of one class as a network has them, of which a score is a linear function that decides
which answers are wrong: Gaussian and correlated, or cut off at 0 as behind a ReLU. Nothing is
grouped there; a slice found is a false one. Then with a planted slice: 15 % of the images, apart
from the others in a direction that the network does not use, with a score that is 3 standard
deviations lower. `--plain` looks as one would without further thought: features as they are, and
any excess of mistakes counts. Prints a table and writes it to results/benchmarks/slices.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit import slices
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval

FEATURES = 64
SHARE, APART, LOWER = 0.15, 6.0, 3.0
KINDS = ("gaussian", "rectified", "planted")


def data_set(kind: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 64) and scores (n, 2) of images of the second class; one in six is wrong."""
    mixed = np.geomspace(1, 0.1, FEATURES)[:, None] * rng.normal(size=(FEATURES, FEATURES))
    features = rng.normal(size=(n, FEATURES)) @ mixed
    weights, apart = rng.normal(size=(2, FEATURES))
    is_slice = (rng.random(n) < SHARE) & (kind == "planted")
    if kind == "rectified":
        features = np.maximum(0, features + features.std(axis=0) * rng.normal(size=FEATURES))
    apart /= np.linalg.norm(apart)
    weights -= apart * (weights @ apart)
    score = features @ weights
    score = (score - score.mean()) / score.std() + 1.0 - LOWER * is_slice
    features += APART * (features @ apart).std() * np.outer(is_slice, apart)
    return features, np.column_stack([np.zeros(n), score])


def share_found(kind: str, n: int, repeats: int) -> int:
    """In how many of so many data sets a slice is found."""
    found = 0
    for number in range(repeats):
        rng = np.random.default_rng([number, n, KINDS.index(kind)])
        features, scores = data_set(kind, n, rng)
        of_class = slices.worst_slice(features, scores, scores[:, 1] < 0, rng)
        found += not isinstance(of_class, str) and of_class.p < slices.LEVEL
    return found


def main() -> None:
    """Measure all kinds and sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--images", type=int, nargs="+", default=[150, 400, 1000])
    parser.add_argument("--plain", action="store_true", help="features and odds as they are")
    asked = parser.parse_args()
    if asked.plain:
        slices.LEAST_ODDS = 1.0
        slices._without_scores = lambda features, scores, is_right: features
    rows = []
    for kind in KINDS:
        for n in asked.images:
            found = share_found(kind, n, asked.repeats)
            low, high = wilson_interval(found, asked.repeats)
            rows.append({"kind": kind, "images": n, "found": found, "of": asked.repeats})
            rows[-1] |= {"share": found / asked.repeats, "low": low, "high": high}
            print(f"{kind:<10} {n:>5} images: {found / asked.repeats:.3f} ({low:.3f}–{high:.3f})")
    target = Path("results/benchmarks/slices.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
