"""Columns and types of the Parquet files that stages hand to each other, in one place."""

import pyarrow as pa

DHASH_BYTES = 32  # 256 bits
THUMBNAIL_SIDE = 32  # pixels; enough to confirm a near-duplicate

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
        ("file_sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("dhash", pa.binary(DHASH_BYTES)),
        ("thumbnail", pa.binary(THUMBNAIL_SIDE * THUMBNAIL_SIDE)),
        ("quarantine_reason", pa.string()),  # null for a readable image
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
