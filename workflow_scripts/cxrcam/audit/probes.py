"""Whether traits of the images (view, source, a marker) are shortcuts of a network.

Three questions; the first two within the images of one class, where the class itself tells nothing:

- Is the trait encoded? A linear probe reads it off the features that the last layer gets, on images
  of patients that it was not fitted on (Alain & Bengio, "Understanding intermediate layers using
  linear classifier probes", ICLR workshop 2017). Its AUROC stands beside that of the same probe on
  the network before its training: random networks and those of ImageNet encode much as well.
- Do the answers follow? The mean log-odds of an answer on images with the trait less that on images
  without, in standard deviations (Cohen's d), and the difference of the error rates.
- Does the trait go with the answer in the training images? Only there it pays to learn it.

The probe is a ridge regression on standardised features whose penalty is their number: as strong
as one image, as the squares of an image's standardised features sum up to about that number. What
each group of images (a patient) adds to a number gives its interval (`metrics.findings.Number`);
that of a probe leaves out the luck of its fit, so that an AUROC near 0.5 is less sure than it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from workflow_scripts.cxrcam.data.listing.traits import NOT_KNOWN, why_no_groups
from workflow_scripts.cxrcam.data.trait_columns import values_of
from workflow_scripts.cxrcam.metrics.findings import Number, auroc_number
from workflow_scripts.cxrcam.metrics.intervals import difference_interval, wilson_interval
from workflow_scripts.cxrcam.terms import TRAIN

FEWEST: Final = 10
"""Groups of images with a trait, and without it, in each class that is assessed."""

FOLDS: Final = 5  # of the probe; one image is in one of them

NUMBERS: Final = ("auroc", "untrained", "gain", "shift", "error_gap", "association")
Numbers = dict[str, float | None]
COLUMNS: Final = (
    *("trait", "value", "answer", "within", "n", "n_with", "errors_with", "errors_without"),
    *(f"{name}{end}" for name in NUMBERS for end in ("", "_low", "_high")),
    "reason",
)


@dataclass(frozen=True)
class Answer:
    """What a network says of one class against the others, or of one finding.

    Attributes
    ----------
    name : str
        Class or finding.
    truth : Series of float
        Of all images that are not left out, by ``image_id``: 1, 0 or NaN (not known).
    within : Series of str
        Class of each test image, by ``image_id``; of a finding "X" or "no X", missing where not
        known.
    log_odds : Series of float
        Of the test images, for `name`.
    wrong : Series of float
        Of the test images: 1 where the answer is wrong, else 0.
    """

    name: str
    truth: pd.Series
    within: pd.Series
    log_odds: pd.Series
    wrong: pd.Series


def answers_of(
    split: pd.DataFrame, logits: pd.DataFrame, *, findings: bool = False
) -> list[Answer]:
    """Answers of a network to its test images; of two classes the second only.

    Parameters
    ----------
    split : DataFrame
        Division, by ``image_id``.
    logits : DataFrame of float, shape (n, c)
        Of the test images by ``image_id``, a column a class or finding.
    findings : bool
        Whether the columns are findings.
    """
    names, test = list(logits.columns), split.loc[logits.index]
    answers = []
    if findings:
        for name in names:
            truth = split[f"finding_{name}"]
            told = truth.loc[logits.index]
            within = told.map({1.0: name, 0.0: f"no {name}"})
            wrong = ((logits[name] > 0) != (told == 1)).astype(float)
            answers.append(Answer(name, truth, within, logits[name], wrong))
        return answers
    values = logits.to_numpy(np.float64)
    called = pd.Series(np.asarray(names, dtype=object)[values.argmax(axis=1)], logits.index)
    wrong = (called != test["label"]).astype(float)
    for k, name in enumerate(names):
        if k == 0 and len(names) == 2:
            continue
        odds = values[:, k] - logsumexp(np.delete(values, k, axis=1), axis=1)
        truth = (split["label"] == name).astype(float)
        answers.append(Answer(name, truth, test["label"], pd.Series(odds, logits.index), wrong))
    return answers


def traits_of(images: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Those columns of the index that tell groups of images apart, by ``image_id``."""
    traits = {name: values_of(images, name) for name in dict.fromkeys(columns)}
    told = {name: found for name, found in traits.items() if not why_no_groups(found.unique())}
    return pd.DataFrame(told, images.index).set_axis(images["image_id"])


