"""Where each network can end: its stages, and what one cell of each sees of the image.

A stage ends where the next layer would halve the resolution. Stage 1 has a stride of 4 input
pixels, stage 2 of 8, stage 3 of 16 and stage 4 of 32, whatever the network; COVID-CAPS, which can
only be whole, has stage 0 with a stride of 2. A network that ends behind an earlier stage sees less
of the image with each cell, so that its maps are sharper.

Stride, offset and receptive field follow from receptive field arithmetic: with j the input pixels
between neighbouring cells before a layer of kernel k, stride s and padding p, the layer multiplies
j by s, moves the centre of its first cell by j · ((k - 1) / 2 - p) pixels, and widens the receptive
field by j · (k - 1) (Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019). A layer padded by half its kernel moves nothing.

Networks that do not stand here can only be whole; what is to be known of them is found by looking
at them (`networks.found`).

No PyTorch here: Snakemake reads this module whenever it reads the workflow.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Stage:
    """A place where a network can end; lengths are in input pixels."""

    layer: str  # dotted name of the layer whose output is pooled and classified there
    channels: int  # of that output
    stride: int  # between the receptive field centres of neighbouring cells of that output
    offset: float  # from the centre of the first pixel to that centre of the first cell
    receptive_field: int | None  # a side, that one cell can see; None where it is not known
    finest: int = 8  # smallest stride to which dilation can bring this stage (`model.map_stride`)


def _resnet(channels: tuple[int, ...], receptive_fields: tuple[int, ...]) -> dict[int, Stage]:
    """Stages of a ResNet, all of whose layers are padded by half their kernel."""
    return {
        k: Stage(f"layer{k}", channels[k - 1], 2 ** (k + 1), 0.0, receptive_fields[k - 1])
        for k in range(1, 5)
    }


def _densenet(channels: tuple[int, ...], receptive_fields: tuple[int, ...]) -> dict[int, Stage]:
    """Stages of a DenseNet: each dense block, and the normalisation that follows it.

    Average pooling cannot be dilated, so that only the last pooling can be left out.
    """
    layers = [*(f"features.transition{k}.norm" for k in (1, 2, 3)), "features.norm5"]
    offsets = (0.0, 2.0, 6.0, 14.0)  # 2 + 4 + 8, three pools of 2 without padding
    return {
        k + 1: Stage(
            layer, channels[k], 2 ** (k + 2), offsets[k], receptive_fields[k], max(8, 2 ** (k + 1))
        )
        for k, layer in enumerate(layers)
    }


STAGES: Final[dict[str, dict[int, Stage]]] = {
    "mobilenet_v2": {
        1: Stage("features.3", 24, 4, 0.0, 19),
        2: Stage("features.6", 32, 8, 0.0, 59),
        3: Stage("features.13", 96, 16, 0.0, 267),
        4: Stage("features.18", 1280, 32, 0.0, 491),
    },
    # No padding: 1 + 2 + 4 + 8, a convolution and three pools of 3.
    "squeezenet1_1": {
        1: Stage("features.4", 128, 4, 3.0, 23),
        2: Stage("features.7", 256, 8, 7.0, 63),
        # The ReLU behind the last convolution: its output is pooled to the logits, the map itself.
        3: Stage("classifier.2", 512, 16, 15.0, 207),
    },
    "resnet18": _resnet((64, 128, 256, 512), (43, 99, 211, 435)),
    "densenet121": _densenet((256, 512, 1024, 1024), (59, 255, 1031, 2071)),
    "resnet50": _resnet((256, 512, 1024, 2048), (35, 91, 267, 427)),
    "densenet201": _densenet((256, 512, 1792, 1920), (59, 255, 1799, 3863)),
    # No padding: 1 + 1 (convolutions) + 0.5 (pool of 2) + 2 + 2 (convolutions).
    "covid_caps": {0: Stage("features.9", 128, 2, 6.5, 14, finest=2)},
    # Layers of 3 without padding: 1 + 2 (convolutions) + 2 (pool) + 4 (convolution) + 4 (pool)
    # + 8 + 16 (strided blocks). Branches of unlike depth in its strided blocks: not dilated.
    "inception_v3": {
        2: Stage("Mixed_5d", 288, 8, 13.0, 127, finest=8),
        3: Stage("Mixed_6e", 768, 16, 21.0, 927, finest=16),
        4: Stage("Mixed_7c", 2048, 32, 37.0, 1311, finest=32),
    },
    "resnet101": _resnet((256, 512, 1024, 2048), (35, 91, 811, 971)),
    # The last convolution of a block, not the pool behind it; stage 4 has the last pool, as
    # published. 0.5 + 1 + 2 + 4 + 8, five pools of 2 without padding.
    "vgg19": {
        2: Stage("features.26", 512, 8, 3.5, 116),
        3: Stage("features.35", 512, 16, 7.5, 252),
        4: Stage("features.36", 512, 32, 15.5, 268),
    },
}


def stage_problem(architecture: str, last_stage: int | None, map_stride: int | None) -> str:
    """Why a network cannot end at a stage or have maps of a stride, in one sentence; else empty.

    None is the whole network, and the stage's own stride.
    """
    stages = STAGES.get(architecture, {})
    if last_stage is not None and last_stage not in stages and len(stages) <= 1:
        return (
            f"model.last_stage is {last_stage}, but {architecture} can only be whole: set it to "
            "null or auto."
        )
    if last_stage is not None and last_stage not in stages:
        return (
            f"model.last_stage is {last_stage}, but {architecture} can end behind the stages "
            f"{', '.join(map(str, stages))} only: choose one of them, or null for all of it."
        )
    if not stages and map_stride is not None:
        return (
            f"model.map_stride is {map_stride}, but {architecture} can only have maps of its own "
            "stride: set it to null or auto."
        )
    if not stages:
        return ""
    stage = stages[last_stage or max(stages)]
    allowed = [s for s in (32, 16, 8, 4) if stage.finest <= s <= stage.stride]
    if not allowed:
        allowed = [stage.stride]
    if map_stride is not None and map_stride not in allowed:
        return (
            f"model.map_stride is {map_stride}, but {architecture} with model.last_stage: "
            f"{'null' if last_stage is None else last_stage} can have "
            f"{' or '.join(map(str, allowed))} only: choose that, or null for {stage.stride}."
        )
    return ""
