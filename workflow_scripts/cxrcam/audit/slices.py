"""Slices: groups of images that nobody named, and on which a network is wrong far more often.

Of one network, class by class, one image a patient, as images of one patient are no two pieces of
evidence:

1. The features before the last layer are standardised, and what goes with the scores is taken out
   by linear regression on the scores. A network answers from its features, so that images near
   the boundary between two classes lie together in any case: left in, each network with mistakes
   would have a "slice" of them. The regression is fitted to the right answers only; fitted to all,
   it would take out a slice that consists of mistakes.
2. The images are halved, mistakes evenly. On one half, k-means on ten principal components forms
   groups, of several sizes; the group whose mistakes are the most surprising is chosen.
3. On the other half, which had no part in the choice, that group is compared with the rest of its
   class: one-sided, against odds of a mistake that are twice those of the rest (Fisher's noncentral
   hypergeometric distribution; twice, as regression takes out only what is linear). P values of all
   classes and networks are corrected together for the false-discovery rate
   (Benjamini & Hochberg 1995).

The idea, clusters in a network's own features that tell where it errs, is that of Domino (Eyuboglu
et al. 2022, ICLR), Spotlight (d'Eon et al. 2022, FAccT) and GEORGE (Sohoni et al. 2020, NeurIPS).

In features without slices, whose scores decide the mistakes, a class has a slice "found" in 0.0 to
2.7 % of 300 data sets each, Gaussian or rectified, of 150 to 1,000 images; with features and odds
as they are in 63 to 80 %. A planted slice of 15 % of the images, with a score lower by 3 standard
deviations, is found in 64 % of sets of 150 images, in all of 400 (`benchmarks/slices.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom, nchypergeom_fisher
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.seeds import generator

LEVEL: Final = 0.05
"""False-discovery rate: share of the slices found that may be none, on average."""

LEAST_ODDS: Final = 2.0
"""Odds of a mistake, as a multiple of the rest's, that must be exceeded."""

FEWEST_IMAGES: Final = 10
"""Of a slice, in each half."""

FEWEST_MISTAKES: Final = 8
"""Of a class; half of them remain to test with."""

COMPONENTS: Final = 10
PARTS: Final = (2, 4, 8)
"""Numbers of groups that a class is divided into."""

MOST_NAMED: Final = 12
"""Images of a slice that are named and drawn."""

COLUMNS: Final = (
    *("fold", "seed", "label", "n", "n_mistakes", "accuracy", "low", "high"),
    *("n_rest", "rest_accuracy", "p", "corrected_p", "is_found", "image_ids", "traits", "reason"),
)


@dataclass(frozen=True)
class Answered:
    """What one network says of its n test images.

    Attributes
    ----------
    fold, seed : int
    images : DataFrame of n rows
        ``image_id``, ``label``, ``group``, ``predicted``, ``correct``.
    scores : float array, shape (n, c)
        Logits of the classes.
    features : float array, shape (n, k)
        What the last layer sees.
    """

    fold: int
    seed: int
    images: pd.DataFrame
    scores: Float64Array
    features: Float64Array


@dataclass(frozen=True)
class Slice:
    """A group among the n images of a class.

    Attributes
    ----------
    is_member, is_tested : bool array, shape (n,)
        Images of the group, and of the half that the p value comes from.
    p : float
    """

    is_member: BoolArray
    is_tested: BoolArray
    p: float


def worst_slice(
    features: Float64Array, scores: Float64Array, is_wrong: BoolArray, rng: np.random.Generator
) -> Slice | str:
    """The group of images of one class that has the most surprising number of mistakes.

    Parameters
    ----------
    features : float array, shape (n, k)
    scores : float array, shape (n, c)
    is_wrong : bool array, shape (n,)
    rng : Generator

    Returns
    -------
    Slice or str
        Why there is none.
    """
    if not features.shape[1]:
        return "no numbers before the last layer of this network"
    if reason := _why_too_few(is_wrong):
        return reason
    if not np.ptp(features, axis=0).any():
        return "all images are alike to this network"
    is_tested = _half(is_wrong, rng)
    seed = int(rng.integers(2**31))
    with threadpool_limits(1):  # sums of several threads come in any order
        rest = _without_scores(features, scores, ~is_wrong)
        pca = PCA(min(COMPONENTS, *rest[~is_tested].shape), svd_solver="full")
        components = pca.fit(rest[~is_tested]).transform(rest)
        groups = [
            labels == number
            for parts in PARTS
            if parts * FEWEST_IMAGES <= (~is_tested).sum()
            for labels in [_labels(components, ~is_tested, parts, seed)]
            for number in range(parts)
        ]
    large = [group for group in groups if _is_large(group, is_tested)]
    if not large:
        return f"no group has {FEWEST_IMAGES} images in each half"
    chosen = min(large, key=lambda group: _chance(group[~is_tested], is_wrong[~is_tested]))
    p = _chance(chosen[is_tested], is_wrong[is_tested], LEAST_ODDS)
    return Slice(chosen, is_tested, p)


def _is_large(group: BoolArray, is_tested: BoolArray) -> bool:
    """Whether a group, and what is left of its class, has enough images in each half."""
    counts = [(own & half).sum() for own in (group, ~group) for half in (is_tested, ~is_tested)]
    return bool(min(counts) >= FEWEST_IMAGES)


