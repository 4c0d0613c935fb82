"""A small report whose data hold everything that could break a page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.maps.run_pictures import RunPictures
from workflow_scripts.cxrcam.report.cells import Link
from workflow_scripts.cxrcam.report.enclosed import enclose
from workflow_scripts.cxrcam.report.headline import headline_bars
from workflow_scripts.cxrcam.report.page import (
    Design,
    Figure,
    Report,
    made_script,
    render_provenance,
    render_report,
    write_static,
)
from workflow_scripts.cxrcam.report.pictures import write_gallery
from workflow_scripts.cxrcam.report.rule_graph import rule_graph
from workflow_scripts.cxrcam.report.tables import (
    columns_table,
    confusion_table,
    leaks_table,
    runs_table,
    source_tables,
    splits_table,
    subgroup_tables,
)

EVIL = "<script>alert('x')</script>"
CLASSES = ("Normal", EVIL)
N = 12


def example_metrics() -> pd.DataFrame:
    """Three runs of one design; the last has no floor."""
    rows = []
    for fold, accuracy in enumerate((0.75, 1.0, 0.25), start=1):
        rows.append(
            {"dataset": "d", "task": "a & b", "scheme": "holdout", "fold": fold, "seed": 0}
            | {"n": N, "accuracy": accuracy, "accuracy_low": 0.2, "accuracy_high": 1.0}
            | {"best_floor": "centre_black", "best_floor_accuracy": 0.5, "gap": accuracy - 0.5}
            | {"gap_low": -0.5, "gap_high": 0.75, "macro_auroc": np.nan}
            | {f"n_{EVIL}": 6, f"sensitivity_{EVIL}": accuracy, f"specificity_{EVIL}": 0.5}
            | {"expected_calibration_error": 0.1, "floor_majority": 0.5, "floor_border": 0.75}
        )
    rows[-1]["best_floor_accuracy"] = np.nan
    return pd.DataFrame(rows)


def example_verdict(*others: str) -> dict[str, object]:
    """A headline, and a check of each status; `others` are schemes of further designs."""
    check = {"question": "Is it?", "file": "tables/metrics.csv", "order": 1, "clause": ""}
    check |= {"advice": f"Set `{EVIL}`.", "mend": ""}
    counts = {"passed": 1, "failed": 1, "not assessable": 1}
    answer = f"67 % right (50–80, n = 36): not believable for {EVIL}."
    return {
        "answer": answer,
        "meaning": f"This does not show that the network recognises {EVIL}.",
        "against": [f"A border tells {EVIL}."],
        "unknown": ["It was not tested elsewhere."],
        "next": [f"Set `{EVIL}`."],
        "findings": [],
        "sentence": f"The network's 67 % is no recognition of {EVIL}.",
        "headline": {"task": "a & b", "scheme": "holdout", "recognised": EVIL}
        | {"accuracy": 24 / 36, "low": 0.5, "high": 0.8, "n": 36, "why": "It is the first."},
        "designs": [
            {"task": "a & b", "scheme": scheme, "number": "67 %", "answer": answer}
            | {"counts": counts, "subjects": ["", "a & b", f"a & b, {scheme}"]}
            for scheme in ("holdout", *others)
        ],
        "starts": {
            "holdout": {"kind": "random", "origin": "random", "reason": f"None: {EVIL}."},
            "other": {"kind": "file", "origin": "mine.pth sha256:0"},
        },
        "counts": counts,
        "checks": [
            check
            | {"name": "better than a blind classifier", "status": "failed", "finding": EVIL}
            | {"why": "the whole interval is below 0", "about": "shortcut"}
            | {"subject": "a & b, holdout"},
            check
            | {"name": "external data", "status": "not assessable", "finding": "-"}
            | {"why": "none was given", "about": "inflation", "subject": ""}
            | {"file": "audit/*/maps.json"},
            check
            | {"name": "labels", "status": "passed", "finding": "0 pairs", "why": "none"}
            | {"about": "limits", "subject": ""},
        ],
    }


def example_runs(folder: Path) -> dict[int, RunPictures]:
    """Two folds of twelve X-rays with maps, four of them called wrongly, half with lungs."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[10:50, 8:28] = 255
    Image.fromarray(mask).save(folder / "lungs.png")
    for number in range(N):
        path = folder / f"{number}.png"
        Image.fromarray(generator.integers(0, 255, (64, 64)).astype("u1")).save(path)
        lungs = str(folder / "lungs.png") if number % 2 else None
        label = CLASSES[number % 2]
        predicted = CLASSES[1 - number % 2] if number < 4 else label
        rows.append(
            {"image_id": f"{label}/{number} #?", "label": label, "predicted": predicted}
            | {"probability": 0.5 + number / 30, "correct": label == predicted}
            | {"path": str(path), "mask_path": lungs, "lesion_mask_path": lungs}
            | {"width": 64 if number else 300, "height": 64}
        )
    table = pd.DataFrame(rows)
    maps = RawMaps(generator.random((N, 1, 4, 4)).astype("f4"), 64, 16.0, 7.5)
    maps.values[::2, :, 1:3, 1:3] = 0.0  # evidence around the centre
    records = table[["image_id", "label", "predicted", "probability", "correct"]]
    index = table.set_index("image_id")
    return {
        fold: RunPictures(
            records[part].reset_index(drop=True),
            *(float(fold), replace(maps, values=maps.values[part]), index, "whole", 10**6),
        )
        for fold, part in ((1, slice(8)), (2, slice(8, N)))
    }


