"""Checks of the number itself: precision, luck of the seed, calibration, images from elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import pandas as pd

from workflow_scripts.cxrcam.metrics.calibration_bins import CALIBRATION_BINS
from workflow_scripts.cxrcam.verdict.check import FAILED, PASSED, Check, CheckKind, per_cent
from workflow_scripts.cxrcam.verdict.pooling import (
    designs,
    difference_of_shares,
    first_reason,
    pooled_share,
)

EXTERNAL: Final = CheckKind(
    "external data",
    "Does the accuracy hold on images from elsewhere?",
    "inflation",
    10,
    "audit/external.csv",
    "external data were not tested",
)
PRECISION: Final = CheckKind(
    "size of the test set",
    "Are there enough test images to tell?",
    "limits",
    100,
    "tables/metrics.csv",
)
SEEDS: Final = CheckKind(
    "luck of the seed",
    "Do trainings that differ only in their seed agree?",
    "limits",
    110,
    "tables/metrics.csv",
)
CALIBRATION: Final = CheckKind(
    "calibration",
    "Is the network as often right as it says?",
    "limits",
    120,
    "audit/calibration.csv",
)

FEWEST_PER_CLASS: Final = 30
"""Test images of the rarest class. With 30, a sensitivity of 0.9 is known to ± 11 points."""

WIDEST_INTERVAL: Final = 0.20
"""Width of the 95 % interval of the accuracy."""

LARGEST_DROP: Final = 0.05
"""Loss of accuracy on images from elsewhere that is forgiven."""

EXCLUDED_DROP: Final = 0.10
"""Loss that must be ruled out before "holds" is said: Zech et al. 2018 saw this and more."""

CALIBRATION_ERROR: Final = 0.05
"""Expected calibration error that is forgiven."""


def check_precision(runs: pd.DataFrame | None) -> list[Check]:
    """Whether the test set is large enough; one check a design, over its folds together.

    Failed if the rarest class has fewer than 30 test images or the 95 % interval (Wilson) of the
    accuracy is wider than 20 points: such a number cannot tell a good network from a mediocre one.
    CLAIM 2024 asks for the reason of the sample size; Riley et al. 2021, Stat Med 40:4230, for
    interval widths as that reason.

    Parameters
    ----------
    runs : DataFrame or None
        One row a run: ``task``, ``scheme``, ``fold``, ``n``, ``accuracy`` and, where known,
        ``n_smallest_class``.
    """
    if runs is None or runs.empty:
        return [PRECISION.not_assessable("no network was tested")]
    checks = []
    for subject, rows in designs(runs, ("fold", "n", "accuracy")):
        share = pooled_share(rows)
        if share is None:
            checks.append(PRECISION.not_assessable("there are no test images", subject=subject))
            continue
        width = share.high - share.low
        faults = []
        if width > WIDEST_INTERVAL:
            faults.append(f"the interval is {100 * width:.0f} points wide, more than 20")
        finding, rarest = f"{share}, {100 * width:.0f} points wide", None
        if "n_smallest_class" in rows.columns and rows["n_smallest_class"].notna().all():
            rarest = int(rows.groupby("fold")["n_smallest_class"].min().sum())
            finding += f"; {rarest:,} of the rarest class"
            if rarest < FEWEST_PER_CLASS:
                faults.append(f"the rarest class has {rarest} test images, fewer than 30")
        good = "the interval is at most 20 points wide"
        good += ", each class has at least 30" if rarest is not None else ", classes not counted"
        checks.append(
            PRECISION.result(
                FAILED if faults else PASSED,
                finding,
                "; ".join(faults) or good,
                subject=subject,
                clause=f"{share.n:,} test images are too few to tell",
            )
        )
    return checks


def check_seeds(runs: pd.DataFrame | None) -> list[Check]:
    """Whether the accuracy hangs on the seed of the training; one check a design.

    Failed if two seeds, each over all folds together, differ by more than the 95 % interval of the
    accuracy is wide: then the luck of the training outweighs the luck of the test images, and the
    interval promises too much. Not assessable with one seed. Bouthillier et al. 2021, MLSys 3:747.

    Parameters
    ----------
    runs : DataFrame or None
        One row a run: ``task``, ``scheme``, ``fold``, ``seed``, ``n``, ``accuracy``.
    """
    if runs is None or runs.empty:
        return [SEEDS.not_assessable("no network was tested")]
    checks = []
    for subject, rows in designs(runs, ("fold", "seed", "n", "accuracy")):
        by_seed = [pooled_share(of_seed) for _, of_seed in rows.groupby("seed")]
        values = [share.value for share in by_seed if share is not None]
        share = pooled_share(rows)
        if len(values) < 2 or share is None:
            why = "there is one seed; set `seeds: [0, 1, 2]`"
            checks.append(SEEDS.not_assessable(why, subject=subject))
            continue
        spread, width = max(values) - min(values), share.high - share.low
        finding = (
            f"{len(values)} seeds: {per_cent(min(values))} to {per_cent(max(values))}"
            f" (n = {share.n:,} each)"
        )
        more = "more" if spread > width else "no more"
        why = f"the range is {more} than the width of the 95 % interval, {100 * width:.0f} points"
        checks.append(
            SEEDS.result(
                FAILED if spread > width else PASSED,
                finding,
                why,
                subject=subject,
                clause=f"another seed gives {per_cent(min(values))} to {per_cent(max(values))}",
            )
        )
    return checks


def calibration_noise(accuracy: float, n: int) -> float:
    """Largest expected calibration error that a perfectly calibrated network shows by chance.

    In a bin of m images that are right with probability p the expected distance is about
    √(2 / π) · √(p (1 − p) / m). Summed over B bins with weights m / n, by Cauchy's inequality and
    the concavity of p (1 − p), it is at most √(2 B a (1 − a) / (π n)) for accuracy a.
    """
    return math.sqrt(2 * CALIBRATION_BINS * accuracy * (1 - accuracy) / (math.pi * n))


def check_calibration(calibration: pd.DataFrame | None) -> list[Check]:
    """Whether probabilities can be taken at their word; one check a design.

    Judged is the expected calibration error after temperature scaling, or before it where no
    temperature was fitted. Failed if it exceeds 0.05 by more than `calibration_noise`; not
    assessable, unless it fails, where the noise alone exceeds 0.05 (some hundreds of test images
    are needed). Guo et al. 2017, PMLR 70:1321; Kumar et al. 2019, NeurIPS, for the bias.

    Parameters
    ----------
    calibration : DataFrame or None
        One row a run: ``task``, ``scheme``, ``fold``, ``n``, ``accuracy``, ``ece_before``,
        ``ece_after`` (missing where none was fitted), optionally ``reason``.
    """
    if calibration is None or calibration.empty:
        return [CALIBRATION.not_assessable("calibration was not measured")]
    checks = []
    for subject, rows in designs(calibration, ("fold", "n", "accuracy", "ece_before", "ece_after")):
        share = pooled_share(rows)
        before, after = pooled_share(rows, "ece_before"), pooled_share(rows, "ece_after")
        if share is None or before is None:
            why = first_reason(rows, "no calibration error is known")
            checks.append(CALIBRATION.not_assessable(why, subject=subject))
            continue
        scaled = after is not None and bool(rows["ece_after"].notna().all())
        error = after.value if scaled and after is not None else before.value
        # Errors are averaged over the folds, each with the noise of its own images.
        noise = calibration_noise(share.value, max(1, round(float(rows["n"].mean()))))
        finding = f"expected calibration error {before.value:.3f}"
        finding += (
            f", after temperature scaling {error:.3f}"
            if scaled
            else f", no temperature ({first_reason(rows, 'none was fitted')})"
        )
        finding += f" (n = {share.n:,})"
        rule = f"chance alone gives up to {noise:.3f}, and {CALIBRATION_ERROR:.2f} is forgiven"
        if error > CALIBRATION_ERROR + noise:
            clause = "its probabilities cannot be taken at their word"
            checks.append(CALIBRATION.result(FAILED, finding, rule, subject=subject, clause=clause))
        elif noise > CALIBRATION_ERROR:
            why = f"too few test images: {rule}"
            checks.append(CALIBRATION.not_assessable(why, finding=finding, subject=subject))
        else:
            checks.append(CALIBRATION.result(PASSED, finding, rule, subject=subject))
    return checks


def check_external(external: pd.DataFrame | None) -> list[Check]:
    """Whether the accuracy holds on data sets never trained on; one check a design and data set.

    - failed: the accuracy falls by more than 5 points (lower bound of the difference, Newcombe's
      method 10), or its upper bound is no higher than the share of the commonest class;
    - passed: its lower bound is above that share and a fall by more than 10 points is ruled out;
    - otherwise not assessable. Sources may share shortcuts, so that "passed" is no proof either
      (DeGrave et al. 2021). Zech et al. 2018, PLoS Med 15:e1002683.

    Parameters
    ----------
    external : DataFrame or None
        One row a run and data set: ``task``, ``scheme``, ``fold``, ``data_set``, ``n``,
        ``accuracy``, ``majority_share``, ``internal_n``, ``internal_accuracy``. All runs of a
        design answer the same external images: their accuracies are averaged.
    """
    if external is None or external.empty:
        return [EXTERNAL.not_assessable("no external data set was given (`external:`)")]
    columns = ("fold", "data_set", "n", "accuracy", "majority_share", "internal_n")
    checks = []
    for subject, rows in designs(external, (*columns, "internal_accuracy")):
        for data_set, of_set in rows.groupby("data_set", sort=False):
            checks.append(_external(subject, str(data_set), of_set))
    return checks


def _external(subject: str, data_set: str, rows: pd.DataFrame) -> Check:
    outside = pooled_share(rows.assign(fold=0))
    inside = pooled_share(
        rows[["fold"]].assign(accuracy=rows["internal_accuracy"], n=rows["internal_n"])
    )
    if outside is None or inside is None:
        why = first_reason(rows, "an accuracy is missing")
        return EXTERNAL.not_assessable(why, subject=subject, detail=data_set)
    majority = float(rows["majority_share"].mean())
    drop = difference_of_shares(inside, outside)
    fall = f"{100 * drop.value:.0f} points ({100 * drop.low:.0f} to {100 * drop.high:.0f})"
    finding = f"{outside}, here {inside}; fall of {fall}; commonest class {per_cent(majority)}"
    clause = f"on images from elsewhere ({data_set}) it reaches {per_cent(outside.value)}"
    if drop.low > LARGEST_DROP:
        why = "the accuracy falls by more than 5 points"
    elif outside.high <= majority:
        why = "it is no better than the commonest class"
    elif outside.low > majority and drop.high <= EXCLUDED_DROP:
        why = "better than the commonest class, and a fall by more than 10 points is ruled out"
        return EXTERNAL.result(PASSED, finding, why, subject=subject, detail=data_set)
    else:
        why = f"{outside.n:,} images rule out neither a fall by 10 points nor none"
        undecided = EXTERNAL.not_assessable(why, finding=finding, subject=subject, detail=data_set)
        # They were tested: the sentence must not say otherwise.
        return replace(undecided, clause="external images are too few to tell")
    return EXTERNAL.result(FAILED, finding, why, subject=subject, clause=clause, detail=data_set)
