"""What a schema cannot say of a configuration: what depends on two keys, the data or the disk."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.cxrcam.configuration.findings import classes_of
from workflow_scripts.cxrcam.configuration.problems import (
    KeyPath,
    Problems,
    did_you_mean,
    dotted,
    show,
    show_counts,
)
from workflow_scripts.cxrcam.data.listing.split_names import part_of
from workflow_scripts.cxrcam.terms import TEST, TRAIN, WHOLE

# Maps whose keys the user chooses; null removes an entry that an earlier file of the overlay made.
NAMED_MAPS = ("datasets", "tasks", "schemes")
# What stands in results/ beside the folders of the data sets.
RESERVED_DATASET_NAMES = frozenset({"logs", "benchmarks", "report", "weights"})
# Values of a scheme's `input`: the default, and those that need a lung mask of every image.
LUNG_INPUTS = ("lungs_out", "lungs_only")


# --- before the schema has been asked: anything may stand anywhere --------------------------------


def entries(config: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Entries of one of the named maps; none where something else stands in its place."""
    found = config.get(section)
    return found if isinstance(found, dict) else {}


def check_dataset(config: Mapping[str, Any], problems: Problems) -> None:
    """`dataset` must be the name of one of `datasets`, null entries not counted."""
    wanted, defined = config.get("dataset"), entries(config, "datasets")
    known = [name for name, entry in defined.items() if entry is not None]
    if "dataset" not in config or not known or wanted in known:
        return
    why = "must be the name of an entry of `datasets`"
    if wanted in list(defined):  # of a list, as `wanted` may be of a type that no key can be
        why = "its entry under `datasets` is null, which removes it"
    problems.add(
        ("dataset",),
        f"dataset is {show(wanted)}, but {why}."
        f"{did_you_mean(str(wanted), known)} Defined: {', '.join(known)}.",
    )


def check_external(config: Mapping[str, Any], problems: Problems) -> None:
    """Each of `external` must be the name of one of `datasets`, and not of the trained one."""
    listed, main = config.get("external"), config.get("dataset")
    defined = entries(config, "datasets")
    known = [name for name, entry in defined.items() if entry is not None and name != main]
    for position, name in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(name, str) or name in known:
            continue
        if name == main:
            message = (
                f"external names {show(name)}, which is the data set to train on: take it out of "
                "`external`, or choose another one as `dataset`."
            )
        else:
            why = "must hold names of entries of `datasets`"
            if name in defined:
                why = "its entry under `datasets` is null, which removes it"
            message = (
                f"external names {show(name)}, but {why}.{did_you_mean(name, known)} "
                f"Defined beside the data set to train on: {', '.join(known) or 'none'}."
            )
        problems.add(("external", position), message)


# Keys whose values are paths, wherever they stand.
PATH_KEYS = frozenset(
    {"root", "path", "not_copies", "exclude", "relabel", "weights", "predict_images", "container"}
)


