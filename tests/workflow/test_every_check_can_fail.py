"""A check that cannot fail says nothing: every kind of check is driven red, end to end.

One project is trained on images in which each check of the data has something to find. A copy of it
gets wrong answers and wrong maps, and only what follows from these is made anew. All tables that
the checks read are written by the workflow's own rules.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.workflow.conftest import made_once
from tests.workflow.small_project import Project, xray
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, read_raw_maps, write_raw_maps
from workflow_scripts.cxrcam.networks.prediction_table import write_predictions
from workflow_scripts.cxrcam.verdict.check import FAILED
from workflow_scripts.cxrcam.verdict.checks import REGISTERED

CLASSES = ["Normal", "COVID"]
PER_CLASS = 44  # of at least 30 patients each: fewer are not assessed
SEEDS = (0, 1)
VERDICT = "results/planted/audit/verdict.json"
SIDE = {"Normal": 40, "COVID": 32}
# What must fail of kinds that have several checks. "masked input: lungs only" can pass, not fail.
TRACES = ("size", "mode", "file", "grey_levels", "spectrum")
COVERED = ("lungs covered", "centre covered", "border only", "retrained on border only")


class Case(NamedTuple):
    """How one kind of check shows its fault.

    Attributes
    ----------
    clause : str
        Part of what the answer says of the fault.
    details : tuple of str
        What must fail of a kind that has several checks; "" where it has one.
    """

    clause: str
    details: tuple[str, ...] = ("",)


# Faults of the images, the manifest and the settings.
OF_IMAGES = {
    "external data": Case(
        "on images from elsewhere (elsewhere) the network is right on", ("elsewhere",)
    ),
    "the data give it away": Case("(cross-validated, n = 88), where guessing gives"),
    "better than a blind classifier": Case("is as good"),
    "acquisition": Case("can be told apart without the lungs, by", TRACES),
    "class by source": Case("no source holds images of both Normal and COVID"),
    "class by column": Case("'view' alone gives the class away: it is right on 100 %", ("view",)),
    "masked input": Case("right on", COVERED),
    "copies across the split": Case("have a copy in training"),
    "patients across the split": Case("have their patient in training"),
    "labels of copies": Case("the same picture carries two labels"),
    "size of the test set": Case(", the rarest class"),
    "expected counts": Case("the data set is not the one that it is said to be"),
    "suspect images": Case("images do not look like the X-rays beside them"),
}
# Faults of the networks: what they answer, and what their maps show.
OF_NETWORKS = {
    "luck of the seed": Case("trainings that differ only in their seed reach"),
    "calibration": Case("its probabilities are off by"),
    "maps in the lungs": Case("the maps avoid the lungs"),
    "maps at the border": Case("the maps favour the border of the image"),
    "pointing game": Case("the maps do not find the lesions that are known"),
    "overlap with lesions": Case("the maps do not cover the lesions that are known"),
    "repeatability": Case("networks of other seeds draw other maps"),
    "randomisation": Case("an untrained network draws much the same maps"),
    "faithfulness": Case("did better than the network's maps", ("insertion", "deletion", "road")),
    "mirror images": Case("the map of a mirror image is not the mirrored map"),
}
# Subgroups and slices need more test images than there are here: tests/workflow/test_columns.py. So
# do traits, whose values must differ within each class: tests/unit/test_probes.py, and with trained
# networks benchmarks/planted_probe.py. Findings are of other networks:
# tests/workflow/test_findings.py, tests/unit/test_check_findings.py.
ELSEWHERE = {
    "subgroups",
    "slices",
    "trait as a shortcut",
    "the data give the finding away",
    "finding against blind classifiers",
    "finding on covered images",
    "finding on external data",
}
LESIONS = ("pointing game", "overlap with lesions")


# --- images with faults ---------------------------------------------------------------------------


def faulty_xray(number: int, label: str) -> Image.Image:
    """A picture whose size, mode and frame give the class away.

    That of COVID is a fine checkerboard, so that blurring takes it away as covering does.
    """
    side = SIDE[label]
    pixels = xray(number, side).copy()
    if label == "COVID":
        frame = np.ones((side, side), dtype=bool)
        frame[4:-4, 4:-4] = False
        pixels[frame] = 255 * (np.indices((side, side)).sum(axis=0) % 2)[frame]
    return Image.fromarray(pixels).convert("RGB" if label == "COVID" else "L")


def save_masks(folder: Path) -> None:
    """Lungs in two parts, and a lesion so large that a few images tell whether maps find it."""
    lungs, lesion = np.zeros((2, 40, 40), dtype=np.uint8)
    lungs[8:32, 6:18] = lungs[8:32, 22:34] = 255
    lesion[9:31, 9:31] = 255
    for name, mask in (("lungs", lungs), ("lesion", lesion)):
        Image.fromarray(mask).save(folder / f"{name}.png")


def make_faulty_images(folder: Path) -> None:
    """X-rays of which each class has its own hospital and view; one copy has another class.

    The last four of a class are copies of its first four; the four before them are of the patients
    of their neighbours.
    """
    folder.mkdir(parents=True)
    save_masks(folder)
    rows = ["path,label,patient,source,view,mask_path,lesion_mask_path"]
    for position, label in enumerate(CLASSES):
        source, lesion = ("north,PA", "") if label == "Normal" else ("south,AP", "lesion.png")
        for number in range(PER_CLASS):
            name = f"{label}-{number}.png"
            original = number - 40 if number >= 40 else number
            patient = number - 4 if 36 <= number < 40 else number
            faulty_xray(1000 * position + original, label).save(folder / name)
            rows.append(f"{name},{label},{label}-{patient},{source},lungs.png,{lesion}")
    # Normal at home, COVID here.
    faulty_xray(4, "Normal").save(folder / "COVID-43.png")
    (folder / "list.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_elsewhere(folder: Path) -> None:
    """New images whose frame is that of the other class."""
    folder.mkdir(parents=True)
    rows = ["path,label"]
    for position, label in enumerate(CLASSES):
        for number in range(12):
            name = f"{label}-{number}.png"
            faulty_xray(5000 + 1000 * position + number, CLASSES[1 - position]).save(folder / name)
            rows.append(f"{name},{label}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def configuration() -> dict[str, Any]:
    """One task, one division that is not grouped, seen whole and by its border, two seeds."""
    nothing = ("demo", "demo_marker", "covid19_radiography", "mine")
    return {
        "dataset": "planted",
        "external": ["elsewhere"],
        "datasets": {
            **dict.fromkeys(nothing),
            "planted": {
                "kind": "manifest",
                "path": "data/planted/list.csv",
                "expected": {"images_per_class": {"Normal": 99}},
            },
            "elsewhere": {"kind": "manifest", "path": "data/elsewhere/list.csv"},
        },
        "tasks": {"two_class": {"classes": CLASSES}, "three_class": None},
        "schemes": {
            "holdout": {"test_fraction": 0.4, "grouped": False},
            "random_subsample": None,
            "border": {
                "kind": "same_splits",
                "of": "holdout",
                "input": "border_only",
                "train": {"epochs": 8},  # until it is as good as that of whole images
            },
        },
        "seeds": list(SEEDS),
        "image": {"size": 32},
        "model": {"weights": "random", "last_stage": 1, "map_stride": None, "input_size": None},
        "train": {"epochs": 4, "batch_size": 8, "learning_rate": 0.002, "progressive": []},
        "compute": {"threads": 1, "precision": "float32"},
        "audit": {"explanation_images": 32},
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow after a run on images with faults. Look, do not touch."""

    def make(folder: Path) -> tuple[Project, str]:
        project = Project.create(folder, configuration())
        make_faulty_images(folder / "data" / "planted")
        make_elsewhere(folder / "data" / "elsewhere")
        return project, project.run("--", VERDICT)

    return made_once(tmp_path_factory, "planted", make)


