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
    classes, numbers = card.classes, range(1, card.sub_classes + 1)
    parts = {
        "classes": classes if len(numbers) == 1 else [f"{c} {s}" for c in classes for s in numbers],
        "feature_layer": card.backbone.feature_layer,
        "head": card.backbone.head,
    }
    figure = architecture_figure(blocks, title=f"Figure 1: {card.architecture}", **parts)
    caption = architecture_caption(blocks, name=card.architecture, **parts)
    save_captioned(figure, Path(snakemake.output.png).with_suffix(""), caption)
    log.info("Drew %s.", card.architecture)
