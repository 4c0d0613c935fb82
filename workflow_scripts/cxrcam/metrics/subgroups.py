"""How good a network is in each group of images: women and men, ages, views, scanners.

Numbers of seeds are averaged, images that several folds tested count once. Intervals take the
images of one patient for one (the number of groups of images, not of images, goes into them), and
those of AUROCs follow from what each group adds (`metrics.findings`). Gaps between two groups
follow from the two intervals (`intervals.difference_interval`), widened for the number of pairs
and metrics that are looked at (Bonferroni).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.data.listing.traits import why_no_groups
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.findings import Number, auroc_number
from workflow_scripts.cxrcam.metrics.intervals import (
    Interval,
    difference_interval,
    wilson_interval,
)
from workflow_scripts.cxrcam.metrics.ranking import class_log_odds

FEWEST_IMAGES: Final = 30
"""Test images of a group that is assessed."""

FEWEST_OF_KIND: Final = 10
"""Images with, and without, what a sensitivity, specificity or AUROC is about."""

FEWEST_SHOWN: Final = 5
"""Images, and patients, of a group that is shown at all."""

CALIBRATION: Final = "calibration_error"
MEAN_AUROC: Final = "mean_auroc"
MACRO_AUROC: Final = "macro_auroc"
SMALL: Final = f"groups of fewer than {FEWEST_SHOWN} images or patients"

COLUMNS: Final = (
    *("column", "group", "against", "metric", "n", "n_groups", "value", "low", "high"),
    *("comparisons", "at_most", "reason"),
)


@dataclass(frozen=True)
class Answers:
    """What one network says of its n test images.

    Attributes
    ----------
    fold, seed : int
    group : Series of str
        Patient or cluster of copies, by ``image_id``.
    truth, scores : DataFrame of float, shape (n, k)
        By ``image_id``, a column a class or finding: 1, 0 or NaN (not known), and probabilities.
    """

    fold: int
    seed: int
    group: pd.Series
    truth: pd.DataFrame
    scores: pd.DataFrame

    def of(self, chosen: pd.Index) -> "Answers":
        """Those on some images."""
        rows = self.group.index.isin(chosen)
        return Answers(
            *(self.fold, self.seed, self.group[rows], self.truth[rows], self.scores[rows])
        )

    @property
    def correct(self) -> pd.Series:
        """Whether the class of the largest probability is the true one, by ``image_id``."""
        called = self.scores.to_numpy().argmax(axis=1)
        right = self.truth.to_numpy()[np.arange(len(called)), called] == 1
        return pd.Series(right.astype(np.float64), self.group.index)

    @property
    def ranked(self) -> "Answers":
        """The same with log-odds for probabilities, of classes that exclude one another."""
        odds = class_log_odds(self.scores)
        return replace(self, scores=pd.DataFrame(odds, self.scores.index, self.scores.columns))


class Area(NamedTuple):
    """An AUROC, and how many patients there are of the kind of which there are fewer."""

    number: Number
    scarcest: int


@dataclass(frozen=True)
class Measure:
    """A metric of a group of images.

    Attributes
    ----------
    n, n_groups : int
    value : float or None
    interval : callable or None
        ``interval(confidence)``.
    reason : str or None
        Why there is no number, or what it leaves out.
    areas : mapping of str to Area
        By finding, those that a mean AUROC is the mean of.
    """

    n: int
    n_groups: int
    value: float | None = None
    interval: Callable[[float], Interval] | None = None
    reason: str | None = None
    areas: Mapping[str, Area] = field(default_factory=dict)


class End(NamedTuple):
    """One side of a gap."""

    group: str
    value: float
    interval: Callable[[float], Interval]
    n: int
    n_groups: int


Measures = dict[str, Measure]


def subgroup_table(
    runs: Sequence[Answers], traits: pd.DataFrame, *, findings: bool, small_groups: bool
) -> pd.DataFrame:
    """Metrics of each group of test images, and the largest gaps between groups.

    Parameters
    ----------
    runs : sequence of Answers
        All folds and seeds of a design.
    traits : DataFrame of str
        All images by ``image_id``, a column a trait.
    findings : bool
        Whether the columns of the answers are findings, of which an image can have several.
    small_groups : bool
        Whether groups of fewer than `FEWEST_SHOWN` images or patients are shown.

    Returns
    -------
    DataFrame
        `COLUMNS`. A row a trait (``column``), ``group`` and ``metric``: ``n`` images and their
        ``n_groups``, ``value`` with its 95 % interval; or ``reason``. After these a row a trait
        and metric with two groups or more (``against`` names the second): the gap between them
        with an interval that is widened for the number of ``comparisons``, of the pair whose gap
        is surest or, if none is, largest; ``at_most``: the largest upper bound of all pairs.
    """
    tested = pd.concat([run.group for run in runs])
    tested = tested[~tested.index.duplicated()]
    rows: list[dict[str, Any]] = []
    measured: dict[str, dict[str, Measures]] = {}
    for column in traits.columns:
        if reason := why_no_groups(traits[column].unique().tolist()):
            rows.append({"column": column, "reason": reason})
            continue
        values = traits[column].reindex(tested.index)
        found: dict[str, Measures] = {}
        for group, own in _groups(values, tested, small_groups):
            if not isinstance(own, pd.Index):
                rows.append({"column": column, "group": group, "reason": own})
                continue
            measures = _measures([run.of(own) for run in runs], findings)
            rows += [_row(column, group, name, one) for name, one in measures.items()]
            found[group] = measures
        measured[column] = found
    return pd.DataFrame([*rows, *_gap_rows(measured)], columns=list(COLUMNS))


def _groups(
    values: pd.Series, tested: pd.Series, small_groups: bool
) -> Iterator[tuple[str, pd.Index | str]]:
    """Images of each group by its name, or why they are not shown."""
    small = 0
    for name, own in sorted(values.groupby(values).groups.items()):
        if min(len(own), tested[own].nunique()) < FEWEST_SHOWN and not small_groups:
            small += 1
        else:
            yield str(name), own
    if small:
        yield SMALL, f"{small} not shown (`audit.small_groups`)"


def _measures(runs: Sequence[Answers], findings: bool) -> Measures:
    """All metrics of a group, by name; of one that is too small only why there are none."""
    runs = [run for run in runs if len(run.group)]
    group = pd.concat([run.group for run in runs])
    group = group[~group.index.duplicated()]
    n, n_groups = len(group), group.nunique()
    if n < FEWEST_IMAGES:
        reason = f"fewer than {FEWEST_IMAGES} test images"
        return {"": Measure(n, n_groups, reason=reason)}
    if findings:
        return _aurocs(runs, group)
    correct = pd.concat([run.correct for run in runs]).groupby(level=0).mean()
    measures = {"accuracy": _share(correct, group)}
    first, *others = runs[0].truth.columns
    if len(others) == 1:
        truth = pd.concat([run.truth for run in runs])
        is_positive = truth[~truth.index.duplicated()][others[0]].reindex(correct.index) == 1
        for name, of_kind, kind in (
            ("sensitivity", is_positive, others[0]),
            ("specificity", ~is_positive, first),
        ):
            measures[name] = _share(correct[of_kind], group, str(kind))
    else:
        mean = _aurocs([run.ranked for run in runs], group)[MEAN_AUROC]
        whole = len(mean.areas) == 1 + len(others)
        measures[MACRO_AUROC] = (
            mean if whole else replace(mean, value=None, interval=None, areas={})
        )
    errors = [expected_calibration_error(run.scores.max(axis=1), run.correct) for run in runs]
    error = float(np.average(errors, weights=[len(run.group) for run in runs]))
    measures[CALIBRATION] = Measure(n, n_groups, error)
    return measures


def _share(correct: pd.Series, group: pd.Series, kind: str = "") -> Measure:
    """Share of right answers; of images of one `kind` there must be enough."""
    n, n_groups = len(correct), group[correct.index].nunique()
    if kind and n < FEWEST_OF_KIND:
        return Measure(n, n_groups, reason=f"fewer than {FEWEST_OF_KIND} images of {kind}")
    value = float(correct.mean())

    def interval(confidence: float) -> Interval:
        low, high = wilson_interval(round(value * n_groups), n_groups, confidence)
        return Interval(min(low, value), max(high, value))

    return Measure(n, n_groups, value, interval)


def _aurocs(runs: Sequence[Answers], group: pd.Series) -> Measures:
    """AUROC of each class or finding against the rest, and their mean."""
    patients = pd.Index(group.unique()).sort_values()
    truth = pd.concat([run.truth for run in runs])
    truth = truth[~truth.index.duplicated()]
    measures: Measures = {}
    areas: dict[str, Area] = {}
    for name in map(str, truth.columns):
        told = truth[name].dropna()
        kinds = [told.index[told == kind] for kind in (1, 0)]
        number = _auroc(runs, name, patients)
        size = len(told), group[told.index].nunique()
        if min(map(len, kinds)) < FEWEST_OF_KIND or not np.isfinite(number.value):
            reason = f"fewer than {FEWEST_OF_KIND} images with or without {name}"
            measures[f"auroc {name}"] = Measure(*size, reason=reason)
            continue
        areas[name] = Area(number, min(group[kind].nunique() for kind in kinds))
        measures[f"auroc {name}"] = Measure(*size, number.value, _of_area(areas[name]))
    lacking = [name for name in truth.columns if name not in areas]
    mean = Measure(
        *(len(group), len(patients)),
        reason=f"without {', '.join(map(str, lacking))}" if lacking else None,
        areas=areas,
    )
    if areas:
        area = _mean_area(areas.values())
        mean = replace(mean, value=area.number.value, interval=_of_area(area))
    return {MEAN_AUROC: mean} | measures


def _mean_area(areas: Iterable[Area]) -> Area:
    """Mean AUROC of several findings of the same images."""
    numbers, scarcest = zip(*areas, strict=True)
    value = float(np.mean([one.value for one in numbers]))
    return Area(Number(value, np.mean([one.added for one in numbers], axis=0)), min(scarcest))


def _of_area(area: Area) -> Callable[[float], Interval]:
    """Interval of an AUROC; where its own variance is 0, that of a share of the scarcest kind.

    So it is where the network is always right, or says the same of all images.
    """
    number, scarcest = area

    def interval(confidence: float) -> Interval:
        if number.standard_error > 1e-12:  # below it is rounding
            return number.interval(confidence, bounded=True)
        low, high = wilson_interval(round(number.value * scarcest), scarcest, confidence)
        return Interval(min(low, number.value), max(high, number.value))

    return interval


def _auroc(runs: Sequence[Answers], name: str, patients: pd.Index) -> Number:
    """AUROC over the folds, weighted by their images, and in each the mean over its seeds.

    Folds in which all images of the group are alike tell nothing.
    """
    value, added, weight = 0.0, np.zeros(len(patients)), 0
    for fold in sorted({run.fold for run in runs}):
        of_fold = [run for run in runs if run.fold == fold]
        found = [_of_run(run, name, patients) for run in of_fold]
        n = int(of_fold[0].truth[name].notna().sum())
        if np.isfinite(found[0].value):
            value += n * float(np.mean([one.value for one in found]))
            added += n * np.mean([one.added for one in found], axis=0)
            weight += n
    return Number(value / weight, added / weight) if weight else Number(np.nan, added)


def _of_run(run: Answers, name: str, patients: pd.Index) -> Number:
    told = run.truth[name].notna().to_numpy()
    scores = run.scores[name].to_numpy(np.float64)[told]
    of_image = patients.get_indexer(pd.Index(run.group[told]))
    present = run.truth[name].to_numpy()[told] == 1
    return auroc_number(present, scores, of_image, len(patients))


def _row(column: str, group: str, metric: str, measure: Measure) -> dict[str, Any]:
    row: dict[str, Any] = {"column": column, "group": group, "metric": metric or None}
    row |= {
        "n": measure.n,
        "n_groups": measure.n_groups,
        "value": measure.value,
        "reason": measure.reason,
    }
    if measure.interval is not None:
        row["low"], row["high"] = measure.interval(0.95)
    return row


def _gap_rows(measured: Mapping[str, Mapping[str, Measures]]) -> list[dict[str, Any]]:
    """The surest, else the largest gap of each trait and metric."""
    pairs: dict[tuple[str, str], list[tuple[End, End]]] = {}
    for column, groups in measured.items():
        for one, other in combinations(groups, 2):
            for metric in groups[one].keys() & groups[other].keys():
                ends = _ends({name: groups[name][metric] for name in (one, other)})
                # Of single findings there would be many; their mean is compared.
                if len(ends) == 2 and not metric.startswith("auroc "):
                    best, worst = sorted(ends, key=lambda end: -end.value)
                    pairs.setdefault((column, metric), []).append((best, worst))
    comparisons = sum(map(len, pairs.values()))
    return [
        {"column": column, "metric": metric} | _largest_gap(pairs[column, metric], comparisons)
        for column, metric in sorted(pairs)
    ]


def _ends(measures: Mapping[str, Measure]) -> list[End]:
    """Two sides of a gap, where both have the metric; mean AUROCs of the findings of both."""
    both = [set(measure.areas) for measure in measures.values()]
    common = sorted(set.intersection(*both))
    ends = []
    for group, measure in measures.items():
        value, interval = measure.value, measure.interval
        if measure.areas and common:
            area = _mean_area(measure.areas[name] for name in common)
            value, interval = area.number.value, _of_area(area)
        if value is not None and interval is not None and (common or not measure.areas):
            ends.append(End(group, value, interval, measure.n, measure.n_groups))
    return ends


def _largest_gap(pairs: Sequence[tuple[End, End]], comparisons: int) -> dict[str, Any]:
    confidence = 1 - 0.05 / comparisons
    rows: list[dict[str, Any]] = []
    for best, worst in pairs:
        low, high = difference_interval(
            *(best.value, best.interval(confidence), worst.value, worst.interval(confidence))
        )
        rows.append(
            {
                **{"group": best.group, "against": worst.group},
                **{"n": min(best.n, worst.n), "n_groups": min(best.n_groups, worst.n_groups)},
                **{"value": best.value - worst.value, "low": low, "high": high},
            }
        )
    shown = max(rows, key=lambda row: (max(row["low"], 0.0), row["value"]))
    at_most = max(row["high"] for row in rows)
    return shown | {"comparisons": comparisons, "at_most": at_most}