def probe_table(
    answers: Sequence[Answer],
    traits: pd.DataFrame,
    split: pd.DataFrame,
    features: pd.DataFrame,
    untrained: Float32Array,
) -> pd.DataFrame:
    """Whether traits are encoded, and whether answers follow them.

    Parameters
    ----------
    answers : sequence of Answer
    traits : DataFrame of str
        By ``image_id``, a column a trait.
    split : DataFrame
        By ``image_id``: ``role``, ``group``.
    features : DataFrame of float32, shape (n, k)
        Of the test images, by ``image_id``.
    untrained : float32 array, shape (n, k)
        The same of the network before its training.

    Returns
    -------
    DataFrame
        `COLUMNS`; a row a ``trait``, ``value``, ``answer`` and class (``within``) of the test
        images: ``n`` of them, ``n_with`` this value; the probe's ``auroc``, of the network before
        training (``untrained``) and the difference (``gain``); ``shift`` of the log-odds for the
        answer in standard deviations; error rates and their difference; ``association``: share
        of the answer's images among training images with the value less that among the others.
        Each with its 95 % interval; or ``reason``.
    """
    group = split.loc[features.index, "group"]
    tables = features.to_numpy(), untrained
    rows: list[dict[str, Any]] = []
    for trait in traits.columns:
        of_test = traits.loc[features.index, trait]
        for value in _asked_values(of_test):
            has = (of_test == value).to_numpy()
            probes: dict[bytes, Numbers] = {}  # answers share their classes
            for answer in answers:
                of_training = _association(answer, traits[trait] == value, split)
                for within, own in _classes(answer):
                    row = {"trait": trait, "value": value, "answer": answer.name, "within": within}
                    numbers = _numbers(answer, own, has, group, tables, of_training, probes)
                    rows.append(row | numbers)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _numbers(
    answer: Answer,
    own: BoolArray,
    has: BoolArray,
    group: pd.Series,
    tables: tuple[Float32Array, Float32Array],
    of_training: Numbers,
    probes: dict[bytes, Numbers],
) -> dict[str, Any]:
    """All numbers of one class, whose images are `own`; or why there are none.

    `probes` is added to: numbers of the probe by the images that it was asked for.
    """
    counts = {"n": int(own.sum()), "n_with": int(has[own].sum())}
    if reason := _why_not(has[own], group[own], tables[0].shape[1], of_training):
        return counts | {"reason": reason}
    codes, names = pd.factorize(group[own], sort=True)
    asked, images = (has[own], codes, len(names)), own.tobytes()
    if images not in probes:
        probes[images] = _probes([table[own] for table in tables], *asked)
    return counts | probes[images] | of_training | _followed(answer, own, *asked)


def _asked_values(values: pd.Series) -> list[str]:
    """Values of a trait that are asked for; of two the rarer one, as the other tells the same."""
    counts = values[values != NOT_KNOWN].value_counts()
    ordered = sorted(counts.index, key=lambda name: (counts[name], name))
    return ordered[:1] if len(ordered) <= 2 else ordered


def _classes(answer: Answer) -> Iterator[tuple[str, BoolArray]]:
    """Classes of the test images, and which are of them."""
    for within in sorted(answer.within.dropna().unique()):
        yield str(within), (answer.within == within).to_numpy()


def _why_not(has: BoolArray, group: pd.Series, n_features: int, of_training: Numbers) -> str:
    if not n_features:
        return "the network has no features in front of a last layer"
    if not of_training:
        return f"fewer than {FEWEST} patients or groups of training images with or without it"
    if min(group[has].nunique(), group[~has].nunique()) < FEWEST:
        return f"fewer than {FEWEST} patients or groups of test images with or without it"
    return ""


