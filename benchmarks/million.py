"""A million images through everything that works on rows: `python -m benchmarks.million`.

No image is decoded. A million empty files and a manifest stand for the data set, and what decoding
would have told of them (checksums, words of keypoints, small pixels) is made up, with copies
planted. Then the workflow is planned (`snakemake -n`), and the entry scripts of its jobs run as
Snakemake would run them, one after the other: listing, index with its search for copies and their
confirmation, splits (a grouped holdout, three grouped folds), leaks, class by source.

That is the easy case of the search: strangers have no words in common. Real chests resemble each
other, and some pairs of strangers are laid over each other too.

Prints seconds, CPU seconds and peak memory of each job and writes results/benchmarks/million.csv.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.workflow import PROJECT, copy_project
from tests.shards import write_shard
from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.contracts import FACTS, THUMBNAIL_SIDE
from workflow_scripts.cxrcam.data.listing.datasets import shard_count, shard_number
from workflow_scripts.cxrcam.images.keypoints import (
    NO_WORD,
    STEPS,
    VIEWS,
    Keypoints,
    keypoints,
)

CLASSES = ("Normal", "COVID", "Viral Pneumonia")
SHARES = (0.6, 0.3, 0.1)  # of the classes
SOURCES = 40
IMAGES_A_PATIENT = 3  # on average, where a patient is named, which half of the images do
COPIED = 0.01  # share of the images that are a copy of another one
KINDS = ("exact", "brightened", "mirrored", "inverted")
VIEW_OF = {"mirrored": 1, "inverted": 2}  # position in keypoints.VIEWS
CHANGES: dict[str, Callable[[UInt8Array], UInt8Array]] = {
    "exact": lambda pixels: pixels,
    "brightened": lambda pixels: (pixels * 0.9).astype(np.uint8),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "inverted": lambda pixels: 255 - pixels,
}
PICTURES = 500  # different ones
SIDE = 64  # of the cached images, in pixels
DATA_SET = "bench"
TASK = "two_class"

# Runs one entry script with an object like Snakemake's.
JOB = """
import json, runpy, sys, types
from snakemake.iocontainers import InputFiles, OutputFiles, Log, Params, Wildcards
job = json.loads(sys.argv[1])
kinds = dict(input=InputFiles, output=OutputFiles, log=Log, params=Params, wildcards=Wildcards)
parts = {name: kind(fromdict=job.get(name, {})) for name, kind in kinds.items()}
given = types.SimpleNamespace(**parts, config=job["config"], threads=job.get("threads", 1))
runpy.run_path(job["script"], init_globals={"snakemake": given}, run_name="__main__")
"""

PLAN = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--configfile", "bench.yaml"]

# The part of rule audit_data that needs no pixels.
BY_SOURCE = """
import sys
import pandas as pd
from workflow_scripts.cxrcam.audit.class_by_source import assess_class_by_source
images = pd.read_parquet(sys.argv[1])
print(assess_class_by_source(images["label"].tolist(), images["source"].tolist(), sys.argv[2:]))
"""


def images_table(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Manifest of the images: path, label, patient (empty for half of them) and source."""
    labels = rng.choice(len(CLASSES), n, p=SHARES)
    patients = rng.integers(0, max(1, n // (2 * IMAGES_A_PATIENT)), n)
    named = rng.random(n) < 0.5
    return pd.DataFrame(
        {
            # A hundred folders a class, so that no folder is huge.
            "path": [f"{CLASSES[c]}/{k % 100:02d}/{k:08d}.png" for k, c in enumerate(labels)],
            "label": np.array(CLASSES, dtype=object)[labels],
            "patient": np.where(named, [f"P{patient:07d}" for patient in patients], ""),
            "source": [f"hospital {source}" for source in rng.integers(0, SOURCES, n)],
        }
    )


def write_files(folder: Path, table: pd.DataFrame) -> None:
    """Empty image files and the manifest that lists them."""
    for name in CLASSES:
        for part in range(100):
            (folder / name / f"{part:02d}").mkdir(parents=True)
    for path in table["path"]:
        os.close(os.open(folder / path, os.O_CREAT | os.O_WRONLY))
    table.to_csv(folder / "manifest.csv", index=False)


def write_facts(folder: Path, image_ids: list[str], shard_images: int) -> None:
    """What decoding would have told of each image, two Parquet files a shard; copies are planted.

    Words are random, and pixels those of a few pictures: only copies have words in common.
    """
    n, rng = len(image_ids), np.random.default_rng(1)
    pictures = [picture(rng) for _ in range(PICTURES)]
    of_picture = [keypoints(each) for each in pictures]
    checksums = rng.integers(0, 256, (n, 32), dtype=np.uint8)
    chosen = rng.permutation(n)[: 2 * int(n * COPIED)].reshape(2, -1)
    copy_of = dict(zip(chosen[1].tolist(), chosen[0].tolist(), strict=True))
    kind_of = {copy: KINDS[k % len(KINDS)] for k, copy in enumerate(copy_of)}
    for copy, original in copy_of.items():
        if kind_of[copy] == "exact":
            checksums[copy] = checksums[original]

    def keypoints_of(row: int) -> Keypoints:
        """Those of the picture, with words that only an image and its copy have."""
        original = copy_of.get(row, row)
        salt = np.random.default_rng([2, original]).integers(0, 2**24, 1, np.uint32)
        words, points = of_picture[original % PICTURES]
        view = VIEWS[VIEW_OF.get(kind_of.get(row, ""), 0)]
        words = view.of_words(np.where(words == NO_WORD, words, words ^ salt))
        shares = view.of_points(points / STEPS)
        return Keypoints(words, np.rint(shares * STEPS).astype(np.uint16))

    def pixels_of(row: int) -> UInt8Array:
        return CHANGES[kind_of.get(row, "exact")](pictures[copy_of.get(row, row) % PICTURES])

    planted = {
        "image_id_a": [image_ids[k] for k in chosen[0]],
        "image_id_b": [image_ids[k] for k in chosen[1]],
        "kind": list(kind_of.values()),
    }
    pq.write_table(pa.table(planted), folder / "planted.parquet")
    n_shards = shard_count(n, shard_images)
    shard_of = np.array([shard_number(name, n_shards) for name in image_ids])
    place = folder / f"results/{DATA_SET}"
    (place / "index/facts").mkdir(parents=True)
    for number in range(n_shards):
        rows = np.flatnonzero(shard_of == number)
        names = [image_ids[k] for k in rows]
        pixels = np.stack([pixels_of(int(k)) for k in rows])
        found = [keypoints_of(int(k)) for k in rows]
        write_shard(place / f"cache/shard-{number:05d}.parquet", names, pixels, {})
        columns = dict.fromkeys(FACTS.names, [None] * len(rows)) | {
            "image_id": names,
            "width": np.full(len(rows), 299, np.int32),
            "height": np.full(len(rows), 299, np.int32),
            "mode": ["L"] * len(rows),
            "file_sha256": [f"{k:064x}" for k in rows],
            "pixel_sha256": [row.tobytes().hex() for row in checksums[rows]],
            "thumbnail": [bytes(THUMBNAIL_SIDE**2)] * len(rows),
            "words": [one.words.tobytes() for one in found],
            "points": [one.points.tobytes() for one in found],
        }
        table = pa.table(columns, schema=FACTS)
        pq.write_table(table, place / f"index/facts/shard-{number:05d}.parquet")


def picture(rng: np.random.Generator) -> UInt8Array:
    """Structure at all scales, as in a radiograph."""
    total = np.zeros((SIDE, SIDE))
    for coarse in (4, 8, 16, 32):
        grid = Image.fromarray(rng.integers(0, 256, (coarse, coarse), dtype=np.uint8))
        total += np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) / coarse
    return np.interp(total, (total.min(), total.max()), (10, 240)).astype(np.uint8)


def measured(folder: Path, command: Sequence[str]) -> dict[str, float]:
    """Run a command: seconds, CPU seconds and peak memory (of its largest process) in GiB."""
    began = time.perf_counter()
    with (folder / "printed.txt").open("wb") as printed:
        process = os.posix_spawn(
            command[0],
            list(command),
            {**os.environ, "PYTHONPATH": str(folder)},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, printed.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, printed.fileno(), 2),
            ],
        )
        _, status, usage = os.wait4(process, 0)
    if status:
        text = (folder / "printed.txt").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"{' '.join(command)[:300]} failed:\n{text[-3000:]}")
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "gib": usage.ru_maxrss / 2**20,
    }


