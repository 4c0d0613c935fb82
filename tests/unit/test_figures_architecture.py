"""The drawing of a network says what the module is, whatever the module is."""

import functools

import numpy as np
import pytest
import torch
import torchvision
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Polygon
from matplotlib.text import Text
from torch import nn

from workflow_scripts.cxrcam.figures.architecture import (
    architecture_caption,
    architecture_figure,
)
from workflow_scripts.cxrcam.networks.blocks import network_blocks
from workflow_scripts.cxrcam.networks.skips import skip_connections

# Feature layer and last layer.
PLACES = {
    "resnet18": ("layer4", "fc"),
    "mobilenet_v2": ("features", "classifier.1"),
    "densenet121": ("features", "classifier"),
    "squeezenet1_1": ("features", "classifier.1"),
    "vgg19": ("features", "classifier.6"),
    "inception_v3": ("Mixed_7c", "fc"),
}
ODD = ["$a_1^2$ vs $b$", "_under^score", "Bilateral interstitial pneumonia of unknown origin"]
LONG = "Lung_Opacity_with_a_very_long_unbroken_name_that_goes_on"


def network(name, n_classes=3):
    # Weights play no part; without values a VGG is made in no time.
    with torch.device("meta"):
        options = {"init_weights": False} if name == "inception_v3" else {}
        model = getattr(torchvision.models, name)(weights=None, num_classes=n_classes, **options)
    return model


def size_of(name):
    return 299 if name == "inception_v3" else 224


def drawn_texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def figure_of(model, size=224, classes=("Normal", "COVID", "Viral Pneumonia"), **places):
    return architecture_figure(model, size, classes=list(classes), **places)


@functools.cache
def figure_of_known(name):
    feature, head = PLACES[name]
    return figure_of(network(name), size_of(name), feature_layer=feature, head=head)


