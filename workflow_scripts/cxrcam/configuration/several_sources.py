"""Unions of data sets, and schemes that leave out one source of images after the other."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflow_scripts.cxrcam.configuration.findings import classes_of, labels_of
from workflow_scripts.cxrcam.configuration.problems import (
    ConfigurationError,
    Problems,
    did_you_mean,
    show,
)
from workflow_scripts.cxrcam.data.listing.findings_text import SEPARATOR
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.data.listing.sources import SOURCE, column_names, value_of
from workflow_scripts.cxrcam.data.listing.spellings import first_alike, normalised
from workflow_scripts.cxrcam.data.listing.unions import MEMBER_COLUMN

MOST_VALUES = 50
"""Folds of one scheme; a column with more values, such as a patient's, tells no sources apart."""


# --- unions ---------------------------------------------------------------------------------------


def check_unions(config: Mapping[str, Any], problems: Problems) -> None:
    """Unions must name other data sets that are none, and share none with `external`."""
    data_sets = config["datasets"]
    simple = [name for name, entry in data_sets.items() if entry["kind"] != "union"]
    for name, entry in data_sets.items():
        for member in entry.get("of", ()):
            if member in simple:
                continue
            why = "is a union itself: name the data sets that it is of"
            if member not in data_sets:
                why = f"is no entry of `datasets`.{did_you_mean(member, simple)}"
                why += f" Defined: {', '.join(simple)}"
            problems.add(
                ("datasets", name, "of"), f"datasets.{name}.of names {show(member)}, which {why}."
            )
        for member in entry.get("labels", {}):
            if member not in entry["of"]:
                problems.add(
                    ("datasets", name, "labels", member),
                    f"datasets.{name}.labels names {show(member)}, which is none of its data sets."
                    f"{did_you_mean(member, entry['of'])} They are: {', '.join(entry['of'])}.",
                )
    trained = set(data_sets[config["dataset"]].get("of", [config["dataset"]]))
    for name in config["external"]:
        if shared := sorted(trained & set(data_sets[name].get("of", [name]))):
            problems.add(
                ("external", name),
                f"external names {show(name)}, which has the images of {show(shared[0])}, on which "
                "networks are trained: take it out of `external`.",
            )


def check_union_images(config: Mapping[str, Any], images: Iterable[ImageFile]) -> None:
    """Refuse a union of data sets that share no class of a task: classes would be data sets.

    `images` are those of the data set that is trained on.

    Raises
    ------
    ConfigurationError
        If no class of any task has images of two of its data sets.
    """
    name = config["dataset"]
    if config["datasets"][name]["kind"] != "union":
        return
    asked = {
        name for task in config["tasks"].values() for name in (*classes_of(task), *labels_of(task))
    }
    pairs = sorted(
        {
            (image.extra[MEMBER_COLUMN], name)
            for image in images
            for name in (image.label, *image.label.split(SEPARATOR))
        }
    )
    of_task = [(member, label) for member, label in pairs if label in asked]
    if max(Counter(label for _, label in of_task).values(), default=0) > 1:
        return
    held = "; ".join(
        f"{member} has {', '.join(label for owner, label in pairs if owner == member)}"
        for member in config["datasets"][name]["of"]
    )
    raise ConfigurationError(
        f"datasets.{name}: no class of a task is in two of its data sets ({held}), so that telling "
        "classes apart would be telling data sets apart: give the same class one name with "
        f"datasets.{name}.labels, or choose data sets that share classes."
    )


# --- leave_one_out --------------------------------------------------------------------------------


def held_out_values(config: Mapping[str, Any], images: Sequence[ImageFile]) -> dict[str, list[str]]:
    """What each fold of each scheme of the kind ``leave_one_out`` tests on, by scheme.

    Parameters
    ----------
    config : mapping
        Resolved.
    images : sequence of ImageFile
        All of the data set.

    Returns
    -------
    dict of str to list of str
        Sorted values of the scheme's column.

    Raises
    ------
    ConfigurationError
        With every scheme concerned: no image has the column, it has one value only, more than
        `MOST_VALUES`, two that are spelt alike, or one without a class of a task; or without one
        of them nothing of a class is left to train on.
    """
    problems, values = Problems(), {}
    for scheme, design in config["schemes"].items():
        if design["kind"] != "leave_one_out":
            continue
        column = design["by"]
        of_image = [value_of(image.source, image.extra, column) for image in images]
        values[scheme] = sorted({value for value in of_image if value})
        pairs = Counter(zip(of_image, (image.label for image in images), strict=True))
        tasks = [config["tasks"][task] for task in design["tasks"] or config["tasks"]]
        faults = [_column_fault(column, values[scheme], images)]
        # Whether a source has a finding, the division tells.
        faults += [
            _task_fault(column, values[scheme], classes, pairs)
            for task in tasks
            if (classes := classes_of(task))
        ]
        if fault := next(filter(None, faults), ""):
            problems.add(
                ("schemes", scheme, "by"),
                f"schemes.{scheme}.by is {show(column)}, but {fault}, or set schemes.{scheme} to "
                "null.",
            )
    problems.raise_any()
    return values


def _column_fault(column: str, values: Sequence[str], images: Sequence[ImageFile]) -> str:
    """Why a column tells no sources apart, without the full stop; empty if it does."""
    if not values:
        known = column_names(images)
        return (
            f"no image has {'a source' if column == SOURCE else 'such an entry'}."
            f"{did_you_mean(column, known)} Known before images are read: "
            f"{', '.join(known) or 'nothing'}. List it in a manifest, or train on a union"
        )
    if len(values) == 1:
        return f"all images have the same, {show(values[0])}: choose another column"
    if len(values) > MOST_VALUES:
        return (
            f"it has {len(values)} values, each of which would be a fold of the at most "
            f"{MOST_VALUES}: choose a column that tells sources, not images, apart"
        )
    if pair := first_alike(values, normalised):
        return (
            f"the values {pair[0]!r} and {pair[1]!r} differ only by case, blanks or how a number "
            "is written: spell one alike everywhere"
        )
    return ""


def _task_fault(
    column: str,
    values: Sequence[str],
    classes: Sequence[str],
    pairs: Mapping[tuple[str, str], int],
) -> str:
    """Why a value cannot be left out, without the full stop; `pairs` count value and class."""
    mend = f"empty {column} for such images (they are then used for training only)"
    for value in values:
        there = [label for label in classes if pairs.get((value, label))]
        lacking = [label for label in classes if label not in there]
        if len(there) == 1:
            return (
                f"{value!r} has only {there[0]} images: a test on it could not tell classes apart. "
                f"Leave {mend}"
            )
        if lacking:
            return f"{value!r} has no image of {lacking[0]}: leave {mend}"
        for label in there:
            everywhere = sum(n for (_, of_class), n in pairs.items() if of_class == label)
            if everywhere == pairs[value, label]:
                return (
                    f"{value!r} has all images of {label}: without it, nothing of that class is "
                    "left to train on. Add images from elsewhere"
                )
    return ""
