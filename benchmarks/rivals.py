"""The audit beside other tools, on the same images: `python -m benchmarks.rivals`.

Four tasks, on phantoms or on X-rays of a folder (`--root FOLDER`, a folder a class):

- copies: some originals are changed in every way of `benchmarks.duplicates`; found are pairs of an
  original and its copy, false are pairs of different originals (copies in the folder among them);
- suspect images: two images are changed in each way of `benchmarks.suspects`; how many stand out;
- suspect labels: 5 % of all images are flipped; how many of the first named, as many as that, are
  wrong. All tools are given the probabilities of the audit's forests;
- shortcuts (phantoms only): sets of `benchmarks.planted_sets`; whether anything is raised.

Other tools run as documented, or with a threshold chosen for X-rays where that is better. Each has
a process of its own, for its CPU seconds and peak memory. Writes results/benchmarks/rivals.csv.
"""

import argparse
import multiprocessing
import resource
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import duplicates, suspect_labels, suspects
from benchmarks.planted_sets import CLASSES, CLEAN, MANIFEST, write_set
from benchmarks.planted_truth import checks_of_data, overlay
from benchmarks.workflow import copy_project
from workflow_scripts.cxrcam.audit.suspect_images import likeness_to_others, suspect_images
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE
from workflow_scripts.cxrcam.verdict.answer import alarms

OURS = "CXR-CAM"
SIDE, IMAGES_PER_CLASS = 224, 150
SHORTCUTS = (CLEAN, "marker", "exposure", "resampling")

Pairs = set[frozenset[str]]


def our_copies(folder: Path) -> Pairs:
    """Pairs of names of files that show one picture; names are without suffix, here and below."""
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(temporary)
        # Decoding removes what it read: the other tools still need it.
        files = [Path(shutil.copy2(file, cache)) for file in sorted(folder.iterdir())]
        duplicates.decoded(cache, files, SIDE, 0)
        images = stored_fingerprints([cache / "facts-0.parquet"])
        pairs = find_duplicates(images, [cache / "shard-0.parquet"])
    pairs = pairs[pairs["kind"] != OTHER_EXPOSURE]
    return {*map(frozenset, zip(pairs["image_id_a"], pairs["image_id_b"], strict=True))}


def imagehash_copies(folder: Path, distance: int) -> Pairs:
    """Perceptual hashes of 256 bits that differ in so many bits at most."""
    import imagehash

    files = sorted(folder.iterdir())
    bits = np.array([imagehash.phash(Image.open(file), 16).hash.ravel() for file in files])
    found = set()
    for k, row in enumerate(bits):
        near = np.flatnonzero((bits[k + 1 :] != row).sum(axis=1) <= distance)
        found |= {frozenset((files[k].stem, files[k + 1 + j].stem)) for j in near}
    return found


def imagededup_copies(folder: Path, distance: int) -> Pairs:
    """Perceptual hashes of 64 bits that differ in so many bits at most (default: 10)."""
    from imagededup.methods import PHash

    # It starts processes for every step, which should not import all of this anew.
    multiprocessing.set_start_method("fork", force=True)
    method = PHash(verbose=False)
    hashes = method.encode_images(str(folder), num_enc_workers=0)
    found = method.find_duplicates(
        encoding_map=hashes, max_distance_threshold=distance, num_dist_workers=0
    )
    return {frozenset((Path(a).stem, Path(b).stem)) for a, of in found.items() for b in of}


def cleanvision_copies(folder: Path) -> Pairs:
    """Exact and near-duplicates."""
    kinds = ("exact_duplicates", "near_duplicates")
    lab = _cleanvision(folder, kinds)
    sets = [one for kind in kinds for one in lab.info[kind]["sets"]]
    pairs = (pair for one in sets for pair in combinations(one, 2))
    return {frozenset((Path(a).stem, Path(b).stem)) for a, b in pairs}


def _cleanvision(folder: Path, kinds: tuple[str, ...]):  # noqa: ANN202 (it may be missing)
    from cleanvision import Imagelab

    lab = Imagelab(filepaths=[*map(str, sorted(folder.iterdir()))], verbose=False)
    lab.find_issues({kind: {} for kind in kinds}, n_jobs=1, verbose=False)
    return lab


