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

ROLES: Final = (TRAIN, VALIDATION, TEST, SHARED_TEST, REST, UNUSED)
"""Parts of a division, in the order of tables."""

# What a network sees of each image, where that is not a part of it.
WHOLE: Final = "whole"

# What every page, picture and message says of a data set of the kind "phantom".
DRAWN: Final = "Drawn images, not X-rays of patients"

# Columns of the index, before those that a manifest brings along.
INDEX_COLUMNS: Final = (
    "image_id",
    "path",
    "label",
    "width",
    "height",
    "mode",
    "colourfulness",
    "file_sha256",
    "pixel_sha256",
    "group",
    "source",
    "mask_path",
    "lesion_mask_path",
    "patient",
    "split",
    "notes",
    "dicom_modality",
    "dicom_view",
    "dicom_age",
    "dicom_sex",
    "dicom_manufacturer",
    "dicom_model",
    "dicom_burned_in",
    "dicom_institution",
    "dicom_patient",
)

# Column of the index, where a data set tells lesions in a table: see `images/lesion_regions.py`.
LESION_REGIONS: Final = "lesion_regions"

EXACT: Final = "exact"
OTHER_EXPOSURE: Final = "other_exposure"
DUPLICATE_KINDS: Final = (
    EXACT,
    "re-encoded",
    "brightened",
    "mirrored",
    "inverted",
    "cropped",
    "shifted",
    "turned",
    "inset",
    "annotated",
    OTHER_EXPOSURE,
)
"""What a pair of `contracts.DUPLICATES` can be: copies of one picture, and how the second differs;
last, two exposures of one patient, which are no copies but belong on one side of a split."""
