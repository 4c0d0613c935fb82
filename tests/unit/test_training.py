"""Training: the same bits each time, every image once an epoch, and clocks that tell the truth."""

import logging
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.functional import normalize, to_tensor

from workflow_scripts.cxrcam.contracts import HISTORY, TIMINGS
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Part, Pixels
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.training import evaluation
from workflow_scripts.cxrcam.networks.training import loop as training
from workflow_scripts.cxrcam.networks.training.augmentation import Augmentation
from workflow_scripts.cxrcam.networks.training.checkpoints import (
    Checkpoints,
    State,
    TrainingStopped,
)
from workflow_scripts.cxrcam.networks.training.evaluation import (
    best_iteration,
    evaluate_loss,
    evaluations_since_best,
)
from workflow_scripts.cxrcam.networks.training.loop import (
    TrainingError,
    train,
)
from workflow_scripts.cxrcam.networks.training.recipe import (
    TrainSettings,
    batch_bounds,
    learning_rate,
    make_optimizer,
)
from workflow_scripts.cxrcam.networks.training.step import Learner

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CPU = torch.device("cpu")
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIDE = 32
SETTINGS = {
    "epochs": 2,
    "batch_size": 6,
    "optimizer": "adam",
    "learning_rate": 0.003,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "constant",
    "horizontal_flip": 0.5,
    "watch": ["validation", "test"],
    "evaluate_every": "epoch",
    "keep": "last",
    "patience": 0,
}


def settings(**changes) -> TrainSettings:
    return TrainSettings.from_mapping({**SETTINGS, **changes})


def small_network(seed: int = 0) -> nn.Module:
    """A convolutional network of a few hundred weights, with batch normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False),
            *(nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Linear(8, 2),
        )


def noise(n: int, seed: int = 0) -> Part:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8)
    return Pixels.on(CPU, pixels, np.arange(n) % 2)


def dark_and_bright(n: int, seed: int = 0) -> Part:
    """Two classes that anyone can tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    pixels = rng.integers(0, 90, (n, SIDE, SIDE)) + 120 * labels[:, None, None]
    return Pixels.on(CPU, pixels.astype(np.uint8), labels)


def fit(
    part: Part,
    watched=None,
    seed: int = 0,
    model: nn.Module | None = None,
    checkpoints: Checkpoints | None = None,
    **changes,
):
    """Train the small network; returns it and its history."""
    model = small_network() if model is None else model
    learner = Learner(model, part, settings(**changes), IMAGENET, "float32")
    history = train(learner, watched or {}, np.random.default_rng(seed), checkpoints)
    return model, history


