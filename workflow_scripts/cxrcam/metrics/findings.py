"""What networks of several findings are worth: AUROC a finding, beside floors and covered images.

Most findings are rare: always saying "absent" is right nearly always, and shares of right answers
tell nothing. The AUROC does not depend on how common a finding is; it is 0.5 by chance, 1 at best.

Its interval follows from what each image adds to it. With A the AUROC of m images with a finding
and n without, an image with it adds (V - A) / m, where V is the share of images without it that
have a lower score, and one without it likewise (V - A) / n (DeLong et al., Biometrics 44:837,
1988). Images of one group are added up, and the variance is the sum of their squares times
g / (g - 1), for g groups (Obuchowski, Biometrics 53:567, 1997). Differences, means and ratios of
AUROCs of the same images follow by adding up what each image adds to them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array
from workflow_scripts.cxrcam.metrics.intervals import Interval

NETWORK: Final = "network"
MEAN: Final = "mean of all"
"""Of the findings' AUROCs, each counting alike (macro-average)."""
POOLED: Final = "all answers"
"""One AUROC over all images and findings (micro-average): common findings count most."""
CHANCE: Final = 0.5


@dataclass(frozen=True)
class FindingsRun:
    """What one network and its floors say of the same test images.

    Attributes
    ----------
    fold, seed : int
    known : DataFrame
        By ``image_id``: ``group``, and a column a finding with 1, 0 or NaN (not known).
    said : mapping of str to DataFrame
        By classifier (`NETWORK`, a floor, a way of covering): scores by ``image_id``, a column a
        finding; NaN where it was not asked.
    """

    fold: int
    seed: int
    known: pd.DataFrame
    said: Mapping[str, pd.DataFrame]


def findings_table(
    runs: Sequence[FindingsRun], findings: Sequence[str], covered: Iterable[str]
) -> pd.DataFrame:
    """AUROC of each finding and classifier of one design, and of all findings together.

    Parameters
    ----------
    runs : sequence of FindingsRun
        All folds and seeds of the design.
    findings : sequence of str
    covered : iterable of str
        Those classifiers that are the network on covered images.

    Returns
    -------
    DataFrame
        A row a finding and classifier, and two a classifier for all findings (`MEAN`, `POOLED`):
        ``finding``, ``classifier``, ``n`` and ``n_present`` (test images), ``auroc``; ``auprc`` of
        the network; ``gap``: AUROC of the network less this one; ``kept``: of covered images, the
        share of the network's AUROC above chance that is left. The AUROC, the gap and what is kept
        have 95 % intervals (``_low``, ``_high``). Seeds of a fold are averaged, and so are folds.
    """
    auroc = _of_folds(runs, findings)
    first = list({run.fold: run.known for run in reversed(runs)}.values())
    auprc = {name: _known_mean([_auprc(run, name) for run in runs]) for name in findings}
    auprc[MEAN] = _known_mean(list(auprc.values()))
    covered, rows = set(covered), []
    for name in [*findings, MEAN, POOLED]:
        asked = [name] if name in findings else list(findings)
        known = pd.concat([table[asked] for table in first])
        for classifier in runs[0].said:
            own, network = auroc[name, classifier], auroc[name, NETWORK]
            row: dict[str, Any] = {"finding": name, "classifier": classifier}
            row["n"] = int(known.notna().any(axis=1).sum())
            row["n_present"] = int((known == 1).any(axis=1).sum())
            row |= own.columns("auroc", bounded=True)
            row["auprc"] = auprc.get(name) if classifier == NETWORK else None
            row |= (network - own).columns("gap") if classifier != NETWORK else {}
            row |= network.kept_by(own).columns("kept") if classifier in covered else {}
            rows.append(row)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Number:
    """A number, and what each group of images adds to its difference from the true one."""

    value: float
    added: Float64Array  # (groups,), of all folds one after the other

    def __sub__(self, other: "Number") -> "Number":
        return Number(self.value - other.value, self.added - other.added)

    def kept_by(self, other: "Number") -> "Number":
        """Share of an AUROC above chance that is left in another one, by the delta method."""
        above = self.value - CHANCE
        if not above:
            return Number(np.nan, np.full_like(self.added, np.nan))
        kept = (other.value - CHANCE) / above
        return Number(kept, (other.added - kept * self.added) / above)

    @property
    def standard_error(self) -> float:
        """Of the number; NaN with fewer than two groups."""
        n_groups = len(self.added)
        if n_groups < 2:
            return np.nan
        return float(np.sqrt(n_groups / (n_groups - 1) * (self.added**2).sum()))

    def interval(self, confidence: float = 0.95, *, bounded: bool = False) -> Interval:
        """Interval of a finite number, NaN with fewer than two groups.

        `bounded`: the number lies in [0, 1], and its interval is made on the logit scale (Pepe
        2003).
        """
        value, wide = self.value, float(ndtri(0.5 + confidence / 2)) * self.standard_error
        if not (bounded and 0 < value < 1):
            return Interval(value - wide, value + wide)
        half = wide / (value * (1 - value))
        return Interval(*(float(expit(logit(value) + step)) for step in (-half, half)))

    def columns(self, name: str, *, bounded: bool = False) -> dict[str, float | None]:
        """The number with its 95 % `interval`, None where there is none."""
        numbers: list[float] = [self.value, *self.interval(bounded=bounded)]
        keys = (name, f"{name}_low", f"{name}_high")
        finite = [float(one) if np.isfinite(one) else None for one in numbers]
        return dict(zip(keys, finite, strict=True))


