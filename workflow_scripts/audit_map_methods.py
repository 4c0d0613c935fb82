"""Other ways to make a map, put to the same tests as our own, on the same images."""

from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, masks_of
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.explanation_tests import drawn_images, explanation_tests
from workflow_scripts.cxrcam.map_tests.method_table import methods_to_test
from workflow_scripts.cxrcam.map_tests.places import place_scores
from workflow_scripts.cxrcam.maps.methods import method_maps
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.devices import choose_device, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import build_classifier, load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.prediction import Predictions, predict
from workflow_scripts.cxrcam.seeds import generator, integer_seed, seed_sequence
from workflow_scripts.cxrcam.terms import TEST

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    compute, wildcards = snakemake.config["compute"], snakemake.wildcards
    run = (wildcards.task, wildcards.scheme, wildcards.fold)
    seed = int(wildcards.seed)
    device = choose_device(compute["device"], snakemake.resources.get("gpu"))
    set_up_torch(compute["threads"], compute["deterministic"])
    model, card = load_model(Path(snakemake.input.model))
    backbone = card.backbone
    normalisation = Normalisation(tuple(card.mean), tuple(card.std))
    methods = methods_to_test(backbone.map_kind, snakemake.params.methods)

    def predicted(network: nn.Module, images: UInt8Array) -> Predictions:
        """Probabilities and our own maps."""
        return predict(network, backbone, images, normalisation, device, input_size=card.input_size)

    def maps_of(method: str, network: nn.Module, images: UInt8Array, of: Int64Array) -> RawMaps:
        """Maps of one class an image, by one method."""
        if method == backbone.map_kind:
            evidence = predicted(network, images).evidence
            own = RawMaps(evidence, card.input_size, backbone.stride, backbone.offset)
            return own.of_class(of)
        return method_maps(
            *(method, network, backbone, images, of),
            *(normalisation, device, card.input_size),
        )

    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == TEST].sort_values("image_id", ignore_index=True)
    groups = pd.read_parquet(snakemake.input.split).set_index("image_id")["group"]
    columns = [f"probability_{name}" for name in card.classes]
    test["predicted"] = [card.classes[k] for k in test[columns].to_numpy().argmax(axis=1)]
    test["probability"] = test[columns].max(axis=1)

    def random() -> np.random.Generator:
        """The same draws for every method, and in `audit_explanations`: images, controls, noise."""
        return generator(seed, "explanations", *run)

    drawn = test.iloc[drawn_images(len(test), snakemake.params.explanation_images, random())]
    image_ids = drawn["image_id"].tolist()
    pixels = read_network_input(
        *(snakemake.input.shards, image_ids, card.image_size),
        *(card.input_part, snakemake.input.masks),
    )
    lungs, lesions = (
        masks_of(Path(snakemake.input.masks), image_ids, kind) for kind in ("lung", "lesion")
    )
    called = predicted(model, pixels).probabilities.argmax(axis=1)
    right = np.array(card.classes)[called] == drawn["label"].to_numpy()
    untrained = build_classifier(
        backbone, len(card.classes), integer_seed(seed, "randomisation", *run)
    )
    scores = {}
    for method in methods:
        rng = random()
        drawn_images(len(test), len(drawn), rng)  # so that what follows is drawn as there
        tested = explanation_tests(
            model,
            untrained,
            lambda images: predicted(model, images).probabilities,
            lambda network, images, of, method=method: maps_of(method, network, images, of),
            pixels,
            groups.loc[image_ids].to_numpy(),
            rng,
            seed_sequence(seed, "explanation intervals", *run),
        )
        heat = maps_of(method, model, pixels, called).placed(
            np.zeros(len(pixels), dtype=np.int64), MASK_SIDE
        )
        scores[method] = tested | place_scores(
            *(heat, lungs, lesions, right, groups.loc[image_ids].to_numpy(), {}),
            lambda part: seed_sequence(0, "maps", *wildcards, part),
        )
        log.info("Tested %s on %d images.", method, len(pixels))
    write_json(Path(snakemake.output.scores), scores)

    # To be drawn: of each class the image that was recognised most surely; and all that were
    # tested, which give each method its scale.
    surest = (
        test.assign(right=test["label"] == test["predicted"])
        .sort_values(["right", "probability", "image_id"], ascending=[False, False, True])
        .drop_duplicates("label")
    )
    wanted = pd.concat([surest, drawn]).drop_duplicates("image_id")
    shown = read_network_input(
        *(snakemake.input.shards, wanted["image_id"].tolist(), card.image_size),
        *(card.input_part, snakemake.input.masks),
    )
    explained = wanted["predicted"].map(card.classes.index).to_numpy(dtype=np.int64)
    raw = [maps_of(method, model, shown, explained) for method in methods]
    write_raw_maps(
        Path(snakemake.output.maps),
        wanted["image_id"].tolist(),
        methods,
        RawMaps(
            np.concatenate([maps.values for maps in raw], axis=1),
            *(card.input_size, backbone.stride, backbone.offset),
        ),
    )