def make_report(root: Path, **changes: object) -> Path:
    """Write an example under ``<root>/d/report`` and give its page.

    Parameters
    ----------
    root : Path
        Stands for ``results/``.
    **changes : object
        Fields of `Report` to replace.
    """
    data_set = root / "d"
    folder = data_set / "report"
    figure_file = data_set / "figures" / "a & b #1.png"
    figure_file.parent.mkdir(parents=True)
    Image.new("RGB", (400, 300), "white").save(figure_file)
    for name in ("tables/metrics.csv", "audit/verdict.md"):
        write_text(data_set / name, "x\n")
    href = enclose(figure_file, folder)
    figure = Figure("A figure", f"What it shows: {EVIL}", href)
    splits = [{"task": "a & b", "scheme": "holdout", "fold": 1}]
    split = pd.DataFrame(
        {"label": CLASSES * 6, "group": range(12), "role": ["train"] * 8 + ["test"] * 4}
    )
    leaks = pd.DataFrame(
        {"task": "a & b", "scheme": "holdout", "fold": 1, "grouped": True, "role": "test"}
        | {"kind": ["exact", "patient"], "n_images": [4, 0], "n_leaked": [1, np.nan]}
        | {"share": [0.25, np.nan], "reason": [np.nan, "no patients are named"]}
    )
    source = {"verdict": "not associated", "classes": list(CLASSES), "sources": [EVIL]}
    column = {"verdict": f"not judged: {EVIL}", "finding": "not judged", "values": []}
    column |= dict.fromkeys(
        f"{of}{end}" for of in ("cramers_v", "accuracy") for end in ("", "_low", "_high")
    )
    column["majority_accuracy"] = None
    subgroups = pd.DataFrame(
        {"column": "sex", "group": [EVIL, "F", "F"], "against": [None, None, EVIL]}
        | {"metric": "accuracy", "n": [40, 50, 40], "value": [0.8, 0.9, 0.1]}
        | {"low": [0.6, 0.8, -0.1], "high": [0.9, 0.95, 0.3], "at_most": 0.3, "reason": None}
    )
    metrics = example_metrics()
    verdict = example_verdict()
    counts = [{"classes": CLASSES, "confusion_matrix": [[4, 2], [1, 5]]}]
    matrix = confusion_table(counts, "a & b, holdout")
    link = Link("tables/metrics.csv", enclose(data_set / "tables/metrics.csv", folder))
    fields: dict[str, object] = {
        "dataset": EVIL,
        "is_drawn": False,
        "verdict": verdict,
        "bars": headline_bars(metrics, verdict["headline"]),
        "runs": runs_table(
            metrics, {("a & b", "holdout", 1, 0): [Link(EVIL, href)]}, {"a & b": CLASSES}
        ),
        "overview": figure,
        "designs": [Design("a & b", "holdout", "accuracy 0.667", [figure], matrix, True)],
        "gallery": write_gallery(
            example_runs(root / "images"), len(CLASSES), folder / "pictures", 0.5, 24
        ),
        "gallery_of": "a & b, holdout, seed 0",
        "duplicates": figure,
        "duplicates_page": href,
        "map_methods": None,
        "sources": source_tables({"a & b": source | {"counts": [[3], [4]]}}),
        "subgroups": figure,
        "subgroup_tables": subgroup_tables(subgroups),
        "slices": f"No group of {EVIL}.",
        "slices_page": href,
        "columns": columns_table({"a & b": {EVIL: column}}),
        "splits": splits_table(splits, [split], {"a & b": CLASSES}),
        "leaks": leaks_table(leaks),
        "external": None,
        "n_suspects": 2,
        "suspects_page": href,
        "counted_labels": [("a & b", 3, 120)],
        "labels_page": href,
        "n_excluded": 2,
        "n_relabelled": 1,
        "n_quarantined": 1,
        "evidence": {"tables/metrics.csv": link.href},
        "files": [link],
        "size": "1.0 MB",
        "network": f"resnet18, started from {EVIL}",
        "methods": [f"X-rays of {EVIL} were divided.", "Software: CXR-CAM."],
        "configuration": f"name: {EVIL}\n",
    }
    write_static(folder)
    write_text(folder / "rulegraph.svg", rule_graph(["phantoms"]))
    write_text(folder / "index.html", render_report(Report(**fields | changes)))
    made = [
        ("Written", "2026-01-01 00:00 UTC"),
        ("Machine", EVIL),
        ("Command", "snakemake"),
        ("Commit", "?"),
    ]
    write_text(folder / "made.js", made_script(made))
    is_drawn = bool(changes.get("is_drawn"))
    provenance = render_provenance(EVIL, is_drawn, made, root / "benchmarks" / "d")
    write_text(folder / "provenance.html", provenance)
    return folder / "index.html"