def weights(model: nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def column(history, name: str, role: str = "train") -> list:
    return [row[name] for row in history if row["role"] == role]


def test_a_normalisation_that_served_predictions_gives_gradients_all_the_same():
    fresh = Normalisation((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    grey = 255 * torch.rand(4, SIDE, SIDE, requires_grad=True)
    with torch.inference_mode():
        predicted = fresh.apply(grey).clone()
    images = fresh.apply(grey)
    assert torch.equal(images, predicted)
    expected = [(grey / 255 - mean) / std for mean, std in zip(fresh.mean, fresh.std, strict=True)]
    torch.testing.assert_close(images, torch.stack(expected, dim=1))
    (gradient,) = torch.autograd.grad(images.sum(), grey)
    torch.testing.assert_close(gradient, torch.full_like(grey, sum(1 / s for s in fresh.std) / 255))


# --- batches --------------------------------------------------------------------------------------


@given(st.integers(1, 500), st.integers(1, 70))
def test_batches_hold_every_image_once_in_order(n_images, batch_size):
    bounds = batch_bounds(n_images, batch_size)
    assert [k for first, last in bounds for k in range(first, last)] == list(range(n_images))


@given(st.integers(2, 500), st.integers(2, 70))
def test_no_batch_holds_one_image_and_none_is_much_larger_than_asked(n_images, batch_size):
    sizes = [last - first for first, last in batch_bounds(n_images, batch_size)]
    assert min(sizes) >= 2
    assert max(sizes) <= batch_size + 1
    assert all(size == batch_size for size in sizes[:-1])


class Recorder(nn.Module):
    """A network that notes which images pass it; each image is one grey value."""

    def __init__(self):
        super().__init__()
        self.seen: list[list[int]] = []
        self.linear = nn.Linear(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((x[:, 0, 1, 1] * 255).round().int().tolist())
        return self.linear(x[:, :1].mean((2, 3)))


def passed(n: int = 13, seed: int = 0, **changes) -> list[list[int]]:
    pixels = np.arange(n, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    part = Pixels.on(CPU, pixels, np.arange(n) % 2)
    recorder = Recorder()
    plain = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    rng = np.random.default_rng(seed)
    learner = Learner(recorder, part, settings(batch_size=4, **changes), plain, "float32")
    train(learner, {}, rng)
    return recorder.seen


def test_every_epoch_sees_every_image_once_in_another_order():
    batches = passed(epochs=3)
    assert [len(batch) for batch in batches] == [4, 4, 5] * 3
    epochs = [list(chain(*batches[k : k + 3])) for k in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(13)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_of_images_does_not_depend_on_whether_they_are_flipped():
    assert passed(horizontal_flip=0.0) == passed(horizontal_flip=1.0)


def test_without_other_changes_an_epoch_draws_its_order_and_flips_and_nothing_else():
    rng = np.random.default_rng(0)
    expected = []
    for _ in range(3):
        expected += rng.permutation(13).tolist()
        rng.random(13)
    for nothing in ({}, {"augment": {"contrast": 0.0, "shift": 0.0}, "class_weights": "none"}):
        assert list(chain(*passed(epochs=3, **nothing))) == expected
    turned = list(chain(*passed(epochs=3, augment={"rotation": 5.0})))
    assert turned[:13] == expected[:13] and turned != expected


def test_changes_are_drawn_anew_for_each_image_and_epoch():
    class Images(Recorder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            drawn.extend(x[:, 0].detach().numpy().tobytes() for x in x.split(1))
            return super().forward(x)

    drawn: list[bytes] = []
    part = noise(12)
    one_image = Pixels(part.pixels[:1].repeat(12, 1, 1), part.labels)
    changes = settings(augment={"shift": 0.2}, horizontal_flip=0.0)
    learner = Learner(Images(), one_image, changes, IMAGENET, "float32")
    train(learner, {}, np.random.default_rng(0))
    assert len(drawn) == len(set(drawn)) == 24


def test_a_balanced_epoch_shows_as_many_images_of_each_class():
    pixels = np.arange(12, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    labels = np.array([0] * 9 + [1] * 3)
    learner = Learner(
        *(Recorder(), Pixels.on(CPU, pixels, labels), settings(epochs=3, sampling="balanced")),
        *(Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), "float32"),
    )
    train(learner, {}, np.random.default_rng(0))
    seen = list(chain(*learner.model.seen))
    epochs = [seen[:12], seen[12:24], seen[24:]]
    assert [sum(image >= 9 for image in epoch) for epoch in epochs] == [6, 6, 6]
    assert all(
        sorted(image for image in epoch if image >= 9) == [9, 9, 10, 10, 11, 11] for epoch in epochs
    )


def test_augmented_images_are_changed_at_the_size_that_the_network_sees():
    sides: list[int] = []

    class Noting(Augmentation):
        def apply(self, pixels: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
            assert pixels.min() >= 0 and pixels.max() > 200, "normalised before it was changed"
            sides.append(pixels.shape[-1])
            return super().apply(pixels, parameters)

    recipe = replace(settings(progressive=[0.5, 1.0], batch_size=12), augment=Noting(rotation=5))
    learner = Learner(small_network(), noise(12), recipe, IMAGENET, "float32", input_size=96)
    train(learner, {}, np.random.default_rng(0))
    assert sides == [48, 96]


# --- reproducibility ------------------------------------------------------------------------------


def test_the_same_seed_trains_resnet18_to_the_same_bits_and_another_one_does_not():
    def trained(seed: int) -> nn.Module:
        model = build_classifier(Backbone("resnet18"), 2, seed=0)
        return fit(noise(12), {"test": noise(4, seed=1)}, seed, model, epochs=1)[0]

    first = trained(0)
    assert same(first, trained(0))
    assert not same(first, trained(1))


def test_the_history_is_the_same_each_time_but_for_its_clocks():
    def numbers() -> list[dict]:
        history = fit(noise(14), {"test": noise(6, seed=1)})[1]
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in history]

    assert numbers() == numbers()


def test_training_does_not_depend_on_the_global_random_state():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = fit(noise(12))[0]
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert same(first, fit(noise(12))[0])


def test_watched_parts_do_not_influence_the_weights():
    alone = fit(noise(14))[0]
    watched = {"validation": noise(5, seed=1), "test": noise(9, seed=2)}
    assert same(alone, fit(noise(14), watched)[0])
    assert same(alone, fit(noise(14), watched, evaluate_every=1)[0])


def test_training_leaves_the_images_as_they_were():
    part = noise(12)
    before = part.pixels.clone()
    fit(part, horizontal_flip=1.0)
    assert torch.equal(part.pixels, before)


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_the_loss_falls_where_classes_can_be_told_apart(optimizer, schedule):
    _, history = fit(
        dark_and_bright(32),
        {"test": dark_and_bright(16, seed=1)},
        optimizer=optimizer,
        schedule=schedule,
        epochs=8,
        learning_rate=0.05,
    )
    losses = column(history, "loss")
    assert losses[-1] < 0.5 * losses[0]
    assert column(history, "accuracy")[-1] == 1.0
    assert column(history, "accuracy", "test")[-1] == 1.0


def test_resnet18_learns_bright_from_dark():
    model = build_classifier(Backbone("resnet18"), 2, seed=0)
    _, history = fit(dark_and_bright(24), model=model, epochs=3, learning_rate=0.0005)
    assert column(history, "loss")[-1] < 0.5 * column(history, "loss")[0]


def test_the_settings_reach_the_optimiser():
    model = small_network()
    adam = make_optimizer(model, settings(learning_rate=0.02, weight_decay=0.1))
    assert isinstance(adam, torch.optim.Adam)
    assert (adam.param_groups[0]["lr"], adam.param_groups[0]["weight_decay"]) == (0.02, 0.1)
    sgd = make_optimizer(model, settings(optimizer="sgd", momentum=0.7, weight_decay=0.1))
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.param_groups[0]["momentum"], sgd.param_groups[0]["weight_decay"]) == (0.7, 0.1)
    for optimizer in (adam, sgd):
        assert sum(len(g["params"]) for g in optimizer.param_groups) == len(
            list(model.parameters())
        )


def test_mixed_precision_leaves_the_weights_in_float32():
    model = small_network()
    learner = Learner(model, dark_and_bright(12), settings(epochs=3), IMAGENET, "bfloat16")
    history = train(learner, {}, np.random.default_rng(0))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert np.isfinite(column(history, "loss")).all()
    assert not same(model, fit(dark_and_bright(12), epochs=3)[0])


# --- flips ----------------------------------------------------------------------------------------


def test_flipping_always_is_training_on_mirrored_images():
    part = noise(14)
    mirrored = Pixels(part.pixels.flip(-1), part.labels)
    upside_down = Pixels(part.pixels.flip(-2), part.labels)
    flipped = fit(part, horizontal_flip=1.0)[0]
    assert same(flipped, fit(mirrored, horizontal_flip=0.0)[0])
    assert not same(flipped, fit(part, horizontal_flip=0.0)[0])
    assert not same(flipped, fit(upside_down, horizontal_flip=0.0)[0])


def test_half_of_the_images_are_flipped_each_on_its_own():
    n = 200
    pixels = np.zeros((n, 4, 4), dtype=np.uint8)
    pixels[:, :, 0] = 255  # bright on the left
    left: list[float] = []

    class Sides(Recorder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            left.extend(x[:, 0, 0, 0].tolist())
            return super().forward(x)

    part = Pixels.on(CPU, pixels, np.arange(n) % 2)
    plain = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    learner = Learner(Sides(), part, settings(batch_size=50), plain, "float32")
    train(learner, {}, np.random.default_rng(0))
    assert len(left) == 2 * n
    assert 0.4 < np.mean(left) < 0.6
    assert left[:n] != left[n:]  # drawn anew in each epoch


# --- history --------------------------------------------------------------------------------------


def test_the_history_has_the_contracts_columns_its_clock_and_one_row_a_part_and_evaluation():
    _, history = fit(noise(14), {"validation": noise(4, 1), "test": noise(6, 2)}, epochs=3)
    assert all(set(row) == {*HISTORY.names, *TIMINGS.names} for row in history)
    assert [row["role"] for row in history] == ["train", "validation", "test"] * 3
    assert column(history, "iteration") == [3, 6, 9]
    assert column(history, "epoch", "test") == [1.0, 2.0, 3.0]


def test_evaluation_counts_iterations_and_never_misses_the_end():
    _, history = fit(noise(14), {"test": noise(4, 1)}, epochs=3, evaluate_every=4)
    assert column(history, "iteration") == [4, 8, 9]
    assert column(history, "epoch") == [4 / 3, 8 / 3, 3.0]


def test_the_training_loss_is_the_mean_over_the_images_since_the_last_row():
    # 14 images in batches of 6, 6 and 2: a mean of batches would weigh the last two too much.
    _, single = fit(noise(14), evaluate_every=1, epochs=1)
    _, whole = fit(noise(14), epochs=1)
    for name in ("loss", "accuracy"):
        expected = np.average(column(single, name), weights=[6, 6, 2])
        assert column(whole, name)[0] == pytest.approx(expected, rel=1e-9)


def test_the_training_loss_is_the_cross_entropy_of_the_network_as_it_learns():
    part, model = noise(12), small_network()
    expected = nn.functional.cross_entropy(model(IMAGENET.apply(part.pixels)), part.labels)
    _, history = fit(part, batch_size=12, epochs=1, horizontal_flip=0.0)
    assert column(history, "loss")[0] == pytest.approx(expected.item(), rel=1e-5)


def test_rows_are_handed_out_when_they_are_made():
    given_out: list[dict] = []
    learner = Learner(small_network(), noise(12), settings(), IMAGENET, "float32")
    history = train(learner, {}, np.random.default_rng(0), on_record=given_out.extend)
    assert given_out == history


class Clock:
    """A clock on which only what the test says takes time."""

    now = 50.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(training, "time", clock)
    return clock


class Slow(nn.Module):
    """One second a training step, a hundred an evaluated batch."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.network, self.clock = small_network(), clock

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.clock.now += 1 if self.training else 100
        return self.network(x)


def test_seconds_are_of_training_alone_and_wall_seconds_of_everything(clock):
    _, history = fit(noise(12), {"test": noise(4, 1)}, model=Slow(clock), epochs=3)
    assert column(history, "seconds") == [2, 4, 6]
    assert column(history, "wall_seconds") == [2, 104, 206]


def test_seconds_grow_and_never_exceed_wall_seconds():
    _, history = fit(noise(12), {"test": noise(4, 1)}, epochs=4)
    for name in ("seconds", "wall_seconds"):
        assert all(b > a for a, b in pairwise(column(history, name)))
    assert all(0 < row["seconds"] <= row["wall_seconds"] for row in history)


# --- optimisers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_an_optimiser_has_the_values_of_the_recipe_and_trains_what_is_not_frozen(name, kind):
    recipe = settings(optimizer=name, learning_rate=0.02, weight_decay=0.01, momentum=0.7)
    model = small_network()
    frozen = next(model.parameters()).requires_grad_(False)
    optimizer = make_optimizer(model, recipe)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.01)
    assert group.get("momentum", 0.7) == 0.7
    trained = {id(parameter) for parameter in group["params"]}
    assert trained == {id(p) for p in model.parameters() if p is not frozen}


# --- learning rate --------------------------------------------------------------------------------


def rates(**changes) -> list[float]:
    return column(fit(noise(12), evaluate_every=1, **changes)[1], "learning_rate")


def test_a_constant_rate_stays_as_it_is():
    assert rates() == [0.003] * 4


def test_one_cycle_goes_up_to_the_rate_asked_and_ends_low():
    cycle = rates(schedule="one_cycle", epochs=20)
    top = int(np.argmax(cycle))
    assert max(cycle) == pytest.approx(0.003, rel=0.01)
    assert 0 < top < len(cycle) / 2
    assert all(b > a for a, b in pairwise(cycle[: top + 1]))
    assert all(b < a for a, b in pairwise(cycle[top:]))
    assert cycle[0] < 0.003 / 10
    assert cycle[-1] < 0.003 / 1000


@pytest.mark.parametrize("iterations", [4, 5, 33, 1000])
def test_one_cycle_is_that_of_pytorch(iterations):
    recipe = settings(schedule="one_cycle")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, iterations, cycle_momentum=False
    )
    for iteration in range(iterations):
        assert learning_rate(recipe, iteration, iterations) == optimizer.param_groups[0]["lr"]
        optimizer.step()
        if iteration + 1 < iterations:
            cycle.step()


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_run_too_short_for_a_cycle_keeps_its_rate(epochs):
    assert rates(schedule="one_cycle", epochs=epochs, batch_size=12) == [0.003] * epochs


# --- divergence -----------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_learning_rate():
    with pytest.raises(TrainingError) as caught:
        fit(noise(12), optimizer="sgd", learning_rate=1e30, epochs=3)
    for words in (
        "train.learning_rate",
        "1e+30",
        "became nan",
        "iteration 2 of 6",
        "compute.precision",
    ):
        assert words in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_the_images_of_a_batch_that_breaks_training_are_named():
    class Breaking(nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.steps = small_network(), 0

        def forward(self, x):
            self.steps += 1
            return self.network(x) * (np.nan if self.steps == 2 else 1.0)

    names = [f"X-{k}" for k in range(4)]
    recipe = settings(epochs=1, batch_size=2)
    learner = Learner(Breaking(), noise(4), recipe, IMAGENET, "float32")
    second = np.random.default_rng(0).permutation(4)[2:]
    with pytest.raises(TrainingError, match="iteration 2 of 2") as caught:
        train(learner, {}, np.random.default_rng(0), image_ids=names)
    assert ", ".join(names[k] for k in second) in str(caught.value)


# --- evaluation -----------------------------------------------------------------------------------


def test_evaluation_is_the_mean_over_all_images_whatever_the_batch_size(monkeypatch):
    model, part = small_network(), noise(11)
    with torch.no_grad():
        logits = model.eval()(IMAGENET.apply(part.pixels))
    loss = nn.functional.cross_entropy(logits, part.labels).item()
    accuracy = (logits.argmax(1) == part.labels).double().mean().item()
    for batch_size in (1, 4, 11, 128):
        monkeypatch.setattr(evaluation, "BATCH_SIZE", batch_size)
        measured = evaluate_loss(model, part, IMAGENET, "float32")
        assert measured == pytest.approx((loss, accuracy), abs=1e-6)


def test_evaluation_changes_nothing_and_hands_back_a_model_that_trains():
    model = small_network()
    before = [tensor.clone() for tensor in weights(model)]
    evaluate_loss(model, noise(11), IMAGENET, "float32")
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before, weights(model), strict=True))


# --- normalisation --------------------------------------------------------------------------------


def test_normalisation_is_torchvisions_on_a_grey_image_in_three_channels():
    # Every grey value there is.
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    rgb = pixels[0].numpy()[:, :, None].repeat(3, axis=2)
    expected = normalize(to_tensor(rgb), IMAGENET.mean, IMAGENET.std)
    result = IMAGENET.apply(pixels)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result[0], expected, rtol=0, atol=1e-6)


def test_normalised_images_lie_in_memory_with_the_channel_last():
    result = IMAGENET.apply(noise(5).pixels)
    assert result.shape == (5, 3, SIDE, SIDE)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_normalisation_leaves_pixels_and_their_places_alone():
    pixels = noise(2).pixels
    before = pixels.clone()
    result = IMAGENET.apply(pixels)
    assert torch.equal(pixels, before)
    back = (result[:, 1] * 0.224 + 0.456) * 255
    torch.testing.assert_close(back, pixels.float(), rtol=0, atol=1e-3)


# --- keeping the best, stopping early -------------------------------------------------------------


def rows(*losses: float) -> list[dict]:
    return [
        {"role": role, "iteration": 10 * n, "loss": loss if role == "validation" else 0.0}
        for n, loss in enumerate(losses, start=1)
        for role in ("train", "validation")
    ]


@pytest.mark.parametrize(
    ("losses", "best", "since"),
    [((3.0,), 10, 0), ((3.0, 2.0, 2.5), 20, 1), ((1.0, 1.0, 1.0), 10, 2), ((3.0, 2.0, 1.0), 30, 0)],
)
def test_the_best_iteration_is_the_first_with_the_lowest_validation_loss(losses, best, since):
    assert best_iteration(rows(*losses)) == best
    assert evaluations_since_best(rows(*losses)) == since


def test_the_kept_weights_are_those_of_the_best_evaluation():
    # At this rate the loss on noise swings up and down.
    changes = {"keep": "best_validation", "epochs": 8, "learning_rate": 0.5, "horizontal_flip": 0.0}
    watched = {"validation": noise(6, 1)}
    model, history = fit(noise(14), watched, **changes)
    losses = [row["loss"] for row in history if row["role"] == "validation"]
    assert min(losses) < losses[-1], "the last evaluation is the best: this test shows nothing"
    loss, _ = evaluate_loss(model, watched["validation"], IMAGENET, "float32")
    assert loss == pytest.approx(min(losses), abs=1e-6)


def test_training_stops_when_patience_runs_out():
    changes = {"patience": 2, "epochs": 40, "learning_rate": 0.5}
    _, history = fit(noise(14), {"validation": noise(6, 1)}, **changes)
    losses = [row["loss"] for row in history if row["role"] == "validation"]
    assert len(losses) < 40
    assert int(np.argmin(losses)) == len(losses) - 3


@pytest.mark.parametrize("changes", [{"keep": "best_validation"}, {"patience": 1}])
def test_a_missing_validation_part_is_named(changes):
    with pytest.raises(TrainingError, match="validation part"):
        fit(noise(14), {"test": noise(4)}, **changes)


# --- stopping and going on ------------------------------------------------------------------------

LOG = logging.getLogger("test")


class Interrupting(Checkpoints):
    """Asks the run to stop at its n-th look at the clock."""

    looks_left = 10**9

    def due(self) -> bool:
        self.looks_left -= 1
        self.stop_requested |= self.looks_left == 0
        return super().due()


def checkpoints(path: Path, looks: int = 10**9, fingerprint: str = "this") -> Checkpoints:
    result = Interrupting(path / "checkpoint.safetensors", fingerprint, 3600.0, LOG)
    result.looks_left = looks
    return result


def without_clocks(history) -> list[dict]:
    return [{k: v for k, v in row.items() if "seconds" not in k} for row in history]


RECIPES = [
    {},
    {"optimizer": "sgd", "schedule": "one_cycle"},
    {
        "schedule": "one_cycle",
        "evaluate_every": 2,
        "keep": "best_validation",
        "label_smoothing": 0.1,
    },
    {
        "sampling": "balanced",
        "augment": {"rotation": 10, "shift": 0.1, "contrast": 0.2, "noise": 0.1, "erasing": 0.5},
    },
]


@pytest.mark.parametrize("changes", RECIPES)
@pytest.mark.parametrize("looks", [1, 2, 3, 4, 5, 8])
def test_an_interrupted_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path, changes, looks):
    watched = {"validation": noise(5, 1)}
    changes = {"epochs": 3, **changes}  # 3 steps an epoch
    with torch.random.fork_rng():
        torch.manual_seed(3)  # of noise
        whole, expected = fit(noise(14), watched, **changes)
        torch.manual_seed(3)
        with pytest.raises(TrainingStopped):
            fit(noise(14), watched, checkpoints=checkpoints(tmp_path, looks), **changes)
    # Another generator and other weights: all that counts comes from the file.
    resumed, history = fit(
        *(noise(14), watched, 99, small_network(7)), checkpoints=checkpoints(tmp_path), **changes
    )
    assert same(whole, resumed)
    assert without_clocks(history) == without_clocks(expected)
    assert all(b["seconds"] >= a["seconds"] for a, b in pairwise(history))


@pytest.mark.parametrize("changes", [*RECIPES, {"patience": 1, "learning_rate": 0.5}])
def test_a_run_that_had_ended_is_not_trained_again(tmp_path, changes):
    watched = {"validation": noise(5, 1)}
    changes = {"epochs": 3, **changes}
    whole, expected = fit(noise(14), watched, checkpoints=checkpoints(tmp_path), **changes)

    shown = []
    network = small_network(7)
    network.register_forward_pre_hook(lambda *_: shown.append(1))
    again, history = fit(
        noise(14), watched, 99, network, checkpoints=checkpoints(tmp_path), **changes
    )
    assert not shown, "an image was shown again"
    assert same(whole, again)
    assert history == expected


def test_a_run_whose_parent_has_gone_stops_with_its_state(tmp_path, monkeypatch):
    whole, _ = fit(noise(14))
    with monkeypatch.context() as orphaned, pytest.raises(TrainingStopped):
        orphaned.setattr("os.getppid", lambda: 1)
        fit(noise(14), checkpoints=checkpoints(tmp_path))
    resumed, _ = fit(noise(14), checkpoints=checkpoints(tmp_path))
    assert same(whole, resumed)


def test_a_run_stopped_while_it_is_evaluated_evaluates_again(tmp_path):
    class StoppedInEvaluation(nn.Module):
        def __init__(self, stop):
            super().__init__()
            self.network, self.stop, self.calls = small_network(), stop, 0

        def forward(self, x):
            if not self.training:
                self.calls += 1
                if self.calls == 2:  # after the first of two batches of the second part
                    self.stop.request_stop()
            return self.network(x)

    watched = {"validation": noise(200, 1), "test": noise(4, 2)}
    whole, expected = fit(noise(12), watched)
    stop = checkpoints(tmp_path)
    with pytest.raises(TrainingStopped):
        fit(noise(12), watched, model=StoppedInEvaluation(stop), checkpoints=stop)
    model = StoppedInEvaluation(checkpoints(tmp_path / "unused"))
    _, history = fit(noise(12), watched, 5, model, checkpoints=checkpoints(tmp_path))
    assert same(whole, model.network)
    assert without_clocks(history) == without_clocks(expected)


def test_dropout_goes_on_where_it_stood(tmp_path):
    def network() -> nn.Module:
        return nn.Sequential(small_network()[:-1], nn.Dropout(0.5), nn.Linear(8, 2))

    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = network()
        torch.manual_seed(3)
        second = network()
        torch.manual_seed(5)
        whole, _ = fit(noise(14), model=first)
        torch.manual_seed(5)
        with pytest.raises(TrainingStopped):
            fit(noise(14), model=second, checkpoints=checkpoints(tmp_path, 4))
        torch.manual_seed(6)
        resumed, _ = fit(noise(14), model=network(), checkpoints=checkpoints(tmp_path))
    assert same(whole, resumed)


def stopped(path: Path) -> Path:
    """A checkpoint in the middle of a run."""
    with pytest.raises(TrainingStopped):
        fit(noise(14), checkpoints=checkpoints(path, 3))
    return path / "checkpoint.safetensors"


def test_a_checkpoint_of_another_experiment_is_refused_and_said_so(tmp_path, caplog):
    stopped(tmp_path)
    assert checkpoints(tmp_path).load() is not None
    assert checkpoints(tmp_path, fingerprint="other").load() is None
    assert "another experiment" in caplog.text


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_anywhere_is_noticed(tmp_path, caplog, place):
    file = stopped(tmp_path)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    assert checkpoints(tmp_path).load() is None
    assert "damaged" in caplog.text


def test_a_truncated_checkpoint_is_noticed(tmp_path, caplog):
    file = stopped(tmp_path)
    file.write_bytes(file.read_bytes()[:-100])
    assert checkpoints(tmp_path).load() is None
    assert "damaged" in caplog.text


def test_checkpoints_cost_no_more_than_their_share(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    kept = Checkpoints(tmp_path / "c.safetensors", "this", 60.0, LOG)
    clock.now = 59.0
    assert not kept.due()
    clock.now = 60.0
    assert kept.due()

    class Slow(dict):
        def items(self):
            clock.now += 5.0  # writing takes 5 s
            return super().items()

    kept.save(State(Slow(a=torch.zeros(2)), {}))
    clock.now += 200.0
    assert not kept.due()
    clock.now += 51.0
    assert kept.due()


def test_memory_that_runs_out_names_the_batch_size():
    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = small_network()

        def forward(self, x):
            torch.empty(2**60)
            return self.network(x)

    with pytest.raises(TrainingError, match=r"train\.batch_size 6 at 32 pixels"):
        fit(noise(12), model=Greedy())


def test_an_error_about_a_memory_format_is_not_taken_for_a_lack_of_memory():
    class Misfit(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = small_network()

        def forward(self, x):
            raise RuntimeError("unsupported memory format option")

    with pytest.raises(RuntimeError, match="memory format"):
        fit(noise(12), model=Misfit())


def test_a_good_checkpoint_is_never_replaced_by_one_whose_loss_is_no_number(tmp_path):
    file = stopped(tmp_path)
    before = file.read_bytes()
    learner = Learner(small_network(), noise(14), settings(), IMAGENET, "float32")
    run = training._Loop(learner, {}, np.random.default_rng(0), checkpoints(tmp_path))
    run.at.seen = 6
    learner.loss_sum += torch.nan
    with pytest.raises(TrainingError, match="became nan"):
        run.save()
    assert file.read_bytes() == before


# --- progressive sizes ----------------------------------------------------------------------------


def test_progressive_sizes_train_small_first_and_evaluate_at_full_size():
    sides = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = small_network()

        def forward(self, x):
            sides.append((self.training, x.shape[-1]))
            return self.network(x)

    part = Pixels.on(CPU, np.zeros((6, 80, 80), np.uint8), np.arange(6) % 2)
    changes = {"epochs": 6, "progressive": [0.5, 0.75, 1.0]}
    fit(part, {"test": part}, model=Watching(), **changes)
    assert [side for training, side in sides if training] == [40, 40, 60, 60, 80, 80]
    assert {side for training, side in sides if not training} == {80}


def test_no_size_is_smaller_than_networks_take():
    assert settings(epochs=2, progressive=[0.1, 1.0]).side_in(0, 129) == 32


@pytest.mark.parametrize(("epochs", "sides"), [(1, [100]), (2, [50, 100]), (3, [50, 100, 100])])
def test_the_last_epoch_sees_the_full_size_however_few_there_are(epochs, sides):
    few = settings(epochs=epochs, progressive=[0.5, 1.0])
    assert [few.side_in(epoch, 100) for epoch in range(epochs)] == sides
