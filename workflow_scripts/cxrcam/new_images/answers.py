"""One answer an image: a class with its set, or an abstention with its reason."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array
from workflow_scripts.cxrcam.duplicates.likeness import Likeness
from workflow_scripts.cxrcam.images.colour import MOST_COLOUR
from workflow_scripts.cxrcam.metrics.calibration import apply_temperature
from workflow_scripts.cxrcam.metrics.conformal import fewest_images, prediction_sets
from workflow_scripts.cxrcam.new_images.reference import Reference

ABSTAIN: Final = "abstain"

#: Below it (standard deviation, grey levels of 255), there is nothing to see. The faintest of 2,100
#: real radiographs has 15, the faintest phantom 35.
LEAST_CONTRAST: Final = 5.0

#: Why networks that were trained on phantoms only name no class of any other image.
ONLY_DRAWN: Final = (
    "the networks were trained on drawn images (phantoms) only, and this file is not marked as "
    "one: they give no answer for an X-ray of a patient"
)


def apart_by_quarantine(facts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Facts of the readable images; `image` and `reason` of the others."""
    is_bad = facts["quarantine_reason"].notna()
    reasons = facts.loc[is_bad, ["image_id", "quarantine_reason"]]
    return facts[~is_bad].reset_index(drop=True), reasons.set_axis(["image", "reason"], axis=1)


def member_probabilities(
    members: pd.DataFrame, image_ids: Sequence[str], reference: Reference
) -> Float64Array:
    """Calibrated probabilities of each network.

    Parameters
    ----------
    members : DataFrame
        As from `ensemble.members_table`.
    image_ids : sequence of str, length n
    reference : Reference

    Returns
    -------
    float64 array, shape (members, n, classes)
        In the order of `reference.members`, at each network's own temperature.
    """
    columns = [f"logit_{name}" for name in reference.classes]
    logits = members.set_index(["fold", "seed", "image_id"])[columns]
    return np.stack(
        [
            apply_temperature(
                logits.loc[[(member.fold, member.seed, name) for name in image_ids]].to_numpy(),
                member.temperature,
            )
            for member in reference.members
        ]
    )


def sets_of(probabilities: Float64Array, scores: pd.DataFrame, reference: Reference) -> BoolArray:
    """Classes that stay possible; the networks of one fold (its seeds) answer together.

    Parameters
    ----------
    probabilities : float64 array, shape (members, n, classes)
        As from `member_probabilities`.
    scores : DataFrame
        As from `reference.calibration_scores`.
    reference : Reference

    Returns
    -------
    bool array, shape (n, classes)
    """
    folds = np.array([member.fold for member in reference.members])
    numbers = list(dict.fromkeys(folds.tolist()))
    return prediction_sets(
        [probabilities[folds == number].mean(axis=0) for number in numbers],
        [scores.loc[scores["fold"] == number, "score"].to_numpy() for number in numbers],
        reference.coverage,
    )


def input_fault(
    colour: float, contrast: float, similarity: float, gain: float, change: str, known: Reference
) -> str | None:
    """Why an image is no input for these networks; None if nothing was noticed.

    Parameters
    ----------
    colour : float
        As from `colour.colourfulness`.
    contrast : float
        As in `decoding.Batch`.
    similarity, gain : float
    change : str
        As in `likeness.Likeness`.
    known : Reference
    """
    if contrast < LEAST_CONTRAST:
        return f"the image is blank or nearly so (its grey levels vary by {contrast:.1f} of 255)"
    if colour > MOST_COLOUR:
        return (
            f"the image is in colour, as a photograph is and no radiograph (red, green and blue "
            f"differ by {100 * colour:.0f} % or more in a tenth of it)"
        )
    usual = known.thresholds.similarity
    if gain > known.thresholds.gain and similarity + gain >= usual:
        return (
            f"it looks like a training image {change} (correlation {similarity + gain:.2f} when "
            f"that is undone, {similarity:.2f} as it is)"
        )
    if similarity < usual or gain > known.thresholds.gain:
        return (
            f"it is unlike every training image: the most similar one correlates at "
            f"{similarity:.2f}, and usual images reach {usual:.2f}"
        )
    return None


def answers(
    facts: pd.DataFrame,
    probabilities: Float64Array,
    sets: BoolArray,
    found: Likeness,
    reference: Reference,
) -> pd.DataFrame:
    """Decide what to say of each image.

    Parameters
    ----------
    facts : DataFrame of n rows
        `image_id`, `colourfulness`, `contrast`, `is_drawn` of the readable images.
    probabilities : float64 array, shape (members, n, classes)
    sets : bool array, shape (n, classes)
    found : Likeness
        Of the n images.
    reference : Reference

    Returns
    -------
    DataFrame
        `image`, `answer` (a class or "abstain"), `reason` (of an abstention), `set` (classes that
        stay possible, joined by " or "), `coverage`, `probability_<class>` (mean over the
        networks), `spread_<class>` (their standard deviation; missing with one network),
        `similarity`, `is_input` (False where nothing is said of the classes: set and probabilities
        are then missing, as they would mean nothing), `is_drawn` (it is a phantom).
    """
    classes = reference.classes
    mean = probabilities.mean(axis=0)
    n_members = len(probabilities)
    spread = probabilities.std(axis=0, ddof=1) if n_members > 1 else np.full_like(mean, np.nan)
    rows = []
    seen = facts[["colourfulness", "contrast"]].to_numpy(dtype=float)
    for k, image_id in enumerate(facts["image_id"]):
        if reference.is_drawn and not facts["is_drawn"].iloc[k]:
            fault: str | None = ONLY_DRAWN
        else:
            fault = input_fault(
                *(float(seen[k, 0]), float(seen[k, 1])),
                *(float(found.similarity[k]), float(found.gain[k])),
                *(found.change[k], reference),
            )
        reason = fault or _undecided(sets[k], reference)
        # Of the classes in the set: with several folds the likeliest of all need not be one.
        likeliest = classes[int(np.where(sets[k], mean[k], -1.0).argmax())]
        rows.append(
            {
                "image": image_id,
                "answer": ABSTAIN if reason else likeliest,
                "reason": reason or "",
                "set": "" if fault else _named(sets[k], classes),
                "coverage": reference.coverage,
                "similarity": float(found.similarity[k]),
                "is_input": fault is None,
                "is_drawn": bool(facts["is_drawn"].iloc[k]),
            }
        )
    columns = (
        *("image", "answer", "reason", "set", "coverage", "similarity"),
        *("is_input", "is_drawn"),
    )
    table = pd.DataFrame(rows, columns=columns)
    usable = table["is_input"].to_numpy(dtype=bool)[:, None]
    for prefix, values in (("probability", mean), ("spread", spread)):
        shown = np.where(usable, values, np.nan)
        for c, name in enumerate(classes):
            table[f"{prefix}_{name}"] = shown[:, c]
    return table


def _named(chosen: BoolArray, classes: Sequence[str]) -> str:
    return " or ".join(np.array(classes)[chosen]) or "none"


def _undecided(chosen: BoolArray, reference: Reference) -> str | None:
    """Why a set says nothing; None if it does."""
    share = f"{100 * reference.coverage:g} %"
    if not reference.enough:
        return (
            f"{sum(reference.n_calibration)} images to calibrate on are too few for {share} "
            f"coverage: {fewest_images(reference.coverage)} are needed"
        )
    if chosen.all():
        return f"no class can be excluded at {share} coverage"
    if not chosen.any():
        return f"no class fits well enough at {share} coverage"
    return None