def run_job(folder: Path, script: str, **parts: object) -> dict[str, float]:
    """Run the entry script of a rule in `folder`; measurements as of `measured`."""
    settings: Mapping[str, Any] = {
        "datasets": {DATA_SET: {"kind": "manifest", "path": "data/manifest.csv"}},
        "image": {"max_quarantined_share": 0.01},
    }
    job = {
        "script": str(folder / "workflow_scripts" / script),
        "config": settings,
        "log": {"log": f"logs/{script}.log"},
        **parts,
    }
    return measured(folder, [sys.executable, "-c", JOB, json.dumps(job)])


def design(name: str, **settings: str | float) -> dict[str, Any]:
    """A scheme as rule `splits` passes it."""
    return {"name": name, "design": {"grouped": True, **settings}}


def run_all(folder: Path, images: int, shard_images: int) -> list[dict[str, Any]]:
    """Measure every job; one row each."""
    rows: list[dict[str, Any]] = []

    def record(job: str, values: dict[str, float]) -> None:
        rows.append({"job": job, "images": images, **{k: round(v, 2) for k, v in values.items()}})
        print(rows[-1], flush=True)

    os.chdir(folder)
    table = images_table(images, np.random.default_rng(0))
    write_files(folder / "data", table)
    (folder / "logs").mkdir()
    place = f"results/{DATA_SET}"
    record("plan: snakemake -n", measured(folder, PLAN))
    job = partial(run_job, folder)
    listing = f"{place}/index/listing.parquet"
    params = {
        "settings": {"kind": "manifest", "path": "data/manifest.csv"},
        "phantom_root": "phantoms",
    }
    record("listing", job("listing.py", output={"listing": listing}, params=params))
    image_ids = pq.read_table(listing, columns=["image_id"])["image_id"].to_pylist()
    write_facts(folder, image_ids, shard_images)
    outputs = {
        "images": f"{place}/index/images.parquet",
        "quarantine": f"{place}/index/quarantine.csv",
        "duplicates": f"{place}/audit/duplicates.parquet",
    }
    facts = sorted(map(str, Path(f"{place}/index/facts").iterdir()))
    shards = sorted(map(str, Path(f"{place}/cache").iterdir()))
    inputs: dict[str, Any] = {"listing": listing, "facts": facts, "shards": shards, "metadata": []}
    cores = len(os.sched_getaffinity(0))
    searched = job("index.py", input=inputs, output=outputs, threads=cores)
    record(f"index, {cores} threads", searched)
    pairs = pd.read_parquet(outputs["duplicates"])
    planted = pd.read_parquet("planted.parquet")
    ends = ["image_id_a", "image_id_b"]
    found, sought = (set(map(frozenset, table[ends].to_numpy())) for table in (pairs, planted))
    print(
        f"{len(found & sought)} of {len(sought)} planted copies found, "
        f"{len(found - sought)} other pairs",
        flush=True,
    )

    schemes = {
        "holdout": (design("holdout", kind="holdout", test_fraction=0.1), [1]),
        "kfold": (design("kfold", kind="stratified_kfold", folds=3), [1, 2, 3]),
    }
    splits = []
    for scheme, (settings, folds) in schemes.items():
        for fold in folds:
            splits.append({"task": TASK, "scheme": scheme, "fold": fold})
            record(
                f"splits {scheme}, fold {fold}",
                job(
                    "splits.py",
                    input={"images": outputs["images"]},
                    output={"split": f"{place}/splits/{TASK}/{scheme}/fold-{fold}.parquet"},
                    wildcards=splits[-1],
                    params={"classes": CLASSES[:2], "scheme": settings, "shared_test": {}},
                ),
            )
    leaks = {
        "duplicates": outputs["duplicates"],
        "images": outputs["images"],
        "splits": [f"{place}/splits/{TASK}/{s['scheme']}/fold-{s['fold']}.parquet" for s in splits],
    }
    output = {"leaks": f"{place}/audit/leaks.csv"}
    record(
        "leaks of 4 splits",
        job("audit_leaks.py", input=leaks, output=output, params={"splits": splits}),
    )
    by_source = [sys.executable, "-c", BY_SOURCE, outputs["images"], *CLASSES]
    record("class by source", measured(folder, by_source))
    return rows