def score_copies(pairs: Pairs, copied: int) -> dict[str, int]:
    """Copies that are found with their original, and pairs of different originals."""
    found, strangers = 0, 0
    for pair in pairs:
        kinds, numbers = zip(*(name.split("=") for name in pair), strict=True)
        strangers += len({*numbers}) > 1
        found += len({*numbers}) == 1 and "original" in kinds
    return {"found": found, "of": copied * len(duplicates.CHANGES), "false": strangers}


def our_images(folder: Path) -> set[str]:
    """Images that stand out."""
    files = sorted(folder.iterdir())
    read = [read_grey(file, suspects.MAX_PIXELS) for file in files]
    known = suspects.Described([file.stem for file in files], read)
    names = known.images["image_id"].tolist()
    likeness = likeness_to_others(known.thumbnails, names)
    return {*suspect_images(known.images, known.traits, *likeness)["image_id"]}


def cleanvision_images(folder: Path, kinds: tuple[str, ...]) -> set[str]:
    """Images with one of the issues."""
    issues = _cleanvision(folder, kinds).issues
    marked = issues[[f"is_{kind}_issue" for kind in kinds]].any(axis=1)
    return {Path(file).stem for file in issues.index[marked]}


def write_suspects(files: list[Path], folder: Path, rng: np.random.Generator) -> None:
    """Save X-rays, of which two are changed in each way."""
    folder.mkdir()
    changes = [change for change, _ in suspects.CHANGES.values() for _ in range(2)]
    for place, k in enumerate(rng.permutation(len(files))):
        pixels, name = read_grey(files[k], suspects.MAX_PIXELS).pixels, "sound"
        if place < len(changes):
            pixels, name = changes[place](pixels, rng), "changed"
        Image.fromarray(pixels).save(folder / f"{name}-{k:06d}.png")


def score_images(found: set[str]) -> dict[str, int]:
    """Changed images that are named, and sound ones."""
    right = sum(name.startswith("changed") for name in found)
    return {"found": right, "of": 2 * len(suspects.CHANGES), "false": len(found) - right}


def ranked_labels(images: pd.DataFrame, thumbnails: np.ndarray, is_ours: bool) -> list[str]:
    """Order of the audit, or that of cleanlab, of the same forests."""
    classes, probabilities = suspect_labels.probabilities_of(images, thumbnails, 0)
    if is_ours:
        return suspect_labels.listed(images, classes, probabilities)["image_id"].tolist()
    from cleanlab.filter import find_label_issues

    codes = images["label"].map(classes.index).to_numpy()
    order = find_label_issues(
        codes, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return images["image_id"].to_numpy()[order].tolist()


def our_alarms(folder: Path) -> set[str]:
    """Checks of the data that put the number in doubt."""
    return {check.name for check in alarms(checks_of_data(folder))}


def datalab_alarms(folder: Path) -> set[str]:
    """Properties of the images that Datalab calls correlated with the class."""
    import datasets
    from cleanlab import Datalab

    table = pd.read_csv(folder / "data" / MANIFEST)
    files = [str(folder / "data" / path) for path in table["path"]]
    data = datasets.Dataset.from_dict({"image": files, "label": table["label"].tolist()})
    data = data.cast_column("image", datasets.Image())
    lab = Datalab(data, label_name="label", image_key="image", verbosity=0)
    lab.find_issues()
    found = lab.get_info("spurious_correlations")
    scores = found["correlations_df"].set_index("property")["score"]
    return {*scores.index[scores < found["threshold"]]}


def _in_process(tool: Callable, arguments: tuple) -> tuple[object, float, float]:
    result = tool(*arguments)
    spent = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in spent)
    return result, seconds, max(one.ru_maxrss for one in spent) / 1024


def measured(tool: Callable, *arguments: object) -> tuple[object, dict[str, object]]:
    """What a tool finds, and what it costs with its start; None where it is not installed."""
    # Not multiprocessing.Pool, whose processes must not start others, as some tools do.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            result, seconds, memory = pool.submit(_in_process, tool, arguments).result()
        except ModuleNotFoundError as error:
            print(f"{error.name} is not installed: pip install -r envs/rivals.in", flush=True)
            return None, {}
    return result, {"CPU s": round(seconds, 1), "MiB": round(memory)}


