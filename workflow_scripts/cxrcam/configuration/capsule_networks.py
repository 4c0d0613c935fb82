"""Networks whose classes are capsules, and the settings that they cannot have.

No PyTorch: Snakemake reads this module whenever it reads the workflow.
"""

from collections.abc import Mapping
from typing import Any, Final

CAPSULE_NETWORKS: Final = frozenset({"covid_caps"})
"""They learn by margin loss, and nobody has published their weights after ImageNet."""


def capsule_faults(model: Mapping[str, Any], train: Mapping[str, Any], run: str) -> list[str]:
    """Why `model` and `train` of a run do not suit its network, a sentence a reason."""
    name, faults = model["architecture"], []
    if name not in CAPSULE_NETWORKS:
        return []
    if model["weights"] == "imagenet":
        faults.append(
            f"model.weights: imagenet for {run}, but no ImageNet weights of {name} are published: "
            f"set model.weights to random, to auto, or to a local file of a trained {name}."
        )
    if train["label_smoothing"]:
        faults.append(
            f"label_smoothing: {train['label_smoothing']} for {run} belongs to cross entropy, but "
            f"{name} is trained with margin loss: set train.label_smoothing to 0."
        )
    if model.get("decompose"):
        faults.append(
            f"model.decompose: {model['decompose']} for {run} adds up probabilities of "
            f"sub-classes, but the outputs of {name} are lengths of capsules: set model.decompose "
            "to null."
        )
    return faults
