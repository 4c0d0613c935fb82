"""Columns and types of the Parquet files that stages hand to each other, in one place."""

import pyarrow as pa

THUMBNAIL_SIDE = 32  # pixels
WORDS_BYTES = 256 * 4 * 4  # keypoints, words of each, bytes of a word: see images/keypoints.py
POINTS_BYTES = 256 * 2 * 2  # keypoints, coordinates, bytes

LISTING = pa.schema(
    [
        ("image_id", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("mask_path", pa.string()),
        ("lesion_mask_path", pa.string()),
        ("patient", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("size_bytes", pa.int64()),
        ("extra", pa.string()),  # further manifest columns as JSON
    ]
)

# What one decoding of an image tells, beside its resized pixels.
FACTS = pa.schema(
    [
        ("image_id", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("colourfulness", pa.float32()),  # see `images.colour`; 0 for grey, null if unreadable
        ("file_sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("words", pa.binary(WORDS_BYTES)),
        ("points", pa.binary(POINTS_BYTES)),
        ("thumbnail", pa.binary(THUMBNAIL_SIDE * THUMBNAIL_SIDE)),
        ("notes", pa.string()),  # what was mended on the way, joined by "; "; null where nothing
        # Of DICOM files. Patient and institution are hashes with the key of the project.
        ("dicom_modality", pa.string()),
        ("dicom_view", pa.string()),
        ("dicom_age", pa.float64()),  # years, at most 90
        ("dicom_sex", pa.string()),
        ("dicom_manufacturer", pa.string()),
        ("dicom_model", pa.string()),
        ("dicom_burned_in", pa.string()),
        ("dicom_institution", pa.string()),
        ("dicom_patient", pa.string()),
        ("quarantine_reason", pa.string()),  # null for a readable image
    ]
)

# Pairs of images that show one picture, or one patient twice. Coordinates are shares of the width
# and height: x of a = xx * x of b + xy * y of b + x0, and likewise y.
DUPLICATES = pa.schema(
    [
        ("image_id_a", pa.string()),
        ("image_id_b", pa.string()),
        ("kind", pa.string()),  # one of terms.DUPLICATE_KINDS
        ("correlation", pa.float32()),  # of what both show, local contrast normalised
        ("overlap", pa.float32()),  # share of either image that the other shows, the smaller one
        *((f"transform_{part}", pa.float32()) for part in ("xx", "xy", "x0", "yx", "yy", "y0")),
        ("inliers", pa.int32()),  # keypoints that fit the transform; 0 where kind is exact
    ]
)

# What forests that were grown without an image say of the label that a task gives it.
JUDGED_LABELS = pa.schema(
    [
        ("task", pa.string()),
        ("image_id", pa.string()),
        ("label", pa.string()),
        ("likelier_label", pa.string()),  # may be the same
        ("probability", pa.float64()),  # of the label given
        ("deviation", pa.float64()),  # of that from the mean of the images of this label
        ("is_counted", pa.bool_()),  # as wrong, by confident learning
    ]
)

SPLIT = pa.schema(
    [
        ("image_id", pa.string()),
        ("label", pa.string()),
        ("group", pa.string()),
        ("role", pa.string()),
    ]
)


def findings_split_schema(labels: list[str]) -> pa.Schema:
    """Schema of a division of images with several findings: of each, 1, 0 or NaN (not known)."""
    return pa.schema([*SPLIT, *((f"finding_{name}", pa.float32()) for name in labels)])


HISTORY = pa.schema(
    [
        ("iteration", pa.int64()),
        ("epoch", pa.float64()),
        ("role", pa.string()),
        ("loss", pa.float64()),
        ("accuracy", pa.float64()),
        ("learning_rate", pa.float64()),
    ]
)

# In a file of their own, so that the history is the same, byte for byte, each time.
TIMINGS = pa.schema(
    [
        ("iteration", pa.int64()),
        ("seconds", pa.float64()),  # training only, without evaluation
        ("wall_seconds", pa.float64()),
    ]
)


def predictions_schema(classes: list[str]) -> pa.Schema:
    """Schema of a run's predictions: logits and probabilities, a column each and class."""
    return pa.schema(
        [("image_id", pa.string()), ("label", pa.string()), ("role", pa.string())]
        + [(f"logit_{name}", pa.float32()) for name in classes]
        + [(f"probability_{name}", pa.float32()) for name in classes]
    )


def features_schema(k: int) -> pa.Schema:
    """Schema of what the last layer of a network gets of each test image: `k` numbers.

    Where there are none (capsules), k is 0 and the lists are empty; Parquet has none of fixed
    length 0.
    """
    numbers = pa.list_(pa.float32(), k) if k else pa.list_(pa.float32())
    return pa.schema([("image_id", pa.string()), ("features", numbers)])


def covered_schema(classes: list[str]) -> pa.Schema:
    """Schema of what a network says of test images with a part taken away, in each way."""
    return pa.schema(
        [("variant", pa.string()), ("image_id", pa.string())]
        + [(f"probability_{name}", pa.float32()) for name in classes]
    )


def maps_schema(classes: list[str], height: int, width: int) -> pa.Schema:
    """Schema of a run's raw class activation maps: float32, row by row, a column a class.

    `raw_maps.read_evidence_maps` centres them over the classes.
    """
    binary = pa.binary(4 * height * width)
    return pa.schema([("image_id", pa.string())] + [(f"map_{name}", binary) for name in classes])
