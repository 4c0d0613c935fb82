"""A small training job with its files, for tests that run it or its processes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.shards import write_shard
from tests.unit.distributed_example import PLAIN
from workflow_scripts.cxrcam.networks.training.job import TrainingJob

N_IMAGES = 12  # of two classes in turn; the last four are for testing
CLASSES = ["bright", "dark"]


def small_job(
    folder: Path, model: dict[str, Any] | None = None, settings: dict[str, Any] | None = None
) -> TrainingJob:
    """A SqueezeNet of noise, 32 pixels a side; writes into `folder` what it reads."""
    folder.mkdir(exist_ok=True)
    names = [f"image-{k}" for k in range(N_IMAGES)]
    labels = [CLASSES[k % 2] for k in range(N_IMAGES)]
    split = {"image_id": names, "label": labels, "role": ["train"] * 8 + ["test"] * 4}
    pq.write_table(pa.table(split), folder / "split.parquet")
    pixels = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 32, 32), dtype=np.uint8)
    write_shard(folder / "shard.parquet", names, pixels, {"content_fingerprint": "0f"})
    return TrainingJob(
        **{"task": "two_class", "scheme": "holdout", "fold": 1, "seed": 0},
        classes=CLASSES,
        image={"mean": [0.5] * 3, "size": 32, "std": [0.25] * 3},
        input_part="whole",
        model={
            **{"architecture": "squeezenet1_1", "weights": "random", "input_size": None},
            **{"last_stage": None, "map_stride": None},
            **(model or {}),
        },
        settings=PLAIN | {"batch_size": 8, "watch": ["test"]} | (settings or {}),
        recipes={"random": {}, "pretrained": {}},
        **{"precision": "float32", "deterministic": True, "cuda_graphs": True},
        **{"threads": 1, "code": "this"},
        **{"pixel_memory_mb": 100, "checkpoint_seconds": 0.1},
        split=str(folder / "split.parquet"),
        shards=[str(folder / "shard.parquet")],
        **{"features": [], "masks": None, "weights": None},
        checkpoint=str(folder / "checkpoint.safetensors"),
        model_file=str(folder / "model.safetensors"),
        history_file=str(folder / "history.parquet"),
        timings_file=str(folder / "timings.parquet"),
    )
