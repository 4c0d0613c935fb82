"""Frozen layers: a network cut in two computes and learns the same as the whole one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.data.cache import CacheError
from workflow_scripts.cxrcam.data.feature_cache import read_features, write_features
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.device_images import Features, Normalisation, Pixels
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.training.freezing import (
    FreezeError,
    check_cut,
    front_features,
    front_features_of_both_views,
    front_removed,
)
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings, batch_bounds
from workflow_scripts.cxrcam.networks.training.step import Learner

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CUTS = {
    "resnet18": "layer3",
    "resnet50": "layer2",
    "resnet101": "layer4",
    "densenet121": "features.denseblock3",
    "densenet201": "features.transition3",
    "mobilenet_v2": "features.16",
    "squeezenet1_1": "features.9",
    "inception_v3": "Mixed_6e",
    "vgg19": "features.30",
    "covid_caps": "features.9",
}
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIDE = 64


def test_every_network_has_a_cut_that_is_tested_here():
    assert set(CUTS) == set(ARCHITECTURES)


FOUND = {"regnet_y_400mf": "trunk_output.block2", "googlenet": "inception3b"}


@pytest.mark.parametrize(("architecture", "until"), (CUTS | FOUND).items())
def test_both_halves_together_are_the_network(architecture: str, until: str):
    model = build_classifier(Backbone(architecture), 2, 0).eval()
    side = Backbone(architecture).known.minimum_size
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(images)
        features = front_features(model, until, images)
        with front_removed(model, until, side) as rest:
            found = rest(features.clone())
            trained = sum(p.numel() for p in rest.parameters())
        assert torch.equal(model(images), expected), "the network is not whole again"
    assert torch.allclose(found, expected, atol=1e-5)
    assert 0 < trained < sum(p.numel() for p in model.parameters())


def test_a_layer_that_is_not_there_is_refused_with_those_that_are():
    model = build_classifier(Backbone("resnet18"), 2, 0)
    with pytest.raises(FreezeError, match=r"'layer9'.*no such layer.*layer1, layer2, layer3"):
        check_cut(model, Backbone("resnet18"), "layer9")
    assert model.training


def test_a_layer_inside_a_block_with_a_shortcut_is_refused():
    with pytest.raises(FreezeError, match="cannot be cut there"):
        check_cut(
            build_classifier(Backbone("resnet18"), 2, 0), Backbone("resnet18"), "layer3.0.conv1"
        )


def small_set(n: int = 10):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8)
    return Pixels.on(torch.device("cpu"), pixels, np.arange(n) % 2)


def features_of(model: nn.Module, part: Pixels, until: str) -> Features:
    rows = torch.arange(len(part))
    with torch.no_grad():
        views = [
            front_features(
                model.eval(), until, part.batch(rows, torch.full(rows.shape, m), SIDE, IMAGENET)
            )
            for m in (False, True)
        ]
    return Features(torch.stack(views), part.labels, SIDE)


def settings(**changes) -> TrainSettings:
    plain = {
        **{"epochs": 3, "batch_size": 4, "optimizer": "adam", "learning_rate": 0.001},
        **{"momentum": 0.9, "weight_decay": 0.0, "schedule": "constant", "horizontal_flip": 0.5},
        **{"watch": [], "evaluate_every": "epoch", "keep": "last", "patience": 0},
    }
    return TrainSettings.from_mapping({**plain, **changes})


@pytest.mark.parametrize("flip", [0.0, 0.5])
def test_training_on_features_ends_with_the_weights_of_training_on_images(flip: float):
    recipe = settings(horizontal_flip=flip)
    part = small_set()
    cached = build_classifier(Backbone("resnet18"), 2, 0)
    features = features_of(cached, part, "layer3")
    with front_removed(cached, "layer3", SIDE) as rest:
        learner = Learner(rest, features, recipe, IMAGENET, "float32")
        train(learner, {}, np.random.default_rng(1))

    # The plain way: the whole network each time, its early layers held still.
    plain = build_classifier(Backbone("resnet18"), 2, 0).to(memory_format=torch.channels_last)
    frozen = [m for n, m in plain.named_children() if n not in ("layer4", "avgpool", "fc")]
    for module in frozen:
        module.requires_grad_(False)
    learning = [p for p in plain.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=recipe.learning_rate)
    rng = np.random.default_rng(1)
    for _ in range(recipe.epochs):
        order, flips = rng.permutation(len(part)), rng.random(len(part)) < flip
        for first, last in batch_bounds(len(part), recipe.batch_size):
            plain.train()
            for module in frozen:
                module.eval()
            rows = torch.from_numpy(order[first:last])
            images = part.batch(rows, torch.from_numpy(flips[first:last]), SIDE, IMAGENET)
            loss = nn.functional.cross_entropy(plain(images), part.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    before = build_classifier(Backbone("resnet18"), 2, 0).state_dict()
    moved = 0
    for name, tensor in cached.state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name], atol=1e-5, rtol=0)
        moved += not torch.equal(tensor, before[name])
    assert moved > 10, "nothing was learnt: this test shows nothing"
    assert torch.equal(
        cached.state_dict()["layer3.0.conv1.weight"], before["layer3.0.conv1.weight"]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_come_back_from_disk_bit_for_bit_in_the_order_asked_for(tmp_path: Path, dtype):
    features = torch.randn(2, 5, 3, 2, 2).to(dtype)
    names = [f"X-{k}" for k in range(5)]
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_features(files[0], names[:3], list(features[:, :3]), "layers", "images")
    write_features(files[1], names[3:], list(features[:, 3:]), "layers", "images")
    found = read_features(files, ["X-4", "X-0", "X-2"])
    assert found.dtype == dtype
    assert torch.equal(found, features[:, [4, 0, 2]])


def test_features_of_different_layers_are_never_mixed(tmp_path: Path):
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file, layers in zip(files, ("old", "new"), strict=True):
        write_features(file, [file.stem], list(torch.zeros(2, 1, 4)), layers, "images")
    with pytest.raises(CacheError, match="different layers"):
        read_features(files, ["a", "b"])


def test_a_flipped_bit_in_features_is_noticed(tmp_path: Path):
    file = tmp_path / "a.parquet"
    write_features(file, ["a", "b"], list(torch.randn(2, 2, 64)), "layers", "images")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CacheError, match=r"a\.parquet is damaged"):
        read_features([file], ["a", "b"])


def test_features_of_many_images_are_those_of_each_and_of_its_mirror_image():
    model = build_classifier(Backbone("resnet18"), 2, 0).eval()
    part = small_set(5)
    views = front_features_of_both_views(
        *(model, "layer3", part.pixels.numpy(), SIDE, IMAGENET, torch.device("cpu"), "float32"),
        batch_size=2,
    )
    expected = features_of(model, part, "layer3").views
    assert [view.shape for view in views] == [expected.shape[1:]] * 2
    for view, of_view in zip(views, expected, strict=True):
        torch.testing.assert_close(view, of_view, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(views[0], views[1])
    assert views[0].dtype == torch.float32
