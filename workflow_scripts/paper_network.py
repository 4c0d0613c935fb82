"""Figure 1: the network, drawn from the trained module itself."""

from pathlib import Path

from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.architecture import (
    architecture_caption,
    architecture_figure,
    network_blocks,
)
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.models import load_model

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    model, card = load_model(Path(snakemake.input[0]))
    blocks = network_blocks(model, card.input_size)
    outputs, k = card.classes, card.sub_classes
    if k > 1:
        outputs = [f"{name} {number}" for name in outputs for number in range(1, k + 1)]
    parts = {
        "classes": outputs,
        "feature_layer": card.backbone.feature_layer,
        "head": card.backbone.head,
    }
    figure = architecture_figure(blocks, title=f"Figure 1: {card.architecture}", **parts)
    caption = architecture_caption(blocks, name=card.architecture, **parts)
    save_captioned(figure, Path(snakemake.output.png).with_suffix(""), caption)
    log.info("Drew %s.", card.architecture)