def check_paths(value: object, problems: Problems, path: KeyPath = ()) -> None:
    """Refuse braces in paths: Snakemake takes them for wildcards and fills them in."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_paths(item, problems, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            check_paths(item, problems, (*path, position))
    elif isinstance(value, str) and PATH_KEYS & {*path[-2:]} and {"{", "}"} & {*value}:
        problems.add(
            path,
            f"{dotted(path)} is {show(value)}: Snakemake takes braces in a path for a wildcard. "
            "Rename the file or folder, or link to it under a name without braces.",
        )


def check_names(config: Mapping[str, Any], problems: Problems) -> None:
    """Names that the schema allows but the file system or the results folder does not."""
    for section in NAMED_MAPS:
        reserved = RESERVED_DATASET_NAMES if section == "datasets" else frozenset()
        spellings: dict[str, str] = {}
        for name in entries(config, section):
            lower = name.lower()
            if lower in reserved:
                problems.add(
                    (section, name),
                    f"The name {name!r} under {section!r} is reserved: choose another one, such as "
                    f"my_{lower}.",
                )
            elif lower in spellings:
                problems.add(
                    (section, name),
                    f"The names {spellings[lower]!r} and {name!r} under {section!r} differ by case "
                    "only and would be one folder on many computers: rename one.",
                )
            spellings.setdefault(lower, name)


# --- of a configuration that fits the schema, defaults filled in ----------------------------------


def check_classes(config: Mapping[str, Any], problems: Problems) -> None:
    """Compare the tasks' classes with those to which the data set is restricted."""
    name = config["dataset"]
    listed = config["datasets"][name].get("classes")
    for task, settings in config["tasks"].items():
        for wanted in classes_of(settings) if listed else []:
            if wanted not in listed:
                problems.add(
                    ("tasks", task, "classes"),
                    f"tasks.{task}.classes names {show(wanted)}, which datasets.{name}.classes "
                    f"leaves out.{did_you_mean(wanted, listed)} Add it there, or set tasks.{task} "
                    "to null to leave this task out.",
                )


def check_schemes(config: Mapping[str, Any], problems: Problems) -> None:
    """Schemes must suit the data set and leave something to train on."""
    name = config["dataset"]
    kind_of_data = config["datasets"][name]["kind"]
    for scheme, design in config["schemes"].items():
        _check_references(scheme, design, config, problems)
        if design["kind"] in ("same_splits", "leave_one_out"):
            continue
        if design["kind"] == "predefined":
            if kind_of_data == "phantom":
                problems.add(
                    ("schemes", scheme, "kind"),
                    f"schemes.{scheme}.kind is 'predefined', which takes the parts from the column "
                    "split of a manifest or from folders train and test, but "
                    f"datasets.{name} is of the kind {kind_of_data}: choose a data set of the kind "
                    "manifest, class_folders or collection, or set "
                    f"schemes.{scheme} to null to leave this scheme out.",
                )
            continue
        validation = design["validation_fraction"]
        if design["kind"] == "stratified_kfold":
            test, key = 1 / design["folds"], "folds"
            words = f"1/{design['folds']} of the images for the test part"
        else:
            test, key = design["test_fraction"], "test_fraction"
            words = f"test_fraction {test}"
        if test + validation > 1 - 1e-9:  # 0.7 + 0.3 may come out a hair below 1
            problems.add(
                ("schemes", scheme, "validation_fraction"),
                f"schemes.{scheme}.validation_fraction is {validation}, which with {words} leaves "
                f"nothing to train on: lower it, or change schemes.{scheme}.{key}.",
            )


def _check_references(
    scheme: str, design: Mapping[str, Any], config: Mapping[str, Any], problems: Problems
) -> None:
    """Other schemes and tasks that a scheme names must be there, and of a suitable kind."""
    schemes, tasks = config["schemes"], config["tasks"]
    for task in design["tasks"]:
        if task not in tasks:
            problems.add(
                ("schemes", scheme, "tasks", task),
                f"schemes.{scheme}.tasks names {show(task)}, which is no entry of `tasks`."
                f"{did_you_mean(task, tasks)} Defined: {', '.join(tasks)}. An empty list, [], "
                "means all of them.",
            )
    for key, kinds in (
        ("of", ("holdout", "random_subsample", "stratified_kfold", "leave_one_out", "predefined")),
        ("shared_test_of", ("holdout",)),
    ):
        wanted = design.get(key)
        if wanted is None:
            continue
        suitable = [name for name, other in schemes.items() if other["kind"] in kinds]
        if wanted not in suitable:
            problems.add(
                ("schemes", scheme, key),
                f"schemes.{scheme}.{key} is {show(wanted)}, but must name a scheme of the kind "
                f"{' or '.join(kinds)}.{did_you_mean(wanted, suitable)} "
                f"Defined: {', '.join(suitable) or 'none'}.",
            )


