"""Names of what the tool can do about a failed check; how it does it, `mends` says.

Apart, so that a verdict depends on the names only.
"""

from typing import Final

WITHOUT_TWINS: Final = "without_twins"
LOOK_AT_IMAGES: Final = "look_at_images"
BALANCE_SOURCES: Final = "balance_sources"
LUNGS_ONLY: Final = "lungs_only"
BLANK_CORNERS: Final = "blank_corners"

MENDS: Final = {
    BLANK_CORNERS: "the corners of all images are black",
    LUNGS_ONLY: "networks of one more scheme see the lungs only",
    WITHOUT_TWINS: "patients and copies stay on one side of the split",
    BALANCE_SOURCES: "each class is equally frequent in each source",
    LOOK_AT_IMAGES: "a list of images to look at",
}
"""Every mend in a few words, by its name; in this order they stand in the overlay."""
