"""What the tool itself can do about a failed check, named by the checks that it answers."""

from typing import Final

WITHOUT_TWINS: Final = "without_twins"
LOOK_AT_IMAGES: Final = "look_at_images"
BALANCE_SOURCES: Final = "balance_sources"
LUNGS_ONLY: Final = "lungs_only"
BLANK_CORNERS: Final = "blank_corners"

MENDS: Final = {
    BLANK_CORNERS: "the corners are blanked",
    LUNGS_ONLY: "the network sees the lungs only",
    WITHOUT_TWINS: "patients and copies stay on one side of the split",
    BALANCE_SOURCES: "each class is equally frequent in each source",
    LOOK_AT_IMAGES: "a list of images to look at",
}
"""Every mend in a few words, by its name."""
