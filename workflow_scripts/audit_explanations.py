"""Whether the maps of one network hang on what it learnt, and are faithful to it."""

from pathlib import Path

from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.explanation_tests import (
    drawn_images,
    explanation_tests_of_run,
)
from workflow_scripts.cxrcam.maps.own_maps import own_maps
from workflow_scripts.cxrcam.networks.devices import choose_precision, set_up_device
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.networks.questions import load_question
from workflow_scripts.cxrcam.seeds import generator

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    run, seed = (wildcards.task, wildcards.scheme, wildcards.fold), int(wildcards.seed)
    device = set_up_device(snakemake.config["compute"], snakemake.resources.get("gpu"))
    # Nothing here is kept as a prediction: the precision of training is enough, and twice as fast.
    precision = choose_precision(params.precision, device)
    model, card = load_question(Path(given.model), params.finding.get("label"))
    test = read_test_predictions(given.predictions, card.classes, given.split)
    random = generator(seed, "explanations", *run)
    drawn = test.iloc[drawn_images(len(test), params.explanation_images, random)]
    pixels = read_network_input(
        *(given.shards, drawn["image_id"].tolist(), card.image_size),
        *(card.input_part, given.get("masks")),
    )
    tested = explanation_tests_of_run(
        *(model, card),
        lambda network, images, of: own_maps(network, card, images, of, device, precision),
        *(pixels, drawn["group"].to_numpy(), random, run, seed, device, precision),
    )
    write_json(snakemake.output[0], tested)
    log.info("Tested the maps of %d test images.", len(drawn))
