"""Other ways to make a map, put to the same tests as our own, on the same images."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, masks_of
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.explanation_tests import (
    drawn_images,
    explanation_tests_of_run,
    surest_images,
)
from workflow_scripts.cxrcam.map_tests.method_table import methods_to_test
from workflow_scripts.cxrcam.map_tests.places import place_scores
from workflow_scripts.cxrcam.maps.methods import maps_by
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.devices import set_up_device
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.networks.questions import load_question
from workflow_scripts.cxrcam.seeds import generator, seed_sequence

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    run, seed = (wildcards.task, wildcards.scheme, wildcards.fold), int(wildcards.seed)
    device = set_up_device(snakemake.config["compute"], snakemake.resources.get("gpu"))
    model, card = load_question(Path(given.model), params.finding.get("label"))
    methods = methods_to_test(card.backbone.map_kind, params.methods)
    test = read_test_predictions(given.predictions, card.classes, given.split)
    # The same draws for every method, and in `audit_explanations`: images, controls, noise.
    random = generator(seed, "explanations", *run)
    drawn = test.iloc[drawn_images(len(test), params.explanation_images, random)]
    groups = drawn["group"].to_numpy()
    # Those that were tested give each method its scale; of each class the surest one is drawn.
    shown = pd.concat([surest_images(test), drawn]).drop_duplicates("image_id")
    image_ids, rows = shown["image_id"].tolist(), shown.index.get_indexer(drawn.index)
    pixels = read_network_input(
        *(given.shards, image_ids, card.image_size, card.input_part, given.masks)
    )
    lungs, lesions = (
        masks_of(Path(given.masks), drawn["image_id"].tolist(), kind) for kind in ("lung", "lesion")
    )
    scores, raw = {}, []
    for method in methods:
        tested = explanation_tests_of_run(
            *(model, card),
            lambda network, images, of, by=method: maps_by(by, network, card, images, of, device),
            *(pixels[rows], groups, deepcopy(random), run, seed, device),
        )
        maps = maps_by(method, model, card, pixels, shown["called"].to_numpy(), device)
        heat = maps.of_images(rows).placed(np.zeros(len(rows), dtype=np.int64), MASK_SIDE)
        scores[method] = tested | place_scores(
            *(heat, lungs, lesions, drawn["correct"].to_numpy(), groups, {}),
            lambda part: seed_sequence(0, "maps", *wildcards, part),
        )
        raw.append(maps.values)
        log.info("Tested %s on %d images.", method, len(drawn))
    write_json(snakemake.output.scores, scores)
    maps = RawMaps(np.concatenate(raw, axis=1), maps.input_size, maps.stride, maps.offset)
    write_raw_maps(Path(snakemake.output.maps), image_ids, methods, maps)
