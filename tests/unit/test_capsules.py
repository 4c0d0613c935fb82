"""COVID-CAPS: capsules, their routing and their loss by hand, and what it cannot be asked for."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from tests.unit.test_configuration import CONFIG, ROOT, SCHEMA, SMALLEST
from tests.unit.test_training import checkpoints
from workflow_scripts.cxrcam.configuration.capsule_networks import CAPSULE_NETWORKS
from workflow_scripts.cxrcam.configuration.resolution import (
    ConfigurationError,
    model_settings,
    resolve_configuration,
    train_settings,
)
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.capsules import (
    CapsuleLayer,
    CovidCaps,
    MarginLoss,
    routed,
    squash,
)
from workflow_scripts.cxrcam.networks.cost import multiply_adds, parameter_count
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.networks.weights.files import WeightsError
from workflow_scripts.cxrcam.networks.weights.foreign_checkpoints import fitted_tensors
from workflow_scripts.cxrcam.networks.weights.initial_weights import choose_imagenet, read_start
from workflow_scripts.cxrcam.networks.weights.starting_weights import (
    planned_starts,
    starts_in_words,
)

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(n_classes: int = 2) -> CovidCaps:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CovidCaps(n_classes)


# --- squash ---------------------------------------------------------------------------------------


def test_a_squashed_vector_keeps_its_direction_and_is_shorter_than_one():
    # |s| = 5: its length becomes 25 / 26.
    squashed = squash(torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(squashed, torch.tensor([0.6, 0.8]) * 25 / 26)
    assert squash(torch.tensor([0.3, 0.4])).norm().item() == pytest.approx(0.25 / 1.25)


def test_vectors_of_length_0_and_huge_ones_have_values_and_gradients():
    vectors = torch.tensor([[0.0, 0.0], [1e6, 0.0]], requires_grad=True)
    squashed = squash(vectors)
    squashed.sum().backward()
    torch.testing.assert_close(squashed.detach(), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    assert vectors.grad.isfinite().all()


# --- routing --------------------------------------------------------------------------------------

# Two capsules below, (1, 0) and (0, 1). Capsule 1 above takes them as they are, capsule 2 doubles
# the first and gives nothing for the second. What follows was worked out with a pocket calculator's
# operations from the equations of Sabour et al. (2017).
BELOW = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
WEIGHTS = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 0.0]]])


def test_one_iteration_halves_all_predictions():
    # s_1 = (0.5, 0.5), of length 0.707107, and s_2 = (1, 0).
    above = torch.tensor([[[0.235702, 0.235702], [0.5, 0.0]]])
    torch.testing.assert_close(routed(BELOW, WEIGHTS, 1), above, atol=1e-6, rtol=0)


def test_in_two_iterations_agreement_decides_the_shares():
    # b = (0.235702, 1) for the first capsule below, (0.235702, 0) for the second, so that capsule 1
    # gets 0.317714 of the first and 0.558654 of the second, capsule 2 gets 0.682286 of the first.
    above = torch.tensor([[[0.144503, 0.254088], [0.650601, 0.0]]])
    torch.testing.assert_close(routed(BELOW, WEIGHTS, 2), above, atol=1e-6, rtol=0)


def test_in_three_iterations_agreement_adds_up():
    # b = (0.380205, 2.301202) and (0.489790, 0): the sums of both agreements. Capsule 1 gets
    # 0.127750 of the first and 0.620057 of the second, capsule 2 gets 0.872250 of the first.
    above = torch.tensor([[[0.057736, 0.280232], [0.752676, 0.0]]])
    torch.testing.assert_close(routed(BELOW, WEIGHTS, 3), above, atol=1e-6, rtol=0)


def test_routing_is_that_of_the_predictions_themselves():
    below, weight = numbers(2, 50, 6), numbers(5, 4, 6, seed=1)
    predictions = torch.einsum("jkd,nid->nijk", weight, below)
    b = torch.zeros(2, 50, 5)
    for _ in range(3):
        v = squash((b.softmax(2)[..., None] * predictions).sum(1))
        b = b + (predictions * v[:, None]).sum(-1)
    torch.testing.assert_close(routed(below, weight, 3), v)


def test_routing_is_in_float32_whatever_the_convolutions_are():
    layer, below = CapsuleLayer(16, 4, 8), numbers(2, 5000, 16).abs().bfloat16()
    expected = layer(below.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(below)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


# --- the loss -------------------------------------------------------------------------------------


def logits(*lengths: float) -> torch.Tensor:
    return torch.tensor([lengths]).log()


@pytest.mark.parametrize(
    ("lengths", "label", "expected"),
    [
        # Weights: three of four images are of class 0, so 0.25 and 0.75.
        ((0.8, 0.3), 0, 0.25 * (0.1**2 + 0.5 * 0.2**2)),
        ((0.8, 0.3), 1, 0.75 * (0.6**2 + 0.5 * 0.7**2)),
        ((0.95, 0.05), 0, 0.0),  # within both margins
        ((0.05, 0.05), 0, 0.25 * 0.85**2),
    ],
)
def test_margin_loss_by_hand(lengths, label, expected):
    loss = MarginLoss(torch.tensor([0, 0, 1, 0]), 2)
    found = loss(logits(*lengths), torch.tensor([label]))
    assert found.shape == (1,)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_a_class_weighs_as_much_as_the_share_of_all_others():
    loss = MarginLoss(torch.tensor([0] * 5 + [1] * 3 + [2] * 2), 3)
    torch.testing.assert_close(loss.weights, torch.tensor([0.5, 0.7, 0.8]))


PLAIN = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def noise(n: int) -> Pixels:
    pixels = np.random.default_rng(n).integers(0, 256, (n, 32, 32), dtype=np.uint8)
    return Pixels.on(torch.device("cpu"), pixels, np.arange(n) % 3 // 2)


def learner_of(part: Pixels, model: nn.Module, **changes: object) -> Learner:
    plain = {
        **{"epochs": 1, "batch_size": 6, "optimizer": "adam", "learning_rate": 1e-3},
        **{"momentum": 0.9, "weight_decay": 0.0, "schedule": "constant"},
        **{"horizontal_flip": 0.0, "watch": ["test"], "evaluate_every": "epoch"},
        **{"keep": "last", "patience": 0},
    }
    settings = TrainSettings.from_mapping({**plain, **changes})
    return Learner(model, part, settings, PLAIN, "float32", loss=MarginLoss(part.labels, 2))


def test_the_history_holds_margin_loss_of_every_part():
    model, part, other = network(), noise(6), noise(5)
    loss = MarginLoss(part.labels, 2)
    with torch.no_grad():
        before = loss(model(PLAIN.apply(part.pixels)), part.labels).mean()
    history = train(learner_of(part, model), {"test": other}, np.random.default_rng(0))
    with torch.no_grad():
        after = loss(model.eval()(PLAIN.apply(other.pixels)), other.labels).mean()
    assert [row["role"] for row in history] == ["train", "test"]
    found = [row["loss"] for row in history]
    assert found == pytest.approx([before.item(), after.item()], rel=1e-4)


def test_an_interrupted_training_ends_with_the_bits_of_one_that_was_not(tmp_path: Path):
    def trained(kept: Checkpoints | None = None) -> dict[str, torch.Tensor]:
        model = network()
        learner = learner_of(noise(12), model, epochs=3, horizontal_flip=0.5)
        train(learner, {}, np.random.default_rng(0), kept)
        return model.state_dict()

    interrupting = checkpoints(tmp_path, looks=3)
    with pytest.raises(TrainingStopped):
        trained(interrupting)
    whole, again, resumed = trained(), trained(), trained(checkpoints(tmp_path))
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name
        assert torch.equal(tensor, resumed[name]), name


# --- the network ----------------------------------------------------------------------------------


def test_it_has_the_parameters_of_the_paper_which_counts_running_statistics_too():
    model = network()
    running = [b for name, b in model.named_buffers() if "running" in name]
    assert parameter_count(model) == 295_360
    assert parameter_count(model) + sum(b.numel() for b in running) == 295_488


def test_its_multiplications_are_counted_by_hand():
    convolutions = (222**2 * 27 + 220**2 * 576) * 64 + (108**2 * 576 + 106**2 * 1152) * 128
    routings = 0
    for below, length, above, out in ((106**2, 128, 32, 8), (32, 8, 32, 8), (32, 8, 2, 16)):
        # Three sums, and two agreements between them, each of as many products.
        routings += 5 * above * length * (below + out)
    assert multiply_adds(network(), 224) == pytest.approx((convolutions + routings) / 1e9)


def test_logits_are_logarithms_of_lengths_and_the_softmax_their_shares():
    model, images = network(3).eval(), numbers(2, 3, 40, 40)
    with torch.inference_mode():
        below = model.capsules2(model.capsules1(model.primary(model.features(images))))
        lengths = model.classes(below).norm(dim=-1)
        found = model(images)
    torch.testing.assert_close(found, lengths.log())
    torch.testing.assert_close(found.softmax(1), lengths / lengths.sum(1, keepdim=True))
    assert (lengths < 1).all()


def test_a_capsule_of_length_0_still_has_a_logit():
    model = network()
    nn.init.zeros_(model.classes.weight)
    found = model(numbers(2, 3, 40, 40))
    MarginLoss(torch.tensor([0, 1]), 2)(found, torch.tensor([0, 1])).sum().backward()
    assert found.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_loss_reaches_every_parameter():
    model = network()
    labels = torch.tensor([0, 1, 1, 0])
    MarginLoss(labels, 2)(model(numbers(4, 3, 64, 64)), labels).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_it_takes_over_all_but_the_classes_of_a_network_trained_on_others():
    of_five, of_two = network(5).state_dict(), network(2).state_dict()
    taken, notes = fitted_tensors(of_five, of_two, Backbone("covid_caps"))
    assert of_two.keys() - taken.keys() == {"classes.weight"}
    assert notes == []


# --- what it cannot be asked for ------------------------------------------------------------------


def test_the_configuration_knows_the_same_networks_of_capsules():
    assert {name for name, known in ARCHITECTURES.items() if known.capsules} == CAPSULE_NETWORKS
    assert {name for name, known in ARCHITECTURES.items() if not known.imagenet} == CAPSULE_NETWORKS


def resolved(model: dict, **train_settings: object) -> dict:
    chosen = {"model": {"architecture": "covid_caps", **model}, "train": train_settings}
    return resolve_configuration({**SMALLEST, **chosen}, SCHEMA)


@pytest.mark.parametrize("weights", ["auto", "random", "trained.safetensors"])
def test_it_can_be_planned_with_the_recipes_of_all_networks(weights):
    assert resolved({"weights": weights})["model"]["weights"] == weights


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (
            {"weights": "imagenet"},
            {},
            "no ImageNet weights of covid_caps are published: set model.weights to random",
        ),
        ({}, {"label_smoothing": 0.1}, "set train.label_smoothing to 0"),
        ({"decompose": 2}, {}, "set model.decompose to null"),
        ({}, {"class_weights": "balanced"}, "set train.class_weights to none"),
        ({}, {"sampling": "balanced"}, "set train.sampling to natural"),
        ({}, {"freeze_until": "features.9"}, "set model.weights to a file, or"),
        ({"last_stage": 2}, {}, "covid_caps can only be whole: set it to null or auto"),
        ({"map_stride": 8}, {}, "can have 2 only"),
    ],
)
def test_what_it_cannot_have_is_refused_while_planning(model, settings, words):
    with pytest.raises(ConfigurationError) as caught:
        resolved(model, **settings)
    assert words in str(caught.value)


def test_the_preset_is_the_recipe_of_the_paper():
    preset = yaml.safe_load((ROOT / "presets/covid_caps.yaml").read_text(encoding="utf-8"))
    schemes = {**CONFIG["schemes"], **preset["schemes"]}
    config = resolve_configuration({**CONFIG, **preset, "schemes": schemes}, SCHEMA)
    settings = train_settings(config, "two_class", "covid_caps")
    recipe = {key: settings[key] for key in ("epochs", "batch_size", "optimizer", "learning_rate")}
    assert list(recipe.values()) == [100, 16, "adam", 1e-3]
    assert config["image"]["size"] == 224
    assert model_settings(config, "covid_caps")["input_size"] is None


def test_with_weights_of_a_file_its_convolutions_can_be_frozen():
    frozen = resolved({"weights": "chest.safetensors"}, freeze_until="features.9")
    assert frozen["train"]["freeze_until"] == "features.9"


def test_that_none_are_published_is_recorded_and_said_without_looking_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    target = tmp_path / "covid_caps-start-auto.safetensors"
    with caplog.at_level(logging.INFO):
        choose_imagenet("covid_caps", False, target, tmp_path / "weights")
    assert read_start(target, "covid_caps").kind == "random"
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert starts_in_words(planned_starts({"holdout": "auto"}, [str(target)])) == [
        "Networks start from random weights. No ImageNet weights of covid_caps are published."
    ]


def test_who_insists_on_weights_that_nobody_published_gets_the_way_out(tmp_path: Path):
    with pytest.raises(WeightsError, match="a local file of a trained covid_caps"):
        choose_imagenet("covid_caps", True, tmp_path / "w.safetensors", tmp_path)
    assert not (tmp_path / "w.safetensors").exists()


def test_weights_of_another_network_are_not_said_to_be_torchvisions():
    state = {"conv.weight": numbers(3, 3)}
    with pytest.raises(WeightsError, match=r"Name a state dict of covid_caps\."):
        fitted_tensors(state, network().state_dict(), Backbone("covid_caps"))
