"""What `auto` means in `model` and `train`: it follows the weights that a network starts from.

Pretrained weights want a lower learning rate and fewer steps than random ones, and larger images.
Which of both a network gets is known only when the weights are there, so that a training job asks
here; what the user has set stays. No PyTorch: Snakemake reads this module.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from workflow_scripts.cxrcam.configuration.capsule_networks import CAPSULE_NETWORKS
from workflow_scripts.cxrcam.configuration.stages import STAGES

AUTO: Final = "auto"
RANDOM: Final = "random"
PRETRAINED: Final = "pretrained"

MODEL_KEYS: Final = ("last_stage", "map_stride", "input_size")
TRAIN_KEYS: Final = ("epochs", "batch_size", "learning_rate", "progressive")


def possible_starts(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Recipes that a network may get, by ``model.weights``: which of both, or either."""
    either = (RANDOM,) if model["architecture"] in CAPSULE_NETWORKS else (PRETRAINED, RANDOM)
    return {RANDOM: (RANDOM,), AUTO: either}.get(model["weights"], (PRETRAINED,))


def used_recipes(
    model: Mapping[str, Any], train: Mapping[str, Any], recipes: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What of the recipes a training may look at: nothing else can make its model stale.

    Part of the recipe of each start that is possible; `model` and `train` are those of
    `with_recipe`.
    """
    keys = [key for part in (model, train) for key, value in part.items() if value == AUTO]
    if "epochs" in keys:
        keys.append("least_steps")
    return {
        start: {key: recipes[start][key] for key in keys if key in recipes[start]}
        for start in possible_starts(model)
    }


def with_recipe(
    model: Mapping[str, Any], train: Mapping[str, Any], recipe: Mapping[str, Any], n_images: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put the values of a recipe where `model` and `train` say ``auto``.

    Parameters
    ----------
    model, train : mapping
        From `resolution.model_settings` and `resolution.train_settings`.
    recipe : mapping
        One of ``recipes``.
    n_images : int
        Training images. Few of them are seen more often, until ``least_steps`` are reached.

    Returns
    -------
    model, train : dict
        Without ``auto`` but for ``model.weights``.
    """
    chosen_model = _filled(model, recipe, MODEL_KEYS)
    stages = STAGES.get(chosen_model["architecture"], {})
    if model["last_stage"] == AUTO and chosen_model["last_stage"] not in stages:
        chosen_model["last_stage"] = None  # a network that can only be whole
    if model["map_stride"] == AUTO and not stages:
        chosen_model["map_stride"] = None  # that of its last feature map, whatever it is
    elif model["map_stride"] == AUTO and chosen_model["map_stride"] is not None:
        stage = stages.get(chosen_model["last_stage"], stages[max(stages)])
        # A recipe asks for what most networks can have; this one may have to stay coarser.
        finest = max(chosen_model["map_stride"], stage.finest)
        chosen_model["map_stride"] = min(finest, stage.stride)
    chosen_train = _filled(train, recipe, TRAIN_KEYS)
    if train.get("progressive") == AUTO and train.get("freeze_until"):
        chosen_train["progressive"] = []  # frozen layers are computed once, at one side
    if train["epochs"] == AUTO:
        steps_an_epoch = math.ceil(n_images / chosen_train["batch_size"])
        enough = math.ceil(recipe["least_steps"] / steps_an_epoch)
        chosen_train["epochs"] = max(chosen_train["epochs"], enough)
    return chosen_model, chosen_train


def _filled(
    settings: Mapping[str, Any], recipe: Mapping[str, Any], keys: tuple[str, ...]
) -> dict[str, Any]:
    """Settings with the recipe's values where some of `keys` say ``auto``."""
    return {
        key: recipe[key] if key in keys and value == AUTO else value
        for key, value in settings.items()
    }
