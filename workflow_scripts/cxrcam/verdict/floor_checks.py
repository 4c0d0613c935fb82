"""Checks against classifiers that cannot see the lungs, and against images without lungs.

Two questions that must not be mixed up. *Do the data give the classes away?* is about the data: a
floor that sees nothing of the lungs tells the classes apart. *Is the network better than a floor?*
is about the network. Floors that see part of the lungs may beat guessing on clean data, because a
disease changes greys too; only what no disease explains is a failure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import pandas as pd

from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.check import (
    FAILED,
    NOT_ASSESSABLE,
    PASSED,
    Check,
    CheckKind,
    per_cent,
)
from workflow_scripts.cxrcam.verdict.pooling import (
    Estimate,
    confidence_of,
    designs,
    first_reason,
    pooled_estimate,
    pooled_share,
)

GIVEN_AWAY: Final = CheckKind(
    "the data give it away",
    "Is the class hidden from classifiers that cannot see the lungs?",
    "shortcut",
    20,
    "audit/floors.csv",
    "too little is known of what classifiers reach that cannot see the lungs",
)
BETTER: Final = CheckKind(
    "better than a blind classifier",
    "Is the network right more often than the best classifier that cannot see lung detail?",
    "shortcut",
    30,
    "tables/metrics.csv",
    "the network is not shown to beat a classifier that cannot see lung detail",
)
MASKED: Final = CheckKind(
    "masked input",
    "Does the accuracy come from the lungs?",
    "shortcut",
    60,
    "audit/masked_inputs.csv",
)

SEES: Final = {
    "majority": "sees nothing and always gives the commonest class",
    "histogram": "counts the greys and sees no shape",
    "border": "sees only the image border",
    "corners": "sees only the four corners of the image",
    "centre_black": "sees the image with its centre blacked out",
    "thumbnail": "sees only a thumbnail of 28 x 28 cells",
}
"""What each floor sees, to stand after "a classifier that"."""

BLIND: Final = ("border", "corners")
"""Floors that see no lung at all."""

NOT_JUDGED: Final = ("majority", "thumbnail")
"""Sees nothing; sees the lungs, and on clean phantoms is right on 80 to 90 % for good reasons."""

BLIND_MARGIN: Final = 0.05
"""Accuracy above the commonest class that is forgiven to a blind floor."""

PARTLY_GAIN: Final = 0.6
"""Gain, see `_gain`, that is forgiven to a floor that sees part of the lungs."""

NOTICED: Final = 0.3
"""A check that would only notice a gain this far above what it forgives cannot be passed."""

KEPT: Final = 0.5
"""Share of the network's gain from which on it "keeps most of its accuracy"."""


def _gain(accuracy: float, majority: float) -> float:
    """Way from the commonest class (0) to always right (1)."""
    return (accuracy - majority) / (1.0 - majority) if majority < 1.0 else 0.0


def _forgiven(floor: str, majority: float) -> float:
    """Accuracy up to which a floor is no alarm."""
    allowed = BLIND_MARGIN if floor in BLIND else PARTLY_GAIN * (1.0 - majority)
    return min(1.0, majority + allowed)


def _least_noticed(forgiven: float, n: int, confidence: float) -> float | None:
    """Smallest accuracy on n images whose lower bound lies above `forgiven`; None if there is none.

    The bound grows with the number of right answers, so that the search can halve.
    """
    first, last = 0, n + 1
    while first < last:
        middle = (first + last) // 2
        if wilson_interval(middle, n, confidence).low > forgiven:
            last = middle
        else:
            first = middle + 1
    return first / n if first <= n else None


