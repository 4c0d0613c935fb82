"""The drawing of a network says what the module is, for every network and stage."""

import pytest
import torch
from matplotlib.text import Text

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.configuration.stages import STAGES
from workflow_scripts.cxrcam.figures.architecture import (
    architecture_caption,
    architecture_figure,
    block_of,
    network_blocks,
)
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone

ODD = ["$a_1^2$ vs $b$", "_under^score", "Bilateral interstitial pneumonia of unknown origin"]
LONG = "Lung_Opacity_with_a_very_long_unbroken_name_that_goes_on"
EVERY = [(name, stage) for name in ARCHITECTURES for stage in (None, *STAGES[name])]


def native_size(name):
    """Pixels a side that it was published with."""
    published = ARCHITECTURES[name].imagenet
    return published.transforms().crop_size[0] if published else 224


def network(name, stage=None, n_classes=3):
    # Weights play no part; without values a network is made in no time.
    with torch.device("meta"):
        return Backbone(name, stage).build(n_classes)


def places(name, stage=None):
    backbone = Backbone(name, stage)
    return {"feature_layer": backbone.feature_layer, "head": backbone.head}


@pytest.mark.parametrize(("name", "stage"), EVERY)
def test_blocks_account_for_every_parameter_and_shape(name, stage):
    model, backbone = network(name, stage), Backbone(name, stage)
    size = native_size(name)
    blocks = network_blocks(model, size)
    assert sum(block.parameters for block in blocks) == sum(p.numel() for p in model.parameters())
    assert blocks[0].output == (3, size, size)
    assert 4 <= len(blocks) <= 10
    seen = []
    model.get_submodule(backbone.feature_layer).register_forward_hook(
        lambda layer, inputs, output: seen.append(tuple(output.shape[1:]))
    )
    assert model(torch.zeros(1, 3, size, size, device="meta")).shape[1:] == blocks[-1].output[:1]
    assert blocks[block_of(blocks, backbone.feature_layer)].output == seen[0]
    assert "Identity" not in " ".join(block.content for block in blocks)


def test_resnet18_is_what_he_et_al_describe():
    # He et al. (2016), table 1; the last layer has 2 outputs.
    blocks = network_blocks(network("resnet18", n_classes=2), 224)
    assert [(block.layers, block.content, block.output) for block in blocks[1:]] == [
        (("conv1", "bn1", "relu"), "Conv2d, BatchNorm2d, ReLU", (64, 112, 112)),
        (("maxpool", "layer1"), "MaxPool2d, 2 × BasicBlock", (64, 56, 56)),
        (("layer2",), "2 × BasicBlock", (128, 28, 28)),
        (("layer3",), "2 × BasicBlock", (256, 14, 14)),
        (("layer4",), "2 × BasicBlock", (512, 7, 7)),
        (("avgpool",), "AdaptiveAvgPool2d", (512, 1, 1)),
        (("fc",), "Linear", (2,)),
    ]
    assert sum(block.parameters for block in blocks) == 11_177_538


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_text_is_cut_off_or_overlaps(name):
    figure = architecture_figure(
        network_blocks(network(name), native_size(name)),
        classes=[*ODD, LONG, *map(str, range(9))],
        title=f"Figure 1: {name}",
        **places(name),
    )
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert not [text for text in texts if "…" in text and "\n" not in text]
    assert any("and 4 more" in text for text in texts)
    assert_nothing_is_cut_off_or_overlaps(figure, on_panels=True)


def test_the_drawing_has_the_classes_the_numbers_and_the_place_of_the_maps():
    blocks = network_blocks(network("resnet18"), 224)
    figure = architecture_figure(blocks, classes=ODD, title="Network", **places("resnet18"))
    texts = [t.get_text().replace(r"\$", "$") for t in figure.findobj(Text)]
    assert any(text.startswith(f"{ODD[0]}\n{ODD[1]}\n") for text in texts)
    assert {"layer4", "8,393,728", "512", "7²", "512 × 7 × 7", "maps", "last layer"} <= set(texts)
    assert any("11,178,051 parameters" in text for text in texts)
    caption = architecture_caption(blocks, classes=ODD, name="ResNet18", **places("resnet18"))
    for part in (*ODD, "11,178,051", "layer4 (512 × 7 × 7", "ResNet18", "last layer, fc"):
        assert part in caption


def test_no_hook_stays_on_the_model():
    model = network("resnet18")
    network_blocks(model, 64)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_does_not_exist_is_named():
    blocks = network_blocks(network("resnet18"), 64)
    with pytest.raises(ValueError, match=r"no layer 'layer9'; its layers are .*'layer4'"):
        architecture_figure(blocks, classes=ODD, feature_layer="layer9", head="fc", title="Network")