COPIES = {
    OURS: our_copies,
    "imagehash pHash, 256 bits, up to 36": partial(imagehash_copies, distance=36),
    "imagededup pHash, up to 10 (default)": partial(imagededup_copies, distance=10),
    "imagededup pHash, up to 2": partial(imagededup_copies, distance=2),
    "cleanvision": cleanvision_copies,
}
# Not grayscale: all X-rays are.
FAULTS = ("dark", "light", "odd_aspect_ratio", "low_information", "odd_size")
IMAGES = {
    OURS: our_images,
    "cleanvision": partial(cleanvision_images, kinds=(*FAULTS, "blurry")),
    "cleanvision, not blurry": partial(cleanvision_images, kinds=FAULTS),
}
LABELS = {name: partial(ranked_labels, is_ours=name == OURS) for name in (OURS, "cleanlab")}
ALARMS = {OURS: our_alarms, "cleanlab Datalab": datalab_alarms}


def compared(
    task: str, tools: dict[str, Callable], score: Callable, *arguments: object
) -> list[dict]:
    """A row a tool that is installed, on one task."""
    rows = []
    for name, tool in tools.items():
        found, costs = measured(tool, *arguments)
        if found is not None:
            rows.append({"task": task, "tool": name, **score(found), **costs})
            print(rows[-1], flush=True)
    return rows


def rows_of_folder(root: Path, temporary: Path, options: argparse.Namespace) -> list[dict]:
    """Copies, suspect images and suspect labels among the images of a folder."""
    listed = list_images({"kind": "class_folders", "root": str(root)}, root)
    rng = np.random.default_rng(0)
    files = [Path(listed[k].path) for k in rng.permutation(len(listed))[: options.images]]
    copies, changed = temporary / "copies", temporary / "suspects"
    copies.mkdir()
    read = partial(duplicates.read_original, root, files, SIDE)
    duplicates.write_images(copies, read, options.copied, range(len(files)))
    rows = compared("copies", COPIES, partial(score_copies, copied=options.copied), copies)
    write_suspects(files, changed, rng)
    rows += compared("suspect images", IMAGES, score_images, changed)
    images, thumbnails = suspect_labels.described(root, SIDE)
    is_wrong = suspect_labels.flipped(images, "", rng)
    images = suspect_labels.with_flips(images, is_wrong, rng)
    wrong = {*images["image_id"][is_wrong]}

    def score(ranked: list[str]) -> dict[str, int]:
        return {"found": len(wrong.intersection(ranked[: len(wrong)])), "of": len(wrong)}

    return rows + compared("suspect labels", LABELS, score, images, thumbnails)


def rows_of_shortcuts(temporary: Path, options: argparse.Namespace) -> list[dict]:
    """Sets with a planted shortcut in which something is raised, and clean ones: a row a set."""
    rows = []
    for kind, seed in product(SHORTCUTS, range(options.sets)):
        folder = temporary / f"{kind}-{seed}"
        copy_project(folder, overlay(seed, epochs=1))
        write_set(folder / "data", kind, seed, IMAGES_PER_CLASS)
        told = "false" if kind == CLEAN else "found"
        score = partial(lambda told, raised: {told: len(raised) > 0, "of": 1}, told)
        rows += compared(f"shortcut: {kind}", ALARMS, score, folder)
        shutil.rmtree(folder)
    return rows


def main() -> None:
    """Run all tools, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="folder of X-rays, a folder a class")
    parser.add_argument("--images", type=int, default=1000, help="drawn, or taken of the folder")
    parser.add_argument("--copied", type=int, default=50, help="originals with copies of all kinds")
    parser.add_argument("--sets", type=int, default=3, help="of each shortcut; 0: none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as temporary:
        folder, root = Path(temporary), options.root
        if root is None:
            root = folder / "phantoms"
            settings = PhantomSettings(size=SIDE, difficulty=0.2)
            write_phantom_dataset(root, dict.fromkeys(CLASSES, options.images // 2), 0, settings)
        rows = [*rows_of_folder(root, folder, options), *rows_of_shortcuts(folder, options)]
    of_tool = pd.DataFrame(rows).groupby(["task", "tool"], sort=False)
    sums = of_tool[["found", "of", "false", "CPU s"]].sum(min_count=1).round(1)
    table = sums.join(of_tool["MiB"].max())
    print(table.astype(object).fillna("").to_string())
    target = Path("results/benchmarks/rivals.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
