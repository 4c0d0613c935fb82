"""What a program must know of an exported network to use it rightly: see docs/export.md."""

import json
from collections.abc import Mapping
from typing import Any, Final

from workflow_scripts.cxrcam.export.graph import has_exact_maps
from workflow_scripts.cxrcam.networks.models import ModelCard

NOTICE: Final = (
    "Research use only. Not a medical device: what this network says is not a diagnosis."
)
"""The sentence that must stand wherever a prediction is shown."""


def network_facts(
    card: ModelCard,
    *,
    run: Mapping[str, Any],
    resampling: str,
    blank: str,
    calibration: Mapping[str, Any],
    map_size: tuple[int, int],
    map_scale: float,
    model_sha256: str,
) -> dict[str, Any]:
    """Metadata of an exported network.

    Parameters
    ----------
    card : ModelCard
    run : mapping
        `dataset`, `task`, `scheme`, `fold` and `seed`.
    resampling : str
        ``image.resampling``: filter that images are stretched with before the network sees them.
    blank : str
        ``image.blank``: what the graph blanks in every image.
    calibration : mapping
        `temperature` and `n`, as in metrics.json.
    map_size : (int, int)
        Height and width of the maps, in cells.
    map_scale : float
        Evidence at full colour, see `placement.heat_scale`.
    model_sha256 : str
        Of the master file.

    Returns
    -------
    dict
        That JSON can hold, in the order of docs/export.md.
    """
    backbone = card.backbone
    exact = has_exact_maps(backbone)
    return {
        **run,
        "classes": card.classes,
        "architecture": card.architecture,
        "last_stage": card.last_stage,
        "receptive_field": backbone.stage.receptive_field,
        "weights_origin": card.weights_origin,
        "image_size": card.image_size,
        "resampling": resampling,
        "blank": blank,
        "input_part": card.input_part,
        "mean": card.mean,
        "std": card.std,
        "input_size": card.input_size,
        "temperature": calibration["temperature"],
        "temperature_n": calibration["n"],
        "map_kind": "exact" if exact else "none",
        "map_height": map_size[0] if exact else None,
        "map_width": map_size[1] if exact else None,
        "map_stride": backbone.stride if exact else None,
        "map_offset": backbone.offset if exact else None,
        "map_scale": map_scale if exact else None,
        "training": card.training,
        "model_sha256": model_sha256,
        "notice": NOTICE,
    }


def metadata_texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as a file's metadata holds them: texts as they are, anything else as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in facts.items()
    }
