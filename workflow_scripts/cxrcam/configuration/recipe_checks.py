"""Settings of networks and of training that exclude each other, or need what is not there."""

from collections.abc import Iterator, Mapping
from typing import Any

from workflow_scripts.cxrcam.configuration.capsule_networks import (
    CAPSULE_NETWORKS,
    capsule_faults,
)
from workflow_scripts.cxrcam.configuration.class_balance import balance_faults
from workflow_scripts.cxrcam.configuration.findings import classes_of
from workflow_scripts.cxrcam.configuration.problems import Problems
from workflow_scripts.cxrcam.configuration.recipes import RANDOM, possible_starts, with_recipe
from workflow_scripts.cxrcam.configuration.stages import STAGES, stage_problem
from workflow_scripts.cxrcam.terms import WHOLE

MOST_COMMON_STRIDE = 32  # pixels, of networks whose stride is not known here
WITHOUT_BATCH_NORMALISATION = frozenset({"vgg19", "squeezenet1_1"})


def _designs(config: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Scheme, task and settings of training of each design."""
    for scheme, settings in config["schemes"].items():
        for task in settings["tasks"] or config["tasks"]:
            if task in config["tasks"]:
                own = config["tasks"][task]["train"] | settings["train"]
                yield scheme, task, config["train"] | own


def check_validation(config: Mapping[str, Any], problems: Problems) -> None:
    """What looks at a validation part needs one."""
    for scheme, task, train in _designs(config):
        settings = config["schemes"][scheme]
        design = config["schemes"].get(settings.get("of"), settings)
        # A predefined division may bring a validation part; training says so if it does not.
        has_part = design["kind"] == "predefined" or design.get("validation_fraction", 0) > 0
        asks = [
            f"{key}: {train[key]}"
            for key, off in (("keep", "last"), ("patience", 0))
            if train[key] != off
        ]
        if asks and not (has_part and "validation" in train["watch"]):
            problems.add(
                ("schemes", scheme, "train"),
                f"{' and '.join(asks)} for {task}/{scheme} needs a validation part that is "
                f"watched: set schemes.{scheme}.validation_fraction (now "
                f"{design.get('validation_fraction', 0)}) above 0 and put validation into "
                "train.watch, or set train.keep: last and train.patience: 0.",
            )


def check_recipes(config: Mapping[str, Any], problems: Problems) -> None:
    """Settings of networks and of training that exclude each other."""
    for scheme, task, train in _designs(config):
        settings = config["schemes"][scheme]
        model, part = config["model"] | settings["model"], settings.get("input", WHOLE)
        for start in possible_starts(model):
            chosen = with_recipe(model, train, config["recipes"][start], n_images=1)
            size = config["image"]["size"]
            run, classes = f"{task}/{scheme}", classes_of(config["tasks"][task])
            for fault in (
                *_recipe_faults(*chosen, run, part, size),
                *balance_faults(*chosen, classes, run),
            ):
                problems.add(("schemes", scheme, "train"), fault)


def _recipe_faults(
    model: Mapping[str, Any], train: Mapping[str, Any], run: str, part: str, image_size: int
) -> list[str]:
    """Why settings without ``auto`` exclude each other, a sentence a reason."""
    frozen, shares = train["freeze_until"], train["progressive"]
    faults = capsule_faults(model, train, run)
    if stage := stage_problem(model["architecture"], model["last_stage"], model["map_stride"]):
        faults.append(stage)
    elif train["batch_size"] == 1 and model["architecture"] not in WITHOUT_BATCH_NORMALISATION:
        stages = STAGES.get(model["architecture"])
        own = stages[model["last_stage"] or max(stages)].stride if stages else MOST_COMMON_STRIDE
        stride = model["map_stride"] or own
        side = min([*shares, 1.0]) * (model["input_size"] or image_size)
        if side <= stride:
            faults.append(
                f"batch_size: 1 for {run} leaves batch normalisation a single value per channel, "
                f"as the last feature map of {model['architecture']} at {side:.0f} pixels has one "
                "cell: set train.batch_size to 2 or more."
            )
    if frozen and possible_starts(model) == (RANDOM,):
        learnt = "a file" if model["architecture"] in CAPSULE_NETWORKS else "imagenet or a file"
        faults.append(
            f"freeze_until: {frozen} for {run} with model.weights: {model['weights']} would freeze "
            f"layers that never learnt anything: set model.weights to {learnt}, or "
            "train.freeze_until to null."
        )
    if frozen and shares:
        faults.append(
            f"freeze_until: {frozen} and progressive: {shares} for {run} exclude each other, as "
            "features are computed at one size: set one of them to null or []."
        )
    if train["batch_size"] % train["gpus"]:
        faults.append(
            f"batch_size: {train['batch_size']} for {run} cannot be divided evenly among gpus: "
            f"{train['gpus']}: set train.batch_size to a multiple of {train['gpus']} (it counts "
            "the images of all GPUs together), or train.gpus to a number that divides it."
        )
    if frozen and part != WHOLE:
        faults.append(
            f"freeze_until: {frozen} and input: {part} for {run} exclude each other, as features "
            "are computed of whole images: set train.freeze_until to null for this scheme."
        )
    if shares and shares[-1] != 1:
        faults.append(
            f"progressive: {shares} for {run} ends at {shares[-1]}, but the last epochs must see "
            "images of the full size: append 1."
        )
    return faults