class Small(nn.Module):
    """A network that is no network of torchvision."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.unused = nn.Linear(100, 10)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.body(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("name", PLACES)
def test_blocks_account_for_every_parameter_and_shape(name):
    model = network(name)
    feature, head = PLACES[name]
    found = network_blocks(model, size_of(name), landmarks=(feature, head))
    assert found.parameters == sum(p.numel() for p in model.parameters())
    unused = sum(p.numel() for n, p in model.named_parameters() if n.startswith("AuxLogits"))
    assert sum(block.parameters for block in found.blocks) == found.parameters - unused
    outputs = []
    handle = model.get_submodule(feature).register_forward_hook(
        lambda _module, _inputs, output: outputs.append(tuple(output.shape[1:]))
    )
    model.eval()(torch.zeros(1, 3, size_of(name), size_of(name), device="meta"))
    handle.remove()
    assert found.blocks[found.block_of(feature)].output == outputs[0]
    last = found.blocks[found.block_of(head)]
    assert last.output[0] == 3
    assert last.parameters == sum(p.numel() for p in model.get_submodule(head).parameters())
    assert 7 <= len(found.blocks) <= 15


def test_resnet18_is_what_he_et_al_describe():
    # He et al. (2016), table 1; the last layer has 2 outputs.
    found = network_blocks(network("resnet18", 2), 224, landmarks=("layer4", "fc"))
    assert found.parameters == 11_177_538
    stages = {block.name: (block.output, block.skips) for block in found.blocks}
    assert stages["conv1–relu"] == ((64, 112, 112), 0)
    for index in range(4):
        side, channels = 56 // 2**index, 64 * 2**index
        assert stages[f"layer{index + 1}"] == ((channels, side, side), 2)


@pytest.mark.parametrize(
    ("name", "skips"),
    # Additions of ResNet and MobileNetV2 (10 of its 17 blocks keep their shape), concatenations of
    # DenseNet; parallel branches are none.
    [
        ("resnet18", 8),
        ("mobilenet_v2", 10),
        ("densenet121", 58),
        ("squeezenet1_1", 0),
        ("vgg19", 0),
        ("inception_v3", 0),
    ],
)
def test_skip_connections_are_those_of_the_papers(name, skips):
    model = network(name)
    assert len(skip_connections(model)) == skips
    found = network_blocks(model, size_of(name), landmarks=PLACES[name])
    assert sum(block.skips for block in found.blocks) == skips


@pytest.mark.parametrize("name", PLACES)
def test_no_text_leaves_the_page_or_overlaps_another(name):
    feature, head = PLACES[name]
    classes = [*ODD, LONG, "COVID", "x"]
    figure = figure_of(
        network(name, 6), size_of(name), classes, feature_layer=feature, head=head, title=LONG * 3
    )
    FigureCanvasAgg(figure).draw()
    page = figure.bbox
    texts = drawn_texts(figure)
    boxes = [text.get_window_extent() for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= 7
        assert page.x0 <= box.x0 and box.x1 <= page.x1, text.get_text()
        assert page.y0 <= box.y0 and box.y1 <= page.y1, text.get_text()
    for index, box in enumerate(boxes):
        for other, beside in zip(texts[:index], boxes[:index], strict=True):
            assert not box.padded(-1).overlaps(beside.padded(-1)), (
                texts[index].get_text(),
                other.get_text(),
            )


@pytest.mark.parametrize("name", PLACES)
def test_blocks_stand_apart_and_clear_of_all_texts(name):
    figure = figure_of_known(name)
    FigureCanvasAgg(figure).draw()
    faces = [
        patch.get_window_extent() for patch in figure.axes[0].patches if isinstance(patch, Polygon)
    ]
    for text in drawn_texts(figure):
        box = text.get_window_extent().padded(-1)
        assert not any(box.overlaps(face) for face in faces), text.get_text()
    columns = sorted({(round(face.x0), round(face.x1)) for face in faces})
    starts = {round(face.x0) for face in faces}
    # The input and each block; their side faces begin elsewhere.
    blocks = [text for text in drawn_texts(figure) if text.get_text().isdigit()]
    assert len(starts) >= 1 + max(int(t.get_text()) for t in blocks if t.get_weight() == "bold")
    assert all(0 <= start < stop <= figure.bbox.x1 for start, stop in columns)


@pytest.mark.parametrize("name", PLACES)
def test_the_table_cuts_no_name_of_a_layer(name):
    figure = figure_of_known(name)
    assert not [text.get_text() for text in drawn_texts(figure) if "…" in text.get_text()]


def test_the_drawing_has_the_classes_the_numbers_and_the_place_of_the_maps():
    model = network("resnet18")
    figure = figure_of(model, classes=ODD, feature_layer="layer4", head="fc")
    texts = [t.get_text().replace(r"\$", "$").replace("\n", " ") for t in drawn_texts(figure)]
    assert ODD[0] in texts
    assert {"layer4", "8,393,728", "512", "7²", "class activation map, 7×7 cells"} <= set(texts)
    assert any("11,178,051" in text for text in texts)
    assert texts.count("2×") == 4
    caption = architecture_caption(
        model, 224, classes=ODD, feature_layer="layer4", head="fc", name="ResNet18"
    )
    for part in (*ODD, "11,178,051", "512 × 7 × 7", "8 skip connections", "ResNet18"):
        assert part in caption


def test_a_network_of_ones_own_is_drawn_too():
    model = Small()
    found = network_blocks(model, 32, landmarks=("body", "head"))
    assert [block.name for block in found.blocks] == ["stem", "body", "", "head"]
    assert [block.output for block in found.blocks] == [(8, 16, 16), (8, 16, 16), (8,), (2,)]
    assert found.parameters - sum(block.parameters for block in found.blocks) == 1010
    figure = figure_of(model, 32, ODD[:2], feature_layer="body", head="head")
    assert any("1,010 of them" in text.get_text() for text in drawn_texts(figure))


def test_the_model_is_left_as_it_was():
    model = torchvision.models.resnet18(weights=None, num_classes=2).train()
    model.layer1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    figure_of(model, 64, ODD[:2], feature_layer="layer4", head="fc")
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_page_has_room_for_a_long_network():
    layers = []
    for index in range(30):
        layers += [nn.Conv2d(3 if index == 0 else 4, 4, 1), nn.AvgPool2d(1 + (index % 10 == 9))]
    model = nn.Sequential(nn.Sequential(*layers), nn.Flatten(), nn.LazyLinear(2))
    model(torch.zeros(1, 3, 32, 32))
    assert len(network_blocks(model, 32, landmarks=("0", "2"), most=9).blocks) <= 9


def test_layers_that_do_not_exist_and_missing_classes_are_named():
    with pytest.raises(ValueError, match="no layer 'layer9'"):
        figure_of(Small(), 32, feature_layer="layer9", head="head")
    with pytest.raises(ValueError, match="no block holds the layer 'unused'"):
        figure_of(Small(), 32, feature_layer="unused", head="head")
    with pytest.raises(ValueError, match="no class"):
        figure_of(Small(), 32, (), feature_layer="body", head="head")