def auroc_number(
    present: BoolArray, scores: Float64Array, group: npt.NDArray[np.integer], n_groups: int
) -> Number:
    """AUROC of n answers, and what each group of images adds to it.

    Parameters
    ----------
    present : bool array, shape (n,)
    scores : float array, shape (n,)
    group : int array, shape (n,)
        Number of each answer's group, below `n_groups`; one without answers adds nothing.

    Returns
    -------
    Number
        NaN throughout if all images have the finding, or none has.
    """
    m, n = int(present.sum()), int((~present).sum())
    if not m or not n:
        return Number(np.nan, np.full(n_groups, np.nan))
    # Ranks among all, less those among their own: how many of the others lie below, ties as halves.
    ranks = rankdata(scores)
    share = np.empty(len(scores))
    share[present] = (ranks[present] - rankdata(scores[present])) / n
    share[~present] = 1 - (ranks[~present] - rankdata(scores[~present])) / m
    auroc = float(share[present].mean())
    added = (share - auroc) / np.where(present, m, n)
    of_groups = np.bincount(group, weights=added, minlength=n_groups)
    return Number(auroc, of_groups.astype(np.float64))


def _mean(numbers: Sequence[Number]) -> Number:
    """Mean of numbers of the same images; those that are not known are left out."""
    known = [one for one in numbers if np.isfinite(one.value)]
    if not known:
        return Number(np.nan, np.full_like(numbers[0].added, np.nan))
    return Number(
        float(np.mean([one.value for one in known])),
        np.mean([one.added for one in known], axis=0),
    )


def _joined(folds: Sequence[Number]) -> Number:
    """Mean over folds, which have different images; folds without the finding are left out."""
    known = [np.isfinite(one.value) for one in folds]
    if not any(known):
        return Number(np.nan, np.concatenate([one.added for one in folds]))
    value = float(np.mean([one.value for one, told in zip(folds, known, strict=True) if told]))
    added = [
        one.added / sum(known) if told else np.zeros_like(one.added)
        for one, told in zip(folds, known, strict=True)
    ]
    return Number(value, np.concatenate(added))


def _of_folds(
    runs: Sequence[FindingsRun], findings: Sequence[str]
) -> dict[tuple[str, str], Number]:
    """AUROC by finding and classifier: the mean of the folds, and in each of its seeds."""
    by_fold: dict[int, list[FindingsRun]] = {}
    for run in runs:
        by_fold.setdefault(run.fold, []).append(run)
    auroc = {}
    for classifier in runs[0].said:
        for name in findings:
            auroc[name, classifier] = _joined(
                [
                    _mean([_of_run(run, [name], classifier) for run in of_fold])
                    for of_fold in by_fold.values()
                ]
            )
        auroc[MEAN, classifier] = _mean([auroc[name, classifier] for name in findings])
        auroc[POOLED, classifier] = _joined(
            [
                _mean([_of_run(run, findings, classifier) for run in of_fold])
                for of_fold in by_fold.values()
            ]
        )
    return auroc


def _of_run(run: FindingsRun, findings: Sequence[str], classifier: str) -> Number:
    """AUROC of one run, all answers to some findings together."""
    names = list(findings)
    known = run.known[names].to_numpy(np.float64)
    scores = run.said[classifier][names].reindex(run.known.index).to_numpy(np.float64)
    asked = np.isfinite(known) & np.isfinite(scores)
    codes, groups = pd.factorize(run.known["group"], sort=True)
    of_answer = np.broadcast_to(codes[:, None], known.shape)[asked]
    return auroc_number(known[asked] == 1, scores[asked], of_answer, len(groups))


def _auprc(run: FindingsRun, name: str) -> float:
    told = run.known[name].notna()
    present = run.known.loc[told, name] == 1
    scores = run.said[NETWORK][name].reindex(run.known.index[told])
    return float(average_precision_score(present, scores)) if present.any() else np.nan


def _known_mean(values: Sequence[float]) -> float:
    """Mean of the finite numbers; NaN if there is none."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan
