"""Draw the evidence of one run on the X-rays."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.files import file_name
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.captioned_overlay import captioned_overlay
from workflow_scripts.cxrcam.maps.gallery import choose_images, choose_of_classes, gallery
from workflow_scripts.cxrcam.maps.method_names import TITLES
from workflow_scripts.cxrcam.maps.overlays import save_png
from workflow_scripts.cxrcam.maps.placement import log_odds
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.maps.run_pictures import RunPictures, read_run_pictures

PICTURE_SIDE = 299  # pixels; the size of the database's own images
EVIDENCE = "evidence"


def other_maps(method: str, run: RunPictures, image_ids: list[str]) -> RawMaps:
    """Maps of another kind of the predicted classes, which take the network itself."""
    from workflow_scripts.cxrcam.maps.methods import method_maps  # brings PyTorch and OpenCV
    from workflow_scripts.cxrcam.networks.devices import choose_device, set_up_torch
    from workflow_scripts.cxrcam.networks.input_parts import read_network_input
    from workflow_scripts.cxrcam.networks.models import load_model
    from workflow_scripts.cxrcam.networks.parts import Normalisation

    given = snakemake.input
    set_up_torch(snakemake.threads, deterministic=True)
    model, card = load_model(Path(given.model))
    pixels = read_network_input(
        [Path(f) for f in given.shards], image_ids, card.image_size, card.input_part, given.masks
    )
    predicted = run.records.set_index("image_id").loc[image_ids, "predicted"]
    return method_maps(
        method,
        model,
        card.backbone,
        pixels,
        predicted.map(card.classes.index).to_numpy(dtype=np.int64),
        Normalisation(tuple(card.mean), tuple(card.std)),
        choose_device("cpu", None),
        card.input_size,
    )


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    classes, settings = list(snakemake.params.classes), snakemake.params.settings
    run = read_run_pictures(
        *map(Path, (snakemake.input.images, snakemake.input.predictions, snakemake.input.maps)),
        classes,
        snakemake.params.input_part,
        snakemake.params.max_pixels,
    )
    records = run.records
    by_class = {name: records[records["label"] == name] for name in classes}
    of_class = {
        name: choose_images(rows, settings["gallery_images"]) for name, rows in by_class.items()
    }
    chosen = choose_of_classes(records, classes, settings["overlays"])
    wanted = dict.fromkeys([*chosen["image_id"], *pd.concat(of_class.values())["image_id"]])
    own = settings["method"] == EVIDENCE
    if not own:
        run = run.with_maps(list(wanted), other_maps(settings["method"], run, list(wanted)))
    style = {
        "scale_max": log_odds(run.scale, len(classes)) if own else run.scale,
        "opacity": settings["opacity"],
        "against": settings["against"],
        "method": None if own else TITLES[settings["method"]],
    }
    pictures = {image_id: run.picture(image_id, PICTURE_SIDE) for image_id in wanted}

    overlays = Path(snakemake.output.overlays)
    overlays.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(chosen.itertuples(), start=1):
        # Numbered in the order of interest; a name from the data may hold anything.
        name = file_name(str(row.image_id).replace("/", "_"))
        outcome = "correct" if row.correct else "mistake"
        save_png(
            captioned_overlay(
                pictures[row.image_id],
                image_id=row.image_id,
                label=row.label,
                predicted=row.predicted,
                probability=row.probability,
                **style,
            ),
            overlays / f"{number:03d}-{outcome}-{name}.png",
        )

    galleries = Path(snakemake.output.galleries)
    galleries.mkdir(parents=True, exist_ok=True)
    for name, rows in of_class.items():
        if rows.empty:
            log.warning("No test image of class %s: no gallery.", name)
            continue
        figure = gallery(
            [pictures[image_id] for image_id in rows["image_id"]],
            rows,
            class_name=name,
            total=len(by_class[name]),
            wrong=int((~by_class[name]["correct"]).sum()),
            **style,
        )
        save_figure(figure, galleries / file_name(name), kinds=["png"])
    log.info("Drew %d overlays; %d mistakes in all.", len(chosen), (~records["correct"]).sum())
