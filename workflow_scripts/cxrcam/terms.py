"""Words that configuration, tables and models share, each defined once."""

from typing import Final

# Roles of images in a division, column `role` of splits and predictions.
TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
UNUSED: Final = "unused"

# Of a random sub-sample: test images that all repeats share, and images outside it that are scored.
SHARED_TEST: Final = "shared_test"
REST: Final = "rest"

# What a network sees of each image, where that is not a part of it.
WHOLE: Final = "whole"

# Columns of the index, before those that a manifest brings along.
INDEX_COLUMNS: Final = (
    "image_id",
    "path",
    "label",
    "width",
    "height",
    "mode",
    "file_sha256",
    "pixel_sha256",
    "dhash",
    "group",
    "source",
    "mask_path",
    "lesion_mask_path",
    "patient",
    "split",
)
