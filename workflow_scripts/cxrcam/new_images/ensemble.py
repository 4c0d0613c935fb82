"""All networks of a design on new images: what each says, and the mean of their maps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array
from workflow_scripts.cxrcam.images.covering import covered_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.new_images.decoding import Batch


def ask_networks(
    networks: Sequence[tuple[nn.Module, ModelCard]],
    batches: Iterable[Batch],
    device: torch.device,
) -> tuple[pa.Table, Float32Array, Float32Array]:
    """Run networks of one design over images as they are decoded.

    Parameters
    ----------
    networks : sequence of (network, card)
        Of one design: same classes, sizes and architecture.
    batches : iterable of Batch
        At least one.
    device : torch.device

    Returns
    -------
    facts : pa.Table
        One row a file, as in `Batch`.
    logits : float32 array, shape (networks, n, classes)
        Of the n readable images.
    maps : float32 array, shape (n, classes, height, width)
        Mean over the networks of class activation maps: where these add up to the logits, it
        adds up to the mean logits.
    """
    tables, logits, maps = [], [], []
    n_classes = len(networks[0][1].classes)
    for batch in batches:
        tables.append(batch.facts)
        if not len(batch.pixels):
            continue
        logits_of_network = []
        mean_maps: Float32Array | None = None
        for model, card in networks:
            seen = covered_pixels(batch.pixels, card.input_part, None)
            result = predict_as_trained(model, card, seen, device)
            logits_of_network.append(result.logits)
            mean_maps = result.class_maps if mean_maps is None else mean_maps + result.class_maps
        logits.append(np.stack(logits_of_network))
        assert mean_maps is not None  # noqa: S101 (there is a network)
        maps.append(mean_maps / np.float32(len(networks)))
    if not logits:
        nothing = np.empty((len(networks), 0, n_classes), dtype=np.float32)
        return pa.concat_tables(tables), nothing, np.empty((0, n_classes, 1, 1), dtype=np.float32)
    return pa.concat_tables(tables), np.concatenate(logits, axis=1), np.concatenate(maps)


def members_table(
    runs: Sequence[Mapping[str, Any]],
    image_ids: Sequence[str],
    logits: Float32Array,
    classes: Sequence[str],
) -> pd.DataFrame:
    """Logits, shape (networks, n, classes), as `image_id`, `fold`, `seed` and `logit_<class>`."""
    columns = [f"logit_{name}" for name in classes]
    names = pd.Series(image_ids, dtype="str")
    tables = [
        pd.DataFrame(of_network, columns=columns).assign(
            image_id=names, fold=run["fold"], seed=run["seed"]
        )
        for run, of_network in zip(runs, logits, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)[["image_id", "fold", "seed", *columns]]