def check_given_away(every_floor: pd.DataFrame | None) -> list[Check]:
    """Whether the classes can be told apart without the lungs; one check a design.

    Failed if for one floor the lower bound of its accuracy lies above what is forgiven:

    - border and corners see no lung: 5 points above the commonest class;
    - histogram and centre blacked out see some of what a disease does: 0.6 of the way from the
      commonest class to always right (two classes: 80 %, three: 73 %).

    Majority and thumbnail are not judged here. The bounds are Wilson's at a confidence of
    1 − 0.05 / k, where k counts the floors judged over all designs (Bonferroni): with k looks one
    in twenty would otherwise fail by luck. Not assessable where so few images were tested that
    only a gain 0.3 above the forgiven one would have been noticed.

    Chosen on phantoms of two classes, 150 each, cross-validated (n = 300): on 10 clean sets border
    and corners reached 0.56 at most, histogram 0.75, centre blacked out 0.79; with a marker in the
    corner that follows the class centre blacked out reached 0.94 to 0.97 on 10 sets; with exposure
    histogram 0.97 or more. A single part of 60 test images cannot tell: clean and marked overlap.
    On real data (COVID against Normal, 6,000 images) corners reach 0.89 and histogram 0.92.
    DeGrave et al. 2021, Nat Mach Intell 3:610; Maguolo & Nanni 2021, Inf Fusion 76:1.

    Parameters
    ----------
    every_floor : DataFrame or None
        One row a floor and fold: ``task``, ``scheme``, ``fold``, ``floor``, ``n``, ``accuracy``,
        ``majority_share``. Scheme "": cross-validated over all images of the task, which is what
        small data sets need.
    """
    if every_floor is None or every_floor.empty:
        return [GIVEN_AWAY.not_assessable("no floor was computed")]
    columns = ("fold", "floor", "n", "accuracy", "majority_share")
    parts = list(designs(every_floor, columns))
    judged = every_floor[~every_floor["floor"].isin(NOT_JUDGED) & every_floor["accuracy"].notna()]
    comparisons = len(judged[["task", "scheme", "floor"]].drop_duplicates())
    return [_given_away(subject, rows, comparisons) for subject, rows in parts]


def _given_away(subject: str, rows: pd.DataFrame, comparisons: int) -> Check:
    confidence = confidence_of(comparisons)
    majority = pooled_share(rows, "majority_share")
    findings, alarms, unnoticed = [], [], []
    judged = 0
    for floor, of_floor in rows.groupby("floor", sort=False):
        name = str(floor)
        share = pooled_share(of_floor, confidence=confidence)
        if share is None or majority is None or name == "majority":
            continue
        findings.append(f"{name} {share}")
        if name in NOT_JUDGED:
            continue
        judged += 1
        forgiven = _forgiven(name, majority.value)
        least = _least_noticed(forgiven, share.n, confidence)
        if share.low > forgiven:
            alarms.append((share.low - forgiven, name, share, forgiven))
        elif least is None or _gain(least, majority.value) > NOTICED + _gain(
            forgiven, majority.value
        ):
            needed = "no accuracy" if least is None else f"only {per_cent(least)} or more"
            unnoticed.append(f"of {name} {needed} would have been noticed with n = {share.n:,}")
    if not judged or majority is None:
        why = first_reason(rows, "no floor that could be judged has an accuracy")
        return GIVEN_AWAY.not_assessable(why, subject=subject)
    finding = f"{'; '.join(findings)}; commonest class {per_cent(majority.value)}"
    rule = f"intervals at {100 * confidence:.1f} %, as {comparisons} floors were judged"
    if alarms:
        # Border and corners first: what they find needs no explanation.
        _, name, share, _ = max(alarms, key=lambda a: (a[1] in BLIND, a[0]))
        limits = ", ".join(f"{a[1]} above {per_cent(a[3])}" for a in alarms)
        clause = (
            f"a classifier that {SEES.get(name, f'sees only {name}')} reaches"
            # The figure beside the sentence has another number: that of the headline's test images.
            f" {per_cent(share.value)} (cross-validated, n = {share.n:,}), where guessing gives"
            f" {per_cent(majority.value)}"
        )
        return GIVEN_AWAY.result(
            FAILED, finding, f"lower bounds: {limits} ({rule})", subject=subject, clause=clause
        )
    if unnoticed:
        why = f"too few test images: {'; '.join(unnoticed)}"
        return GIVEN_AWAY.not_assessable(why, finding=finding, subject=subject)
    why = f"no floor is above what a disease may explain ({rule})"
    return GIVEN_AWAY.result(PASSED, finding, why, subject=subject)