# --- networks with faults -------------------------------------------------------------------------


def answer_wrongly(file: Path) -> None:
    """Give each image the logits and probabilities of the other class."""
    table = pd.read_parquet(file)
    swapped = [
        table[[f"{kind}_{name}" for name in reversed(CLASSES)]].to_numpy()
        for kind in ("logit", "probability")
    ]
    write_predictions(file, table, CLASSES, *swapped)


def point_at_the_edge(file: Path, predictions: Path, row: int) -> None:
    """Lay the evidence for the predicted class into the first or last row of cells."""
    answers = pd.read_parquet(predictions)
    image_ids = answers["image_id"].tolist()
    maps = read_raw_maps(file, image_ids, CLASSES)
    called = answers[[f"probability_{name}" for name in CLASSES]].to_numpy().argmax(axis=1)
    n, _, height, width = maps.values.shape
    values = np.zeros_like(maps.values)
    random = np.random.default_rng(row + 1)
    values[np.arange(n), called] = -random.uniform(0.1, 1, (n, height, width))
    values[np.arange(n), called, row] = random.uniform(1, 2, (n, width))
    write_raw_maps(
        file, image_ids, CLASSES, RawMaps(values, maps.input_size, maps.stride, maps.offset)
    )


# Maps that know the image and nothing of the network: hot on the right, never at the frame.
MAPS_OF_PLACES = """
    n, _, h, w = evidence.shape
    evidence[:] = pixels.reshape(n, 1, h, 32 // h, w, 32 // w).mean(axis=(3, 5)) / 255
    evidence += torch.linspace(0, 0.5, w).numpy()
    evidence[:, :, [0, -1]] = evidence[:, :, :, [0, -1]] = -1
"""
MAPS_ARE_READY = "    backbone, side = card.backbone"


