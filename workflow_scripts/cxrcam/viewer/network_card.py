"""What the page must know of its network: the card of the export, colours, and the verdict."""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.cxrcam.data.decoding import least_decoded_side
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.images.dicom_tags import NO_FRONTAL_CHEST, Accept
from workflow_scripts.cxrcam.maps.overlays import EVIDENCE_COLOURS
from workflow_scripts.cxrcam.new_images.answers import ONLY_DRAWN
from workflow_scripts.cxrcam.verdict.answer import NOT_BELIEVABLE, NOT_PROVEN
from workflow_scripts.cxrcam.viewer.training_pictures import TrainingPictures


def in_short(answer: str) -> str:
    """The audit's answer in the few words that stand beside a probability; never "proven"."""
    return NOT_BELIEVABLE if NOT_BELIEVABLE in answer else NOT_PROVEN


def network_card(
    exported: Mapping[str, Any],
    verdict: Mapping[str, Any],
    trained_on: TrainingPictures,
    *,
    is_drawn: bool,
    accept: Accept,
) -> dict[str, Any]:
    """Content of the page's model.json.

    Parameters
    ----------
    exported : mapping
        model.json of the export.
    verdict : mapping
        audit/verdict.json, whose answer and sentence stand above every prediction.
    trained_on : TrainingPictures
        What an X-ray is compared with.
    is_drawn : bool
        Whether the network was trained on phantoms only.
    accept : {"frontal_chest", "any"}
        Which DICOM images are let in.

    Raises
    ------
    InputError
        The network was trained on covered images, which a page cannot make.
    """
    if exported["input_part"] != "whole":
        raise InputError(
            f"The network of {exported['scheme']} was trained on covered images "
            f"({exported['input_part']}), but the page would give it whole ones: no viewer can be "
            "made."
        )
    return {
        **exported,
        "verdict": {
            **{key: verdict[key] for key in ("answer", "sentence")},
            "in_short": in_short(verdict["answer"]),
        },
        "only_drawn": ONLY_DRAWN if is_drawn else None,
        "dicom_refused": {kind: sorted(values) for kind, values in NO_FRONTAL_CHEST.items()}
        if accept == "frontal_chest"
        else None,
        "evidence_colours": EVIDENCE_COLOURS.tobytes().hex(),
        "jpeg_least_side": least_decoded_side(exported["image_size"]),
        "trained_on": trained_on.for_page(),
    }
