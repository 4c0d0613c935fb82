"""Parts of a data set that comes divided, as manifests and folders call them."""

from typing import Final

from workflow_scripts.cxrcam.terms import TEST, TRAIN, VALIDATION

PART_NAMES: Final = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validate", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}


def part_of(name: str) -> str:
    """Role of the images of a part, by its name in any case; empty for any other name."""
    return PART_NAMES.get(name.strip().lower(), "")