def check_better_than_floor(
    runs: pd.DataFrame | None, given_away: Collection[str] = ()
) -> list[Check]:
    """Whether the network beats the best floor on the same test images; one check a design.

    The gap is accuracy minus that of the best floor, paired image by image. Its 95 % interval is
    widened for the number of designs (Bonferroni).

    - passed: the interval lies above 0;
    - failed: it lies below 0, or it holds 0 where the data give the classes away
      (`check_given_away` failed): then nothing shows that the network sees more than the shortcut;
    - not assessable: it holds 0 on data that give nothing away. A small test set cannot tell, and
      a floor such as the thumbnail may see the disease too; this is no evidence of a shortcut.

    Parameters
    ----------
    runs : DataFrame or None
        One row a run: ``task``, ``scheme``, ``fold``, ``n``, ``accuracy``, ``floor_name``,
        ``floor_accuracy``, ``gap``, ``gap_low``, ``gap_high``.
    given_away : collection of str
        Tasks whose data give the classes away, under whatever design that was found.
    """
    if runs is None or runs.empty:
        return [BETTER.not_assessable("no network was compared with a floor")]
    columns = ("fold", "n", "accuracy", "floor_name", "floor_accuracy", "gap")
    parts = list(designs(runs, (*columns, "gap_low", "gap_high")))
    return [
        _better(subject, rows, len(parts), rows["task"].iloc[0] in given_away)
        for subject, rows in parts
    ]


def _better(subject: str, rows: pd.DataFrame, comparisons: int, given_away: bool) -> Check:
    gap = pooled_estimate(rows, "gap", "gap_low", "gap_high", comparisons)
    network, floor = pooled_share(rows), pooled_share(rows, "floor_accuracy")
    if gap is None or network is None or floor is None:
        why = first_reason(rows, "the gap to the floors has no interval")
        return BETTER.not_assessable(why, subject=subject)
    name = str(rows["floor_name"].mode().iloc[0])
    sees = SEES.get(name, f"sees only {name}")
    finding = (
        f"network {per_cent(network.value)}, {name} {per_cent(floor.value)}; gap"
        f" {_points(gap)} (n = {gap.n:,})"
    )
    clause = (
        f"a classifier that {sees} is as good, {per_cent(floor.value)} against"
        f" {per_cent(network.value)}"
    )
    # Tables show each run's interval at 95 %: a reader who compares must see why this one is wider.
    judged = f" ({comparisons} designs judged)" if comparisons > 1 else ""
    interval = f"the {100 * confidence_of(comparisons):.1f} % interval{judged}"
    if gap.low > 0.0:
        return BETTER.result(PASSED, finding, f"{interval} lies above 0", subject=subject)
    if gap.high < 0.0:
        clause = clause.replace("is as good", "is better")
        return BETTER.result(
            FAILED, finding, f"{interval} lies below 0", subject=subject, clause=clause
        )
    if given_away:
        why = f"{interval} holds 0, and the data give the classes away"
        return BETTER.result(FAILED, finding, why, subject=subject, clause=clause)
    why = f"{interval} holds 0: {gap.n:,} test images do not tell the two apart"
    return BETTER.not_assessable(why, finding=finding, subject=subject)


def _points(gap: Estimate) -> str:
    low, high = 100 * gap.low, 100 * gap.high
    return f"{100 * gap.value:+.0f} points ({low:+.0f} to {high:+.0f})"


def check_masked_inputs(masked: pd.DataFrame | None) -> list[Check]:
    """Whether the network still answers with a part of the image covered; one check a variant.

    Measured as the share of the network's gain over the commonest class that it keeps.

    - failed: the lower bound of the masked accuracy keeps more than half of the gain (Wilson,
      Bonferroni over all designs and variants), so that most of the accuracy does not come from
      what was covered;
    - passed: the upper bound keeps half of it or less; otherwise not assessable, as is a network
      whose own accuracy is not above that of the commonest class;
    - "lungs only" is the other way round: it passes if the lower bound keeps more than half, and
      never fails, as a loss may come from the covering;
    - "centre covered" stands in for the lungs where these are not known. It leaves lung beside the
      square: what survives there is no fault of a network whose gain is gone with the lungs
      themselves covered and stays with the lungs alone, on the very same images. Then it is not
      assessable. The second half is needed, as covered lungs may fail for their looks;
    - networks *retrained* on covered images have a line of their own, by the same rules, against
      the network of the same images uncovered. They are the harder test: a network that never saw
      such images may fail on them for their looks, one that was trained on them cannot.

    Maguolo & Nanni 2021, Inf Fusion 76:1-7, who saw nearly all accuracy survive without lungs.

    Parameters
    ----------
    masked : DataFrame or None
        One row a run and variant: ``task``, ``scheme``, ``fold``, ``variant``, ``n``, ``accuracy``,
        ``majority_share``, ``original_accuracy`` and, optional, ``retrained`` (bool): whether the
        network was trained on covered images, and ``original_accuracy`` is that of another one.
    """
    if masked is None or masked.empty:
        return [MASKED.not_assessable("no network was tested on covered images")]
    columns = ("fold", "variant", "n", "accuracy", "majority_share", "original_accuracy")
    if "retrained" not in masked.columns:
        masked = masked.assign(retrained=False)
    parts = list(designs(masked, columns))
    variants = [*(variant.name for variant in MASKING_VARIANTS)]
    variants += [str(name) for name in masked["variant"].unique() if name not in variants]
    tested = masked[masked["n"] > 0]
    comparisons = len(tested[["task", "scheme", "variant", "retrained"]].drop_duplicates())
    checks: list[Check] = []
    for subject, rows in parts:
        for retrained in (False, True):
            of_way = rows[rows["retrained"].astype(bool) == retrained]
            # Nobody has to train on covered images.
            of_variants = {
                variant: _masked(subject, variant, retrained, of_variant, comparisons)
                for variant in variants
                if len(of_variant := of_way[of_way["variant"] == variant]) or not retrained
            }
            counts = of_way.groupby("variant")["n"].sum()
            checks += _lungs_before_centre(of_variants, counts).values()
    return checks


