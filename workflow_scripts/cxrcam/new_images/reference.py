"""What new images are measured against: made once a design, kept as JSON beside the scores."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.duplicates.likeness import (
    Likeness,
    Thresholds,
    likeness,
    thumbnails_of,
    usual_likeness,
)
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.maps.placement import heat_scale
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.metrics.conformal import (
    conformal_scores,
    fewest_images,
    prediction_sets,
)
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.terms import TEST, TRAIN, VALIDATION


@dataclass(frozen=True)
class Member:
    """One trained network of the design; logits are divided by its temperature."""

    fold: int
    seed: int
    temperature: float
    temperature_reason: str | None

    @classmethod
    def of(cls, run: Mapping[str, Any], metrics: Mapping[str, Any]) -> "Member":
        """The network of a run, by its fold and seed, and by its metrics.json."""
        fit = metrics["calibration"]
        return cls(run["fold"], run["seed"], fit["temperature"], fit["reason"])


@dataclass(frozen=True)
class Share:
    """How many of n images, with a 95 % interval (Wilson) in [0, 1]."""

    count: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: BoolArray) -> "Share":
        """Share of a list of yes and no; without any, anything is possible."""
        n = len(hits)
        low, high = wilson_interval(int(hits.sum()), n) if n else (0.0, 1.0)
        return cls(int(hits.sum()), n, float(low), float(high))


@dataclass(frozen=True)
class Reference:
    """A design, ready to be asked about new images.

    Attributes
    ----------
    task, scheme : str
    classes : list of str
    members : list of Member
    coverage : float
        Share of images whose set is to hold the truth.
    calibrated_on : str
        Part whose images the sets are calibrated on: ``validation``, or ``test`` where the design
        has no validation part.
    n_calibration : list of int
        Number of them, one a fold.
    enough : bool
        Whether they are enough for the coverage.
    thresholds : Thresholds
        Of likeness to the training images.
    n_training : int
        Images that any of the networks was trained on.
    heat_scale : float
        Evidence at full colour: that of the test images.
    covered : Share or None
        Test images whose set holds the truth; None where the sets were calibrated on them.
    undecided, unlike : Share
        Test images whose set is empty or has all classes; that would be called unlike the training
        data. Both lead to an abstention.
    right : Share
        Right answers among test images that were answered.
    is_drawn : bool
        Whether the networks were trained on phantoms only, see `answers.ONLY_DRAWN`.
    """

    task: str
    scheme: str
    classes: list[str]
    members: list[Member]
    coverage: float
    calibrated_on: str
    n_calibration: list[int]
    enough: bool
    thresholds: Thresholds
    n_training: int
    heat_scale: float
    covered: Share | None
    undecided: Share
    unlike: Share
    right: Share
    is_drawn: bool


def probabilities_of_folds(
    runs: Sequence[Mapping[str, Any]], tables: Sequence[pd.DataFrame], classes: Sequence[str]
) -> list[pd.DataFrame]:
    """`fold_probabilities` of each fold, in the order in which the runs have them."""
    of_fold: dict[int, list[pd.DataFrame]] = {}
    for run, table in zip(runs, tables, strict=True):
        of_fold.setdefault(run["fold"], []).append(table)
    return [fold_probabilities(of_seeds, classes) for of_seeds in of_fold.values()]


def fold_probabilities(runs: Sequence[pd.DataFrame], classes: Sequence[str]) -> pd.DataFrame:
    """Mean over the seeds of one fold of calibrated probabilities; the seeds share their images.

    Parameters
    ----------
    runs : sequence of DataFrame
        calibrated.parquet of each seed.
    classes : sequence of str

    Returns
    -------
    DataFrame
        `image_id`, `label`, `role`, and a column a class.
    """
    first = runs[0].set_index("image_id")
    columns = [f"calibrated_probability_{name}" for name in classes]
    mean = np.mean(
        [
            run.set_index("image_id").loc[first.index, columns].to_numpy(dtype=np.float64)
            for run in runs
        ],
        axis=0,
    )
    table = first[["label", "role"]].reset_index()
    return pd.concat([table, pd.DataFrame(mean, columns=list(classes))], axis=1)


def calibration_part(folds: Sequence[pd.DataFrame]) -> str:
    """Part that the sets are calibrated on: validation where every fold has one, else test.

    Test images take no part in training either, so that sets calibrated on them are as valid for
    new images; only the coverage can then no longer be measured on them.
    """
    if all((fold["role"] == VALIDATION).any() for fold in folds):
        return VALIDATION
    return TEST


def calibration_scores(
    folds: Sequence[pd.DataFrame], classes: Sequence[str], part: str
) -> pd.DataFrame:
    """Conformal scores of the images of one part.

    Parameters
    ----------
    folds : sequence of DataFrame
        As from `fold_probabilities`.
    classes : sequence of str
    part : str
        As from `calibration_part`.

    Returns
    -------
    DataFrame
        `fold` (from 1), `image_id`, `score`.
    """
    tables = []
    for number, fold in enumerate(folds, start=1):
        rows = fold[fold["role"] == part]
        truth = rows["label"].map(list(classes).index).to_numpy(dtype=np.int64)
        scores = conformal_scores(rows[list(classes)].to_numpy(), truth)
        tables.append(
            pd.DataFrame({"fold": number, "image_id": rows["image_id"].to_numpy(), "score": scores})
        )
    return pd.concat(tables, ignore_index=True)


def is_unlike(found: Likeness, thresholds: Thresholds) -> BoolArray:
    """Which images are unlike the training images, turned or inverted."""
    unlike: BoolArray = (found.similarity < thresholds.similarity) | (found.gain > thresholds.gain)
    return unlike


def compared_with_training(
    stored: Fingerprints, groups: Mapping[str, str], training: Sequence[str], tested: Sequence[str]
) -> tuple[Thresholds, dict[str, bool]]:
    """From where on an image is unlike the training images, and which test images are.

    `stored` and `groups` are of all images; within a group nothing is compared.
    """
    known, known_groups = thumbnails_of(stored, training), [groups[name] for name in training]
    thresholds = usual_likeness(known, known_groups)
    found = likeness(
        *(thumbnails_of(stored, tested), known),
        *([groups[name] for name in tested], known_groups),
    )
    return thresholds, dict(zip(tested, is_unlike(found, thresholds).tolist(), strict=True))


def measured_on_test(
    folds: Sequence[pd.DataFrame],
    classes: Sequence[str],
    scores: pd.DataFrame,
    coverage: float,
    unlike: Mapping[str, bool],
) -> tuple[Share, Share, Share, Share]:
    """How answers, sets and abstentions do on test images, each by the networks of its own fold.

    Parameters
    ----------
    folds : sequence of DataFrame
        As from `fold_probabilities`.
    classes : sequence of str
    scores : DataFrame
        As from `calibration_scores`.
    coverage : float
    unlike : mapping of str to bool
        By `image_id`, see `is_unlike`.

    Returns
    -------
    covered, undecided, unlike, right : Share
        As in `Reference`.
    """
    parts = []
    for number, fold in enumerate(folds, start=1):
        rows = fold[fold["role"] == TEST]
        values = rows[list(classes)].to_numpy()
        own = scores.loc[scores["fold"] == number, "score"].to_numpy()
        sets = prediction_sets([values], [own], coverage)
        truth = rows["label"].map(list(classes).index).to_numpy(dtype=np.int64)
        strange = np.array([unlike[image_id] for image_id in rows["image_id"]], dtype=bool)
        size = sets.sum(axis=1)
        undecided = (size == 0) | (size == len(classes))
        parts.append(
            np.stack(
                [
                    sets[np.arange(len(rows)), truth],
                    undecided,
                    strange,
                    values.argmax(axis=1) == truth,
                ]
            )
        )
    covered, undecided, strange, right = np.concatenate(parts, axis=1)
    answered = ~(undecided | strange)
    return Share.of(covered), Share.of(undecided), Share.of(strange), Share.of(right[answered])


def mean_heat_scale(
    runs: Sequence[pd.DataFrame], maps: Sequence[str | Path], classes: Sequence[str]
) -> float:
    """Evidence at full colour for the likeliest class of the test images, the mean over the runs.

    `runs` are the tables of calibrated.parquet, `maps` the files of their maps.
    """
    scales = []
    for table, file in zip(runs, maps, strict=True):
        test = table[table["role"] == TEST]
        called = test[[f"calibrated_probability_{name}" for name in classes]].to_numpy()
        evidence = read_evidence_maps(Path(file), test["image_id"].tolist(), classes)
        scales.append(heat_scale(evidence.of_class(called.argmax(axis=1)).values))
    return float(np.mean(scales))


def training_images(splits: Sequence[pd.DataFrame]) -> Counter[str]:
    """Images that any network of the design was trained on, and the number of those networks."""
    return Counter(name for s in splits for name in s.loc[s["role"] == TRAIN, "image_id"])


def is_enough(scores: pd.DataFrame, coverage: float) -> bool:
    """Whether the images of all folds together are enough for the coverage."""
    return len(scores) >= fewest_images(coverage)


def write_reference(path: Path, reference: Reference) -> None:
    """Write as JSON, whole or not at all."""
    write_json(path, asdict(reference))


def read_reference(path: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shares = {
            name: None if values[name] is None else Share(**values[name])
            for name in ("covered", "undecided", "unlike", "right")
        }
        members = [Member(**member) for member in values["members"]]
        thresholds = Thresholds(**values["thresholds"])
        return Reference(**{**values, **shares, "members": members, "thresholds": thresholds})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The file {str(path)!r} is damaged: delete it, and the next run makes it anew."
        ) from error