@pytest.fixture(scope="module")
def misled(planted: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy with networks and maps that are wrong, and what follows from these."""

    def make(folder: Path) -> tuple[Project, str]:
        project = planted.copy(folder)
        (folder / "printed.txt").unlink()  # it says that a project is finished
        results, run = folder / "results" / "planted", "two_class/holdout/fold-1/seed-"
        answer_wrongly(results / f"runs/{run}1/predictions.parquet")
        for seed, row in zip(SEEDS, (0, -1), strict=True):
            predictions = results / f"runs/{run}{seed}/predictions.parquet"
            point_at_the_edge(results / f"cam/{run}{seed}/maps.parquet", predictions, row)
        file = "workflow_scripts/cxrcam/maps/own_maps.py"
        project.edit(file, MAPS_ARE_READY, MAPS_OF_PLACES.lstrip("\n") + MAPS_ARE_READY)
        changed = ("--rerun-triggers", "mtime", "--forcerun", "audit_explanations")
        return project, project.run(*changed, "--", VERDICT)

    return made_once(tmp_path_factory, "misled", make)


# --- claims ---------------------------------------------------------------------------------------


def failures(project: Project) -> dict[str, str]:
    """Clause of each failed check of the data set, the task and the holdout, by its name."""
    verdict = json.loads((project.folder / VERDICT).read_text(encoding="utf-8"))
    subjects = ("", "two_class", "two_class, holdout")
    return {
        check["name"]: check["clause"]
        for check in verdict["checks"]
        if check["status"] == FAILED and check["subject"] in subjects
    }


def names(kind: str, case: Case) -> list[str]:
    """What the verdict calls the checks of a case."""
    return [f"{kind}: {detail}" if detail else kind for detail in case.details]


def test_every_kind_of_check_has_a_case() -> None:
    assert OF_IMAGES.keys().isdisjoint(OF_NETWORKS)
    assert OF_IMAGES.keys() | OF_NETWORKS.keys() | ELSEWHERE == REGISTERED.keys()


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_a_fault_of_the_images_is_red(planted: Project, kind: str) -> None:
    case, red = OF_IMAGES[kind], failures(planted)
    for name in names(kind, case):
        assert case.clause in red.get(name, "")


@pytest.mark.parametrize("kind", OF_NETWORKS)
def test_a_fault_of_the_network_is_red(planted: Project, misled: Project, kind: str) -> None:
    case, before, red = OF_NETWORKS[kind], failures(planted), failures(misled)
    for name in names(kind, case):
        # A network that looks at the frame may miss lesions already.
        assert kind in LESIONS or name not in before
        assert case.clause in red.get(name, "")


def test_what_follows_from_a_fault_is_made_without_training(
    planted: Project, misled: Project
) -> None:
    first, second = (
        (project.folder / "printed.txt").read_text(encoding="utf-8")
        for project in (planted, misled)
    )
    assert "Training two_class/holdout" in first
    assert "Training two_class/holdout" not in second