def _lungs_before_centre(of_variants: dict[str, Check], counts: pd.Series) -> dict[str, Check]:
    """Take back a failure of "centre covered" where all hangs on the lungs, on the same images.

    Parameters
    ----------
    of_variants : dict of str to Check
        By variant.
    counts : Series of int
        Images tested, by variant.
    """
    centre = of_variants.get("centre_black")
    if centre is None or centre.status != FAILED:
        return of_variants
    for variant in ("lungs_out", "lungs_only"):
        known = of_variants.get(variant)
        if known is None or known.status != PASSED or counts[variant] != counts["centre_black"]:
            return of_variants
    why = (
        f"{centre.why}; the gain is gone with the lungs covered and stays with the lungs alone: "
        "what is left is lung beside the square"
    )
    taken_back = replace(centre, status=NOT_ASSESSABLE, why=why, clause=MASKED.untested)
    return of_variants | {"centre_black": taken_back}


def _masked(
    subject: str, variant: str, retrained: bool, rows: pd.DataFrame, comparisons: int
) -> Check:
    known = {v.name: v for v in MASKING_VARIANTS}
    title = known[variant].title if variant in known else variant
    detail = f"retrained on {title}" if retrained else title
    share = pooled_share(rows, confidence=confidence_of(comparisons)) if len(rows) else None
    if share is None:
        needs_masks = variant in known and known[variant].needs_lung_masks
        why = "no test image has a lung mask" if needs_masks else "this variant was not tested"
        return MASKED.not_assessable(first_reason(rows, why), subject=subject, detail=detail)
    majority, original = (
        pooled_share(rows, "majority_share"),
        pooled_share(rows, "original_accuracy"),
    )
    if majority is None or original is None or original.low <= majority.value:
        why = "the network itself is not shown to be better than the commonest class"
        return MASKED.not_assessable(why, finding=str(share), subject=subject, detail=detail)
    gain = original.value - majority.value
    low, value, high = ((x - majority.value) / gain for x in (share.low, share.value, share.high))
    other = "whole images" if retrained else "before covering"
    finding = (
        f"{share}, {other} {per_cent(original.value)}, commonest class {per_cent(majority.value)}"
    )
    rule = (
        f"it keeps {100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f} %) of its gain over the"
        f" commonest class; interval at {100 * confidence_of(comparisons):.1f} %"
    )
    if variant == "lungs_only":
        if low > KEPT:
            return MASKED.result(PASSED, finding, rule, subject=subject, detail=detail)
        unseen = "what is lost may be the place of the lungs in the image"
        if not retrained:
            unseen = "the network has not seen such images, so that a loss proves nothing"
        why = f"{rule}; {unseen}"
        return MASKED.not_assessable(why, finding=finding, subject=subject, detail=detail)
    if low > KEPT:
        covered = title.replace("border only", "all but the border covered")
        clause = f"with {covered} it is still right on {per_cent(share.value)}"
        if retrained:
            clause = (
                f"a network trained with {covered} is right on {per_cent(share.value)},"
                f" where whole images give {per_cent(original.value)}"
            )
        return MASKED.result(FAILED, finding, rule, subject=subject, clause=clause, detail=detail)
    if high <= KEPT:
        return MASKED.result(PASSED, finding, rule, subject=subject, detail=detail)
    why = f"{rule}: the interval holds one half"
    return MASKED.not_assessable(why, finding=finding, subject=subject, detail=detail)