# --- against the images ---------------------------------------------------------------------------


def check_against_images(
    config: Mapping[str, Any], images_per_class: Mapping[str, int], where: str
) -> None:
    """Refuse tasks and schemes for which the data set has no or too few images.

    Groups and predefined parts are not known yet: `splits` may still refuse a division. `where` is
    the folder or file in which the images were looked for, for the messages.

    Raises
    ------
    ConfigurationError
        With every problem found, the first ten in words.
    """
    problems = Problems()
    found = show_counts(images_per_class)
    for task, settings in config["tasks"].items():
        absent = [name for name in classes_of(settings) if not images_per_class.get(name)]
        for name in absent:
            fault = f"tasks.{task}.classes names {show(name)}, a class"
            if name in images_per_class:
                fault += f" without any image in {where}. Add images"
            else:
                guess = did_you_mean(name, images_per_class)
                fault += f" that {where} does not have.{guess} Classes found: {found}. "
                fault += "Correct the name"
            problems.add(
                ("tasks", task, name),
                f"{fault}, or set tasks.{task} to null to leave this task out.",
            )
        if absent or not classes_of(settings):
            continue
        counts = {name: images_per_class[name] for name in classes_of(settings)}
        for scheme, design in config["schemes"].items():
            if design["kind"] == "same_splits" or (design["tasks"] and task not in design["tasks"]):
                continue
            fault = _too_few_images(f"schemes.{scheme}", design, counts, where)
            if fault:
                problems.add(
                    ("schemes", scheme, fault),
                    f"{fault}, or set schemes.{scheme} or tasks.{task} to null.",
                )
    problems.raise_any()


def check_masks(config: Mapping[str, Any], images: Sequence[Any]) -> None:
    """Refuse schemes whose networks see lungs only, or all but lungs, of images without lung masks.

    `images` are all of the data set, each a `datasets.ImageFile`.

    Raises
    ------
    ConfigurationError
        With every scheme concerned.
    """
    problems = Problems()
    for scheme, design in config["schemes"].items():
        part = design.get("input", WHOLE)
        if part not in LUNG_INPUTS:
            continue
        tasks = design["tasks"] or config["tasks"]
        classes = {name for task in tasks for name in classes_of(config["tasks"][task])}
        all_used = not all(classes_of(config["tasks"][task]) for task in tasks)
        used = [image for image in images if all_used or image.label in classes]
        bare = [image.image_id for image in used if not image.mask_path]
        if bare:
            problems.add(
                ("schemes", scheme, "input"),
                f"schemes.{scheme}.input is {part}, but {len(bare)} of {len(used)} images have no "
                f"lung mask (for example {show(bare[0])}): add masks, choose centre_black or "
                f"border_only, or set schemes.{scheme} to null.",
            )
    problems.raise_any()


def check_parts(config: Mapping[str, Any], images: Sequence[Any]) -> None:
    """Refuse schemes of the kind ``predefined`` where a class has nothing to train or test on.

    `images` are all of the data set, each a `datasets.ImageFile`.

    Raises
    ------
    ConfigurationError
        With every scheme concerned.
    """
    problems = Problems()
    parts = {(image.label, image.split) for image in images}
    strange = sorted(split for _, split in parts if split.strip() and not part_of(split))
    there = {(label, part_of(split)) for label, split in parts}
    for scheme, design in config["schemes"].items():
        if design["kind"] != "predefined":
            continue
        tasks = design["tasks"] or config["tasks"]
        classes = dict.fromkeys(
            name for task in tasks for name in classes_of(config["tasks"][task])
        )
        for name, part in ((name, part) for name in classes for part in (TRAIN, TEST)):
            if (name, part) not in there:
                known = f" The column split holds {show(strange[0])}, too." if strange else ""
                problems.add(
                    ("schemes", scheme, "kind"),
                    f"schemes.{scheme}.kind is 'predefined', but no image of the class "
                    f"{show(name)} is in the part {part}.{known} Correct the column split of the "
                    "manifest (train, validation, test) or the folders train and test, or set "
                    f"schemes.{scheme} to null.",
                )
                break
    problems.raise_any()


