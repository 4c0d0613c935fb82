"""What networks of several findings are worth: AUROC a finding, beside floors and covered images.

Most findings are rare: always saying "absent" is right nearly always, and shares of right answers
tell nothing. The AUROC does not depend on how common a finding is; it is 0.5 by chance, 1 at best.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from workflow_scripts.cxrcam.arrays import Float64Array
from workflow_scripts.cxrcam.metrics.intervals import bootstrap_weights, weighted_auroc

REPEATS: Final = 1000
"""Resamples of the images, whole groups at a time, the same for all findings and classifiers."""
NETWORK: Final = "network"
MEAN: Final = "mean of all"
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
    runs: Sequence[FindingsRun],
    findings: Sequence[str],
    covered: Iterable[str],
    seed: np.random.SeedSequence,
) -> pd.DataFrame:
    """AUROC of each finding and classifier of one design, and of all findings together.

    Parameters
    ----------
    runs : sequence of FindingsRun
        All folds and seeds of the design.
    findings : sequence of str
    covered : iterable of str
        Those classifiers that are the network on covered images.
    seed : SeedSequence
        Of the bootstrap.

    Returns
    -------
    DataFrame
        A row a finding and classifier, and one a classifier for the mean of all findings:
        ``finding``, ``classifier``, ``n`` and ``n_present`` (test images), ``auroc``; ``auprc`` of
        the network; ``gap``: AUROC of the network less this one; ``kept``: of covered images, the
        share of the network's AUROC above chance that is left. The last three with 95 % intervals
        (``_low``, ``_high``), by a bootstrap of whole groups. Seeds of a fold are averaged, and so
        are folds.
    """
    draws = _Draws.of(runs, findings, seed)
    rows = []
    for name in [*findings, MEAN]:
        for classifier in draws.classifiers:
            auroc, network = draws.auroc[name, classifier], draws.auroc[name, NETWORK]
            row: dict[str, Any] = {"finding": name, "classifier": classifier}
            row |= {"n": draws.n[name], "n_present": draws.n_present[name]}
            row |= auroc.columns("auroc")
            row["auprc"] = draws.auprc[name] if classifier == NETWORK else None
            row |= (network - auroc).columns("gap") if classifier != NETWORK else {}
            row |= network.kept_by(auroc).columns("kept") if classifier in covered else {}
            rows.append(row)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Number:
    """A number, and what it is on each resample."""

    value: float
    resampled: Float64Array  # (REPEATS,)

    def __sub__(self, other: "_Number") -> "_Number":
        return _Number(self.value - other.value, self.resampled - other.resampled)

    def kept_by(self, other: "_Number") -> "_Number":
        """Share of the AUROC above chance that is left in another one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            left = (other.resampled - CHANCE) / (self.resampled - CHANCE)
        above = self.value - CHANCE
        value = (other.value - CHANCE) / above if above else np.nan
        return _Number(value, np.where(np.isfinite(left), left, np.nan))

    def columns(self, name: str) -> dict[str, float | None]:
        """The number with its 95 % interval, None where half of the resamples have none."""
        defined = self.resampled[np.isfinite(self.resampled)]
        low, high = None, None
        if 2 * len(defined) >= len(self.resampled):
            low, high = (float(x) for x in np.quantile(defined, [0.025, 0.975]))
        value = float(self.value) if np.isfinite(self.value) else None
        return {name: value, f"{name}_low": low, f"{name}_high": high}


def _mean(numbers: Sequence[_Number]) -> _Number:
    """Mean number; on a resample without a rare finding, that of the others."""
    resampled = np.array([one.resampled for one in numbers])
    defined = np.isfinite(resampled)
    sums, n = np.where(defined, resampled, 0.0).sum(axis=0), defined.sum(axis=0)
    means = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
    return _Number(float(np.mean([one.value for one in numbers])), means)


@dataclass(frozen=True)
class _Draws:
    """Numbers of a design, by finding and classifier."""

    classifiers: list[str]
    auroc: dict[tuple[str, str], _Number]
    auprc: dict[str, float]
    n: dict[str, int]
    n_present: dict[str, int]

    @staticmethod
    def of(
        runs: Sequence[FindingsRun], findings: Sequence[str], seed: np.random.SeedSequence
    ) -> "_Draws":
        classifiers = list(runs[0].said)
        folds = [
            [run for run in runs if run.fold == fold] for fold in sorted({r.fold for r in runs})
        ]
        of_folds: dict[tuple[str, str], list[_Number]] = {}
        for of_fold, own_seed in zip(folds, seed.spawn(len(folds)), strict=True):
            for key, number in _of_fold(of_fold, findings, own_seed):
                of_folds.setdefault(key, []).append(number)
        auroc = {key: _mean(numbers) for key, numbers in of_folds.items()}
        for classifier in classifiers:
            auroc[MEAN, classifier] = _mean([auroc[name, classifier] for name in findings])
        first = [of_fold[0].known for of_fold in folds]
        n = {name: sum(int(known[name].notna().sum()) for known in first) for name in findings}
        present = {name: sum(int((known[name] == 1).sum()) for known in first) for name in findings}
        auprc = {name: float(np.mean([_auprc(run, name) for run in runs])) for name in findings}
        return _Draws(
            classifiers,
            auroc,
            auprc | {MEAN: float(np.mean(list(auprc.values())))},
            n | {MEAN: sum(len(known) for known in first)},
            present
            | {MEAN: sum(int((known[list(findings)] == 1).any(axis=1).sum()) for known in first)},
        )


def _of_fold(
    runs: Sequence[FindingsRun], findings: Sequence[str], seed: np.random.SeedSequence
) -> Iterator[tuple[tuple[str, str], _Number]]:
    """Numbers of each finding and classifier, the mean of the seeds of one fold."""
    known = runs[0].known
    weights = bootstrap_weights(
        len(known), groups=known["group"].to_numpy(), seed=seed, repeats=REPEATS
    )
    batches = [batch.astype(np.uint8) for batch in weights]
    for name in findings:
        for classifier in runs[0].said:
            of_seeds = []
            for run in runs:
                scores = run.said[classifier][name].reindex(known.index).to_numpy(np.float64)
                asked = known[name].notna().to_numpy() & np.isfinite(scores)
                present, scores = known[name].to_numpy()[asked] == 1, scores[asked]
                if present.all() or not present.any():
                    of_seeds.append(_Number(np.nan, np.full(REPEATS, np.nan)))
                    continue
                resampled = [weighted_auroc(present, scores, b[:, asked]) for b in batches]
                of_seeds.append(
                    _Number(float(roc_auc_score(present, scores)), np.concatenate(resampled))
                )
            yield (name, classifier), _mean(of_seeds)


def _auprc(run: FindingsRun, name: str) -> float:
    told = run.known[name].notna()
    present = run.known.loc[told, name] == 1
    scores = run.said[NETWORK][name].reindex(run.known.index[told])
    return float(average_precision_score(present, scores)) if present.any() else np.nan
