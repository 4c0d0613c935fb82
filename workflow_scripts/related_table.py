"""Published systems on the same images, with the same floors: a table, two figures, a page."""

import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.related import accuracy_figure, threshold_figure
from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.tables import flatten_metrics, further_columns
from workflow_scripts.cxrcam.networks.cost import multiply_adds, parameter_count
from workflow_scripts.cxrcam.networks.devices import set_up_device
from workflow_scripts.cxrcam.networks.models import ModelCard, load_model
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.paper.published_systems import SYSTEMS
from workflow_scripts.cxrcam.paper.related import (
    ACCURACY_CAPTION,
    ALL_LAYERS,
    COLUMNS,
    TABLE_CAPTION,
    THRESHOLD_CAPTION,
    in_words,
    operating_point,
    related_page,
    related_row,
)
from workflow_scripts.cxrcam.spreadsheets import write_frame

DESIGN = ["task", "scheme"]


def seconds_an_image(model: nn.Module, card: ModelCard) -> float:
    """Median time of an answer with its maps for one image, after a first that warms up."""
    image = np.zeros((1, card.image_size, card.image_size), np.uint8)
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        predict_as_trained(model, card, image, device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def network_columns(file: str, weights: str) -> dict[str, object]:
    """What a network is and what it costs, from its model and the setting ``model.weights``."""
    model, card = load_model(Path(file))
    frozen = card.training["freeze_until"]
    start = "ImageNet" if weights in ("auto", "imagenet") else Path(weights).name
    return {
        "network": str(card.backbone),
        "trained": f"behind {frozen}" if frozen else ALL_LAYERS,
        "mirrored": card.training["horizontal_flip"] > 0,
        "start": "random" if card.weights_origin == "random" else start,
        "input": card.input_size,
        "parameters": parameter_count(model),
        "gmac": multiply_adds(model, card.input_size or card.image_size),
        "seconds": seconds_an_image(model, card),
    }


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    device = set_up_device(snakemake.config["compute"], snakemake.resources.get("gpu"))
    runs = pd.DataFrame(params.runs)
    results = [read_json(file) for file in given.metrics]
    flat = [{**flatten_metrics(one), **further_columns(one)} for one in results]
    metrics = pd.concat([runs, pd.DataFrame(flat)], axis=1)
    tests = pd.DataFrame(params.external_tests, columns=[*DESIGN])
    rows, points, scored = [], [], []
    for (task, scheme), part in metrics.groupby(DESIGN, sort=False):
        system = params.systems[scheme]
        elsewhere = tests.index[(tests["task"] == task) & (tests["scheme"] == scheme)]
        about = {
            **{"key": system, "system": SYSTEMS[system].name, "task": task, "scheme": scheme},
            "division": params.divisions[scheme],
            "published": SYSTEMS[system].published,
            **network_columns(given.models[part.index[0]], params.starts[scheme]),
        }
        about["label"] = in_words(about)
        masked = pd.concat(
            [pd.read_csv(given.masked[k]).assign(fold=part.loc[k, "fold"]) for k in part.index]
        )
        outside = [pd.read_parquet(given.external[k]) for k in elsewhere]
        positive = params.classes[task][1]
        rows.append(about | related_row(part, positive, masked, outside))
        if scheme in params.thresholds and len(params.classes[task]) == 2:
            scored.append(pd.read_parquet(given.predictions[part.index[0]]))
            points.append(about | operating_point(scored[-1], positive))
    table = pd.DataFrame(rows)
    table = table.sort_values("key", key=lambda keys: keys.map([*SYSTEMS].index), kind="stable")
    chosen = pd.DataFrame(points).drop(columns="seconds", errors="ignore")
    folder = Path(made.page).parent
    columns = table[list(COLUMNS)].rename(columns=COLUMNS)
    write_table(columns, folder / "table", TABLE_CAPTION)
    write_text(Path(made.page), related_page(table, chosen, snakemake.wildcards.dataset))
    published = {
        (key, task): system.accuracy[len(classes)]
        for key, system in SYSTEMS.items()
        for task, classes in params.classes.items()
        if len(classes) in system.accuracy
    }
    save_captioned(accuracy_figure(table, published), folder / "accuracy", ACCURACY_CAPTION)
    if points:
        write_frame(folder / "thresholds.csv", chosen)
        save_captioned(threshold_figure(chosen, scored), folder / "thresholds", THRESHOLD_CAPTION)
    log.info("Compared %d networks of %d systems.", len(table), table["key"].nunique())