def missing_classes(
    config: Mapping[str, Any], task: str, images_per_class: Mapping[str, int]
) -> list[str]:
    """Classes of a task of which a data set has no image: without any, the task can be tested."""
    return [name for name in classes_of(config["tasks"][task]) if not images_per_class.get(name)]


def check_external_images(
    config: Mapping[str, Any], name: str, images_per_class: Mapping[str, int], where: str
) -> None:
    """Refuse an external data set on which no task can be tested.

    One that lacks classes of some tasks only is accepted: those tasks are "not assessable" on it.
    `where` is the folder or file in which its images were looked for, for the message.

    Raises
    ------
    ConfigurationError
        If it lacks a class of every task.
    """
    missing = {task: missing_classes(config, task, images_per_class) for task in config["tasks"]}
    if not all(missing.values()):
        return
    wanted = dict.fromkeys(absent for names in missing.values() for absent in names)
    guesses = "".join(did_you_mean(absent, images_per_class) for absent in wanted)
    lacking = "; ".join(
        f"{task} needs {', '.join(map(show, names))}" for task, names in missing.items()
    )
    found = show_counts(images_per_class)
    problems = Problems()
    problems.add(
        ("external", name),
        f"external names {show(name)}, on which no task can be tested: {lacking}, of which {where} "
        f"has no image.{guesses} Classes found: {found}. Call its classes as the tasks do (a "
        "manifest can give any label), or take it out of `external`.",
    )
    problems.raise_any()


def _too_few_images(
    scheme: str, design: Mapping[str, Any], counts: Mapping[str, int], where: str
) -> str:
    """Why a scheme cannot divide these images, without the full stop; empty if it can."""
    kind = design["kind"]
    if kind in ("predefined", "leave_one_out"):
        return ""
    smallest = min(counts, key=lambda name: counts[name])
    n = counts[smallest]
    have = f"the class {show(smallest)} has {n} image{'' if n == 1 else 's'} in {where}"
    needed = {"random_subsample": "images_per_class", "stratified_kfold": "folds"}.get(kind)
    if needed and design[needed] > n:
        return (
            f"{scheme}.{needed} is {design[needed]}, but {have}: lower it to at most {n}, "
            "add images"
        )
    if kind == "random_subsample":
        n = design["images_per_class"]
        have = f"{scheme}.images_per_class is {n}"
    parts = ["training", *(["validation"] if design["validation_fraction"] else []), "test"]
    if n < len(parts):  # no fraction would do
        return (
            f"{scheme} needs an image of each class for each part ({', '.join(parts)}), but "
            f"{have}: add images"
        )
    sizes = {"validation": part_size(n, design["validation_fraction"])}
    if kind == "stratified_kfold":
        sizes["test"] = math.ceil(n / design["folds"])
    else:
        sizes["test"] = part_size(n, design["test_fraction"])
    for part, size in sizes.items():
        fraction = design.get(f"{part}_fraction")
        if fraction and size < 1:
            enough = math.ceil(0.5 / n * 1000) / 1000
            return (
                f"{scheme}.{part}_fraction is {fraction}, which gives a {part} part without any "
                f"image of a class, as {have}: raise it to {enough:g} or more, add images"
            )
    if sum(sizes.values()) >= n:
        return (
            f"{scheme} leaves no image of a class to train on ({sizes['test']} for the test part, "
            f"{sizes['validation']} for validation), as {have}: make these parts smaller, "
            "add images"
        )
    return ""


def part_size(n_images: int, fraction: float) -> int:
    """Count the images of a class in a part: the fraction, rounded half up as in `splits`."""
    return math.floor(n_images * fraction + 0.5)
