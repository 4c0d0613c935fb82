"""Class weights, sampling and augmentation: combinations that a training cannot have.

No PyTorch: Snakemake reads this module whenever it reads the workflow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.cxrcam.configuration.capsule_networks import CAPSULE_NETWORKS
from workflow_scripts.cxrcam.configuration.problems import did_you_mean, show


def reweighting(train: Mapping[str, Any]) -> str:
    """What gives the classes other shares in a training than among its images; empty if nothing.

    `train` may lack keys that are at their default.
    """
    if train.get("class_weights", "none") != "none":
        return "class weights"
    sampling = train.get("sampling", "natural")
    if sampling == "balanced_within_sources":
        return "as many images of each class in each source"
    if sampling != "natural":
        return "as many images of each class"
    return ""


def shares_sentence(what: str) -> str:
    """Sentence on the probabilities of a network trained with `reweighting`; empty without."""
    if not what:
        return ""
    return (
        f"It was trained with {what}: its probabilities are those at other shares of the classes "
        "than the data have, and calibration by one temperature does not correct that."
    )


def balance_faults(
    model: Mapping[str, Any], train: Mapping[str, Any], classes: Sequence[str], run: str
) -> list[str]:
    """Why `train` does not suit its network and classes, a sentence a reason.

    `classes` is empty for a task with findings.
    """
    weights, sampling, frozen = (
        train[key] for key in ("class_weights", "sampling", "freeze_until")
    )
    if reweighting(train) and not classes:
        return [
            f"class_weights and sampling need classes that exclude each other, but {run} has "
            "findings: set train.class_weights to none and train.sampling to natural."
        ]
    faults = _weight_faults(weights, classes, run) if isinstance(weights, Mapping) else []
    if weights != "none" and sampling != "natural":
        faults.append(
            f"class_weights: {show(weights)} and sampling: {sampling} for {run} would both make up "
            "for classes of unequal size: set train.class_weights to none, or train.sampling to "
            "natural."
        )
    if reweighting(train) and model["architecture"] in CAPSULE_NETWORKS:
        key, off = ("sampling", "natural") if weights == "none" else ("class_weights", "none")
        faults.append(
            f"{key}: {show(train[key])} for {run}, but {model['architecture']} learns by margin "
            f"loss, which weighs rare classes already: set train.{key} to {off}."
        )
    chosen = {key: value for key, value in train["augment"].items() if value}
    if frozen and chosen:
        faults.append(
            f"freeze_until: {frozen} and augment: {show(chosen)} for {run} exclude each other, as "
            "features are computed once, of images as they are and mirrored: set "
            "train.freeze_until to null, or all of train.augment to 0."
        )
    return faults


def _weight_faults(weights: Mapping[str, float], classes: Sequence[str], run: str) -> list[str]:
    """Classes that weights name and a task does not have, and those that they leave out."""
    faults = [
        f"class_weights for {run} names {show(name)}, which is no class of this task."
        f"{did_you_mean(name, classes)} Its classes: {', '.join(classes)}. Weights of one task "
        "belong under its own train."
        for name in weights
        if name not in classes
    ]
    absent = [name for name in classes if name not in weights]
    if absent and not faults:
        faults.append(
            f"class_weights for {run} has no weight of {', '.join(absent)}: give one to each class "
            "(only their ratios matter), or set it to balanced or none."
        )
    return faults