def _association(answer: Answer, has: pd.Series, split: pd.DataFrame) -> Numbers:
    """How much commoner the answer is among training images with a trait; {} if these are few."""
    truth = answer.truth[(split["role"] == TRAIN) & answer.truth.notna()]
    of_truth, group = has.reindex(truth.index), split.loc[truth.index, "group"]
    if min(group[of_truth].nunique(), group[~of_truth].nunique()) < FEWEST:
        return {}
    return _difference_of_shares("association", truth, of_truth.to_numpy(), group.to_numpy())


def _difference_of_shares(
    name: str, values: pd.Series, has: BoolArray, group: npt.NDArray[Any]
) -> Numbers:
    """Share of 1 among values with a trait less that among the others; groups count as one."""
    shares, intervals = [], []
    for chosen in (has, ~has):
        n, share = len(np.unique(group[chosen])), float(values[chosen].mean())
        shares.append(share)
        intervals.append(wilson_interval(round(share * n), n))
    low, high = difference_interval(shares[0], intervals[0], shares[1], intervals[1])
    return {name: shares[0] - shares[1], f"{name}_low": low, f"{name}_high": high}


def _probes(
    tables: Sequence[Float32Array], has: BoolArray, group: Int64Array, n_groups: int
) -> Numbers:
    """AUROC of a probe on trained and untrained features, and their difference."""
    trained, untrained = (
        auroc_number(has, probe_scores(table, has, group), group, n_groups) for table in tables
    )
    return _columns({"auroc": trained, "untrained": untrained, "gain": trained - untrained})


def probe_scores(features: Float32Array, has: BoolArray, group: Int64Array) -> Float64Array:
    """How much each image looks like one with a trait, by a probe fitted on other groups.

    Parameters
    ----------
    features : float array, shape (n, k)
    has : bool array, shape (n,)
    group : int array, shape (n,)
        At least two groups.

    Returns
    -------
    float array, shape (n,)
    """
    scores = np.zeros(len(has))
    model = make_pipeline(StandardScaler(), Ridge(alpha=features.shape[1]))
    table, target = features.astype(np.float64), has.astype(np.float64)
    for fitted, held_out in StratifiedGroupKFold(FOLDS).split(table, has, group):
        scores[held_out] = model.fit(table[fitted], target[fitted]).predict(table[held_out])
    return scores


def _followed(
    answer: Answer, own: BoolArray, has: BoolArray, group: Int64Array, n_groups: int
) -> Numbers:
    """Shift of the log-odds, and error rates."""
    odds, wrong = answer.log_odds[own].to_numpy(np.float64), answer.wrong[own]
    rates = {"errors_with": float(wrong[has].mean()), "errors_without": float(wrong[~has].mean())}
    shift = _columns({"shift": shift_number(odds, has, group, n_groups)})
    return rates | _difference_of_shares("error_gap", wrong, has, group) | shift


def shift_number(values: Float64Array, has: BoolArray, group: Int64Array, n_groups: int) -> Number:
    """Cohen's d: mean of values with a trait less that of others, in their standard deviation.

    NaN where all values with the trait are the same, and all without.
    """
    added, means, spread = np.zeros(len(values)), [], 0.0
    for chosen, sign in ((has, 1), (~has, -1)):
        difference = values[chosen] - values[chosen].mean()
        added[chosen] = sign * difference / chosen.sum()
        means.append(float(values[chosen].mean()))
        spread += float((difference**2).sum())
    deviation = float(np.sqrt(spread / (len(values) - 2)))
    if deviation <= 1e-12 * np.abs(values).max():  # rounding
        return Number(np.nan, np.full(n_groups, np.nan))
    of_groups = np.bincount(group, weights=added, minlength=n_groups) / deviation
    return Number((means[0] - means[1]) / deviation, of_groups)


def _columns(numbers: Mapping[str, Number]) -> Numbers:
    found: Numbers = {}
    for name, number in numbers.items():
        found |= number.columns(name, bounded=name in ("auroc", "untrained"))
    return found