def overlay(shard_images: int) -> dict[str, object]:
    """Configuration of the study: two tasks, one training each."""
    return {
        "dataset": DATA_SET,
        "datasets": {DATA_SET: {"kind": "manifest", "path": "data/manifest.csv"}},
        "schemes": {"random_subsample": None, "holdout": {"test_fraction": 0.1}},
        "image": {"shard_images": shard_images},
    }


def plan_shards(folder: Path, shards: int) -> dict[str, Any]:
    """Measure the plan of as many cache jobs: what Snakemake itself takes, with few images."""
    copy_project(folder, overlay(1))
    write_files(folder / "data", images_table(shards, np.random.default_rng(0)))
    os.chdir(folder)
    values = {k: round(v, 2) for k, v in measured(folder, PLAN).items()}
    row = {"job": f"plan: snakemake -n, {shards} cache jobs", "images": shards, **values}
    print(row, flush=True)
    return row


def main() -> None:
    """Measure all jobs and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000, help="0: plans of shards only")
    parser.add_argument("--shard-images", type=int, default=2048, help="as image.shard_images")
    parser.add_argument("--plan-shards", type=int, nargs="*", default=[1024, 4096])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxrcam-million-") as temporary:
        rows = [plan_shards(Path(temporary) / str(n), n) for n in options.plan_shards]
        if options.images:
            folder = Path(temporary) / "project"
            copy_project(folder, overlay(options.shard_images))
            rows += run_all(folder, options.images, options.shard_images)
        os.chdir(PROJECT)
    target = PROJECT / "results/benchmarks/million.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    result = pd.DataFrame(rows)
    result.to_csv(target, index=False)
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(result.to_string(index=False))
    print(f"\nWritten to {target.relative_to(PROJECT)}.")


if __name__ == "__main__":
    main()
