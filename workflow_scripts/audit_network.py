"""One network under test: with parts of the images taken away, and its maps."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

from workflow_scripts.cxrcam.audit.explanation_tests import drawn_images, explanation_tests
from workflow_scripts.cxrcam.audit.input_masking import (
    MaskingVariant,
    masked_pixels,
    masking_variants,
)
from workflow_scripts.cxrcam.data.mask_cache import masks_of
from workflow_scripts.cxrcam.data.splits import TEST
from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.metrics.decisions import part_accuracy
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.devices import choose_device, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import WHOLE, read_network_input
from workflow_scripts.cxrcam.networks.models import build_classifier, load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.seeds import generator, integer_seed, seed_sequence

Pixels = npt.NDArray[np.uint8]


def masked_row(
    variant: MaskingVariant,
    chosen: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.int64],
    whole: npt.NDArray[np.int64],
    masked: npt.NDArray[np.int64],
    classes: list[str],
) -> dict[str, Any]:
    """Accuracy with a part taken away, beside that on the same images as they are."""
    result = part_accuracy(truth[chosen], masked, classes)
    original = part_accuracy(truth[chosen], whole[chosen], classes)
    return {
        "variant": variant.name,
        "title": variant.title,
        "n": result["n"],
        "accuracy": result["accuracy"],
        "low": result["accuracy_interval"][0],
        "high": result["accuracy_interval"][1],
        "balanced_accuracy": result["balanced_accuracy"],
        "original_accuracy": original["accuracy"],
        "original_balanced_accuracy": original["balanced_accuracy"],
        # With lung masks for some images only, these can be of few classes.
        "majority_share": float(np.bincount(truth[chosen]).max() / chosen.sum()),
        "classes_with_images": len(np.unique(truth[chosen])),
        "reason": "",
    }


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    compute, wildcards = snakemake.config["compute"], snakemake.wildcards
    run = (wildcards.task, wildcards.scheme, wildcards.fold)
    seed = int(wildcards.seed)
    device = choose_device(compute["device"], snakemake.resources.get("gpu"))
    set_up_torch(compute["threads"], compute["deterministic"])
    # Nothing here is kept as a prediction: the precision of training is enough, and twice as fast.
    precision = choose_precision(snakemake.params.precision, device)
    model, card = load_model(Path(snakemake.input.model))
    architecture = ARCHITECTURES[card.architecture]
    normalisation = Normalisation(tuple(card.mean), tuple(card.std))

    def outputs(network: nn.Module, images: Pixels) -> tuple[npt.NDArray[np.float32], RawMaps]:
        """Probabilities and raw maps."""
        result = predict(
            network,
            card.architecture,
            images,
            normalisation,
            device,
            input_size=card.input_size,
            precision=precision,
        )
        stride, offset = architecture.feature_stride, architecture.feature_offset
        return result.probabilities, RawMaps(result.maps, card.input_size, stride, offset)

    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == TEST].sort_values("image_id", ignore_index=True)
    groups = pd.read_parquet(snakemake.input.split).set_index("image_id")["group"]
    image_ids = test["image_id"].tolist()
    truth = test["label"].map(card.classes.index).to_numpy(dtype=np.int64)
    whole = test[[f"probability_{name}" for name in card.classes]].to_numpy().argmax(axis=1)
    pixels = read_network_input(
        *(snakemake.input.shards, image_ids, card.image_size),
        *(card.input_part, snakemake.input.masks),
    )
    has_lungs, lungs = masks_of(Path(snakemake.input.masks), image_ids, "lung", card.image_size)

    rows = []
    for variant in masking_variants():
        chosen = has_lungs if variant.needs_lung_masks else np.ones(len(test), dtype=bool)
        if card.input_part != WHOLE or not chosen.any():
            reason = "no test image has a lung mask"
            if card.input_part != WHOLE:
                reason = f"the network only ever sees covered images ({card.input_part})"
            rows.append({"variant": variant.name, "title": variant.title, "n": 0, "reason": reason})
            continue
        masks = lungs[chosen] if variant.needs_lung_masks else None
        covered = masked_pixels(pixels[chosen], variant.name, masks, fill="mean")
        called = outputs(model, covered)[0].argmax(axis=1)
        rows.append(masked_row(variant, chosen, truth, whole, called, card.classes))
        log.info("%s: accuracy %.4f.", variant.name, rows[-1]["accuracy"])
    with atomic_path(Path(snakemake.output.masked)) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)

    rng = generator(seed, "explanations", *run)
    drawn = drawn_images(len(test), snakemake.params.explanation_images, rng)
    if len(drawn):
        untrained = build_classifier(
            card.architecture, len(card.classes), integer_seed(seed, "randomisation", *run)
        )
        tested = explanation_tests(
            model,
            untrained,
            lambda images: outputs(model, images)[0],
            lambda network, images, of: outputs(network, images)[1].of_class(of),
            pixels[drawn],
            groups.loc[test["image_id"].iloc[drawn]].to_numpy(),
            rng,
            seed_sequence(seed, "explanation intervals", *run),
        )
    else:
        tested = {"reason": "maps are tested on the first fold and seed of each design"}
    write_json(Path(snakemake.output.map_tests), tested)
    log.info("Tested the maps of %d test images.", len(drawn))
