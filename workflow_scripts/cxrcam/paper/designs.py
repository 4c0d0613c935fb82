"""Which designs of a configuration play which part in the paper.

The paper's parts are told by what a scheme is, not by what it is called, so that any configuration
with a complete and a sub-sampled design can be set beside the paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflow_scripts.cxrcam.configuration.class_balance import reweighting
from workflow_scripts.cxrcam.configuration.resolution import (
    division,
    input_part,
    model_settings,
    train_settings,
)
from workflow_scripts.cxrcam.terms import WHOLE


@dataclass(frozen=True)
class Designs:
    """Names of schemes; None where the configuration has no such scheme.

    Attributes
    ----------
    complete : str or None
        First holdout: the complete data set, divided once.
    subsample : str or None
        First random_subsample.
    kfold : str or None
        First stratified_kfold.
    honest : str or None
        First design that keeps groups together, carves out a validation part and keeps the
        weights that were best there.
    recipes : tuple of str
        Designs with the same divisions as `complete` or `subsample` but other training, on whole
        images; not those of other published systems.
    """

    complete: str | None
    subsample: str | None
    kfold: str | None
    honest: str | None
    recipes: tuple[str, ...]


def find_designs(config: Mapping[str, Any]) -> Designs:
    """Parts that the schemes of a resolved configuration play."""
    schemes = config["schemes"]

    def first(kind: str) -> str | None:
        return next((name for name, s in schemes.items() if s["kind"] == kind), None)

    complete, subsample = first("holdout"), first("random_subsample")
    architecture = config["model"]["architecture"]
    return Designs(
        complete=complete,
        subsample=subsample,
        kfold=first("stratified_kfold"),
        honest=next((name for name in schemes if is_honest(config, name)), None),
        recipes=tuple(
            name
            for name, scheme in schemes.items()
            if scheme.get("of") in (complete, subsample)
            and scheme["kind"] == "same_splits"
            and not scheme["system"]
            and input_part(config, name) == WHOLE
            and model_settings(config, name)["architecture"] == architecture
        ),
    )


def is_honest(config: Mapping[str, Any], scheme: str) -> bool:
    """Whether nothing of a design looks at its test images or their twins; images are whole."""
    _, design = division(config, scheme)
    train = config["train"] | config["schemes"][scheme]["train"]
    return bool(
        design.get("grouped")
        and design.get("validation_fraction", 0) > 0
        and train["keep"] == "best_validation"
        and input_part(config, scheme) == WHOLE
    )


def describe_design(config: Mapping[str, Any], task: str, scheme: str) -> str:
    """One line on a design: division, size, grouping, recipe."""
    name, design = division(config, scheme)
    train = train_settings(config, task, scheme)
    kind = {
        "holdout": "complete data set, one division",
        "random_subsample": f"{design.get('repeats')} sub-samples of "
        f"{design.get('images_per_class')} images a class",
        "stratified_kfold": f"stratified {design.get('folds')}-fold",
        "leave_one_out": f"one {design.get('by')} left out at a time",
        "predefined": "the division that the data set brings",
    }[design["kind"]]
    parts = [
        kind + (f" (as {name})" if name != scheme else ""),
        "grouped" if design.get("grouped") else "not grouped",
        "validation part" if design.get("validation_fraction") else "no validation part",
        f"{train['optimizer']}, learning rate {train['learning_rate']}, "
        f"batch {train['batch_size']}, at most {train['epochs']} epochs",
    ]
    if what := reweighting(train):
        parts.append(f"trained with {what}")
    if changes := {key: value for key, value in train["augment"].items() if value}:
        parts.append("augmented: " + ", ".join(f"{k} {v:g}" for k, v in changes.items()))
    if input_part(config, scheme) != WHOLE:
        parts.append(f"covered images ({input_part(config, scheme)})")
    if sub_classes := model_settings(config, scheme).get("decompose"):
        parts.append(f"each class as {sub_classes} sub-classes")
    return "; ".join(parts)
