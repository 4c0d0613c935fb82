"""A paragraph for a methods section: what was done, with the numbers of the study filled in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from safetensors import safe_open

from workflow_scripts.cxrcam.networks.weights.recorded_start import METADATA_KEY
from workflow_scripts.cxrcam.report.headline import Bar
from workflow_scripts.cxrcam.report.provenance import library_versions
from workflow_scripts.cxrcam.terms import TEST, TRAIN, VALIDATION
from workflow_scripts.cxrcam.verdict.check import FAILED, NOT_ASSESSABLE

_SOFTWARE: Final = ("Python", "snakemake", "torch", "torchvision", "scikit-learn")

_DIVISIONS: Final = {
    "holdout": "divided once, at random within each class",
    "random_subsample": "drawn at random, {images_per_class} a class, and divided",
    "stratified_kfold": "divided at random within each class, for cross-validation",
    "leave_one_out": "divided so that one {by} after the other was kept for testing",
    "predefined": "divided as the data set says",
}


@dataclass(frozen=True)
class Headline:
    """What was done for the number that is judged.

    Attributes
    ----------
    dataset : str
    task : str
    card : mapping
        What its first network says of itself, see `read_card`.
    start : mapping
        What its networks start from, as in audit/verdict.json.
    division : mapping
        Settings of the scheme that divides the images, `kind` first of all.
    split : DataFrame
        `label` and `role` of each image, in the first fold.
    runs : DataFrame
        Rows of tables/metrics.csv.
    is_drawn : bool
        Whether the images are phantoms.
    """

    dataset: str
    task: str
    card: Mapping[str, Any]
    start: Mapping[str, str]
    division: Mapping[str, Any]
    split: pd.DataFrame
    runs: pd.DataFrame
    is_drawn: bool


def read_card(model: str | Path) -> dict[str, Any]:
    """What a network (``model.safetensors`` of a run) says of itself, without PyTorch."""
    with safe_open(model, framework="numpy") as file:
        card: dict[str, Any] = json.loads(file.metadata()[METADATA_KEY])
    return card


def network_in_words(card: Mapping[str, Any], start: Mapping[str, str]) -> str:
    """Architecture, input and start of a network: "resnet18 up to stage 3, ...".

    Parameters
    ----------
    card : mapping
        As from `read_card`.
    start : mapping
        As in audit/verdict.json.
    """
    end = f" up to stage {card['last_stage']}" if card["last_stage"] else ""
    name = start["origin"].partition(" sha256:")[0]
    weights = {"random": "random weights", "imagenet": f"ImageNet weights ({name})"}
    begin = weights.get(start["kind"], f"the weights of {name}")
    side = card["input_size"]
    return f"{card['architecture']}{end}, {side} × {side} pixels, started from {begin}"


def methods(headline: Headline, verdict: Mapping[str, Any], bars: Sequence[Bar]) -> list[str]:
    """Sentences on data, division, network, training, result, floors, audit and software.

    Parameters
    ----------
    headline : Headline
    verdict : mapping
        audit/verdict.json.
    bars : sequence of Bar
        The network and its floors, as from `headline_bars`.
    """
    software = ", ".join(f"{n} {v}" for n, v in library_versions() if n in _SOFTWARE)
    return [
        *_data(headline),
        *_training(headline),
        *_result(headline.runs, verdict, bars),
        f"Software: CXR-CAM, {software}.",
    ]


def _data(headline: Headline) -> list[str]:
    parts = {
        role: int((headline.split["role"] == role).sum()) for role in (TRAIN, VALIDATION, TEST)
    }
    used = headline.split[headline.split["role"].isin(parts)]
    counts = ", ".join(f"{n:,} {name}" for name, n in used["label"].value_counts().items())
    folds = headline.runs["fold"].nunique()
    division = _DIVISIONS[headline.division["kind"]].format(**headline.division)
    names = {TRAIN: "training", VALIDATION: "validation", TEST: "testing"}
    sides = ", ".join(f"{n:,} images for {names[role]}" for role, n in parts.items() if n)
    if folds > 1:
        sides = f"{folds} folds; in the first {sides}"
    grouped = (
        "Images of one patient, and near-duplicates of one picture, were kept on one side."
        if headline.division.get("grouped")
        else "Images of one patient, or near-duplicates, may lie on both sides."
    )
    return [
        f"For the task {headline.task}, {len(used):,} "
        f"{'drawn images' if headline.is_drawn else 'chest X-rays'} of the data set "
        f"{headline.dataset} ({counts}) were {division} ({sides}).",
        grouped,
    ]


def _training(headline: Headline) -> list[str]:
    card, seeds = headline.card, sorted(headline.runs["seed"].unique())
    how = card["training"]
    facts = [
        {"adam": "Adam", "sgd": "SGD"}.get(how["optimizer"], how["optimizer"]),
        f"learning rate {how['learning_rate']:g}",
        f"{how['schedule'].replace('_', '-')} schedule",
        f"batches of {how['batch_size']}",
        f"weight decay {how['weight_decay']:g}",
        f"horizontal flips with probability {how['horizontal_flip']:g}",
        f"{how['precision']} on {'a GPU' if how['device'].startswith('cuda') else 'CPUs'}",
        f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}",
    ]
    epochs = how["epochs"]
    return [
        f"Images were resized to {card['image_size']} × {card['image_size']} pixels, 8-bit grey.",
        f"The network, {network_in_words(card, headline.start)}, was trained for {epochs} "
        f"epoch{'' if epochs == 1 else 's'} ({', '.join(facts)}).",
    ]


def _result(runs: pd.DataFrame, verdict: Mapping[str, Any], bars: Sequence[Bar]) -> list[str]:
    judged = verdict["headline"]
    if judged is None:
        return []
    sentences = []
    if verdict["findings"]:
        found = [
            f"{row['finding']} {row['auroc']:.2f} (best floor {row['floor_auroc']:.2f})"
            for row in verdict["findings"]
        ]
        sentences.append(f"AUROC on {judged['n']:,} test images: {', '.join(found)}.")
    elif bars:
        network, *floors = bars
        aurocs = runs["macro_auroc"].dropna() if "macro_auroc" in runs else pd.Series(dtype=float)
        auroc = f", AUROC {aurocs.mean():.3f}" if len(aurocs) else ""
        mean = " (mean of the runs)" if len(aurocs) > 1 else ""
        of = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
        sentences.append(
            f"On n = {judged['n']:,} test images of {of}, {network.text} of its answers were right"
            f"{auroc}{mean}."
        )
        if floors:
            reached = ", ".join(f"{bar.name} {bar.text}" for bar in floors)
            sentences.append(
                f"Classifiers that cannot see lung detail reached on the same images: {reached}; "
                "intervals are Wilson's at 95 %."
            )
    counts = verdict["counts"]
    sentences.append(
        f"Of {sum(counts.values())} checks of the audit {counts[FAILED]} failed and "
        f"{counts[NOT_ASSESSABLE]} could not be made; its answer to whether the number can be "
        f"believed: {verdict['answer']}"
    )
    return sentences