def _why_too_few(is_wrong: BoolArray) -> str:
    """Why a class cannot be searched; empty if it can."""
    n, wrong = len(is_wrong), int(is_wrong.sum())
    if n < 4 * FEWEST_IMAGES:
        return f"fewer than {4 * FEWEST_IMAGES} test images (patients)"
    if wrong < FEWEST_MISTAKES:
        return f"fewer than {FEWEST_MISTAKES} mistakes"
    few_right = n - wrong < 2 * FEWEST_IMAGES
    return f"fewer than {2 * FEWEST_IMAGES} right answers" if few_right else ""


def _half(is_wrong: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Half of the mistakes and half of the right answers."""
    chosen = np.zeros(len(is_wrong), dtype=bool)
    for kind in (is_wrong, ~is_wrong):
        drawn = rng.permutation(np.flatnonzero(kind))
        chosen[drawn[: (len(drawn) + 1) // 2]] = True
    return chosen


def _without_scores(
    features: Float64Array, scores: Float64Array, is_right: BoolArray
) -> Float64Array:
    """Standardised features, less what the scores tell of them."""
    spread = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    # Of c scores, c - 1 differences decide.
    differences = scores[:, :-1] - scores[:, -1:]
    design = np.column_stack([np.ones(len(scores)), differences])
    slopes = np.linalg.lstsq(design[is_right], standard[is_right], rcond=None)[0]
    rest: Float64Array = standard - design @ slopes
    return rest


def _labels(components: Float64Array, is_fitted: BoolArray, parts: int, seed: int) -> Int64Array:
    """Group of each image; of those not fitted, that of the nearest centre."""
    found = KMeans(parts, n_init=5, random_state=seed).fit(components[is_fitted])
    labels: Int64Array = found.predict(components).astype(np.int64)
    return labels


def _chance(is_member: BoolArray, is_wrong: BoolArray, odds: float = 1.0) -> float:
    """Probability of so many mistakes or more in a group, at a given ratio of the odds."""
    n, wrong, size = len(is_wrong), int(is_wrong.sum()), int(is_member.sum())
    found = int((is_member & is_wrong).sum())
    if odds == 1.0:
        return float(hypergeom.sf(found - 1, n, wrong, size))
    return float(nchypergeom_fisher.sf(found - 1, n, wrong, size, odds))


def slice_table(runs: Sequence[Answered]) -> tuple[pd.DataFrame, list[pd.DataFrame | None]]:
    """The worst slice of each class and network.

    Parameters
    ----------
    runs : sequence of Answered
        Their features are not comparable: slices are found in each.

    Returns
    -------
    table : DataFrame
        `COLUMNS`, a row a network and class: of the images tested those of the slice (``n``,
        ``n_mistakes``, ``accuracy`` with its 95 % interval) and of the rest of the class; ``p``,
        corrected for all rows; ``is_found``; names of up to `MOST_NAMED` images, mistakes first; or
        ``reason``. ``traits`` is empty.
    members : list of DataFrame or None
        Of each row the images of the class, with ``is_member`` and ``is_tested``.
    """
    rows: list[dict[str, Any]] = []
    members: list[pd.DataFrame | None] = []
    for run in runs:
        for label in sorted(run.images["label"].unique()):
            rows.append({"fold": run.fold, "seed": run.seed, "label": label, "traits": ""})
            own = run.images[run.images["label"] == label].sort_values("image_id")
            own = own.drop_duplicates("group")
            is_wrong = ~own["correct"].to_numpy(dtype=bool)
            places = run.images.index.get_indexer(own.index)
            rng = generator(run.seed, "slices", run.fold, label)
            found = worst_slice(run.features[places], run.scores[places], is_wrong, rng)
            if isinstance(found, str):
                rows[-1] |= {"reason": found, "is_found": False}
                members.append(None)
                continue
            own = own.assign(is_member=found.is_member, is_tested=found.is_tested)
            rows[-1] |= _numbers(own) | {"p": found.p, "reason": ""}
            members.append(own)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    is_tested = table["p"].notna()
    if is_tested.any():
        p = table.loc[is_tested, "p"].to_numpy(dtype=np.float64)
        table.loc[is_tested, "corrected_p"] = false_discovery_control(p)
        table["is_found"] = (table["corrected_p"] < LEVEL).to_numpy(dtype=bool)
    return table, members


def _numbers(images: pd.DataFrame) -> dict[str, Any]:
    """What is told of a slice: of the images tested, as the others had a part in choosing it."""
    tested = images[images["is_tested"]]
    of_slice, rest = tested[tested["is_member"]], tested[~tested["is_member"]]
    right = int(of_slice["correct"].sum())
    low, high = wilson_interval(right, len(of_slice))
    return {
        **{"n": len(of_slice), "n_mistakes": len(of_slice) - right},
        **{"accuracy": right / len(of_slice), "low": low, "high": high},
        **{"n_rest": len(rest), "rest_accuracy": float(rest["correct"].mean())},
        "image_ids": " | ".join(named_images(images)["image_id"]),
    }


def named_images(images: pd.DataFrame) -> pd.DataFrame:
    """Images of a slice that are named and drawn: of those tested, mistakes first."""
    of_slice = images[images["is_tested"] & images["is_member"]]
    return of_slice.sort_values(["correct", "image_id"]).head(MOST_NAMED)
