"""Draw the evidence of one run on the X-rays."""

from pathlib import Path

from workflow_scripts.cxrcam.configuration.map_methods import TITLES
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import log_odds
from workflow_scripts.cxrcam.maps.run_galleries import ChosenImages, write_run_pictures
from workflow_scripts.cxrcam.maps.run_pictures import read_run_pictures

EVIDENCE = "evidence"

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, settings = snakemake.input, snakemake.params, snakemake.params.settings
    classes = params.classes
    run = read_run_pictures(
        *(given.images, given.predictions, given.maps, classes),
        *(params.input_part, params.max_pixels, params.blank),
    )
    run = run.with_drawn(tuple(params.drawn))
    chosen = ChosenImages.of(run.records, classes, settings["overlays"], settings["gallery_images"])
    style = {key: settings[key] for key in ("opacity", "against")}
    if settings["method"] == EVIDENCE:
        style |= {"scale_max": log_odds(run.scale, len(classes)), "method": None}
    else:
        # Only here: they bring PyTorch and OpenCV.
        from workflow_scripts.cxrcam.maps.methods import maps_of_predicted
        from workflow_scripts.cxrcam.networks.devices import set_up_torch

        set_up_torch(snakemake.threads, deterministic=True)
        run = run.with_maps(
            chosen.image_ids,
            lambda images: maps_of_predicted(
                settings["method"],
                given.model,
                params.finding.get("label"),
                given.shards,
                given.masks,
                images,
            ),
        )
        style |= {"scale_max": run.scale, "method": TITLES[settings["method"]]}
    folders = Path(snakemake.output.overlays), Path(snakemake.output.galleries)
    write_run_pictures(run, chosen, *folders, style)
    for name, rows in chosen.galleries.items():
        if rows.empty and settings["gallery_images"]:
            log.warning("No test image of class %s: no gallery.", name)
    mistakes = (~chosen.records["correct"]).sum()
    log.info("Drew %d overlays; %d mistakes in all.", len(chosen.overlays), mistakes)
