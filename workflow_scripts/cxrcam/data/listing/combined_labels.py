"""Labels that are lists of classes, such as ``Effusion|Mass``: no task can take their images."""

import re
from collections.abc import Mapping, Sequence

from workflow_scripts.cxrcam.data.listing.spellings import normalised

SEPARATORS = re.compile(r"[|;,/+&]")


def combined_labels(
    class_sizes: Mapping[str, int], classes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Labels that name at least one of `classes` beside something else.

    Parameters
    ----------
    class_sizes : mapping of str to int
        Images of each label of the data set.
    classes : sequence of str
        Classes of a task.

    Returns
    -------
    dict of str to tuple of str
        By label, the classes that it names.
    """
    by_name = {normalised(name): name for name in classes}
    found = {}
    for label in class_sizes:
        parts = [normalised(part) for part in SEPARATORS.split(label)]
        named = tuple(by_name[part] for part in parts if part in by_name)
        if named and len(parts) > 1 and label not in classes:
            found[label] = named
    return found


def combined_labels_in_words(
    class_sizes: Mapping[str, int], tasks: Mapping[str, Sequence[str]]
) -> list[str]:
    """One sentence for each task that loses images to labels that are lists of classes."""
    sentences = []
    for task, classes in tasks.items():
        combined = combined_labels(class_sizes, classes)
        n_images = sum(class_sizes[label] for label in combined)
        if n_images:
            examples = ", ".join(f"{label!r} ({class_sizes[label]})" for label in [*combined][:3])
            sentences.append(
                f"Task {task} leaves out {n_images} image{'s' * (n_images != 1)} whose label is a "
                f"list with one of its classes: {examples}. Give each image one label, or ask for "
                "`findings`."
            )
    return sentences
