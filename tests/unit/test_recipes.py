"""What `auto` means: the recipe of the weights a network starts from; values of the user win."""

import pytest

from workflow_scripts.cxrcam.configuration.recipes import possible_starts, used_recipes, with_recipe

MODEL = {
    **{"architecture": "resnet18", "weights": "auto"},
    **{"last_stage": "auto", "map_stride": "auto", "input_size": "auto"},
}
TRAIN = {
    **{"epochs": "auto", "batch_size": "auto", "learning_rate": "auto", "progressive": "auto"},
    "optimizer": "adam",
}
RECIPE = {
    **{"last_stage": 3, "map_stride": 8, "input_size": 97},
    **{"epochs": 4, "least_steps": 100, "batch_size": 16, "learning_rate": 0.001},
    "progressive": [0.5, 1.0],
}


def test_auto_takes_the_values_of_the_recipe():
    model, train = with_recipe(MODEL, TRAIN, RECIPE, n_images=16_000)
    assert model == {**MODEL, "last_stage": 3, "map_stride": 8, "input_size": 97}
    assert train == {
        **{"epochs": 4, "batch_size": 16, "learning_rate": 0.001, "progressive": [0.5, 1.0]},
        "optimizer": "adam",
    }


def test_values_of_the_user_win():
    own_model = {**MODEL, "last_stage": None, "map_stride": None, "input_size": 224}
    own_train = {**TRAIN, "epochs": 1, "batch_size": 8, "learning_rate": 0.1, "progressive": []}
    assert with_recipe(own_model, own_train, RECIPE, n_images=10) == (own_model, own_train)


def test_frozen_layers_are_computed_at_one_side():
    frozen = {**TRAIN, "freeze_until": "layer3"}
    assert with_recipe(MODEL, frozen, RECIPE, 100)[1]["progressive"] == []
    assert with_recipe(MODEL, {**TRAIN, "freeze_until": None}, RECIPE, 100)[1]["progressive"]


@pytest.mark.parametrize(
    ("n_images", "epochs"),
    [(16_000, 4), (400, 4), (385, 4), (384, 5), (160, 10), (32, 50), (3, 100)],
)
def test_few_images_are_seen_more_often(n_images, epochs):
    assert with_recipe(MODEL, TRAIN, RECIPE, n_images)[1]["epochs"] == epochs


def test_steps_are_counted_in_the_batches_that_are_used():
    assert with_recipe(MODEL, {**TRAIN, "batch_size": 4}, RECIPE, 160)[1]["epochs"] == 4


@pytest.mark.parametrize(
    ("architecture", "last_stage", "stride"),
    [
        ("resnet18", 3, 8),
        ("resnet18", None, 8),
        ("densenet121", None, 16),  # its pools cannot be dilated
        ("inception_v3", 3, 16),
        ("inception_v3", None, 32),
        ("resnet18", 2, 8),
        ("resnet18", 1, 4),
    ],
)
def test_a_network_that_cannot_have_the_stride_of_the_recipe_gets_the_next_coarser_one(
    architecture, last_stage, stride
):
    model = {**MODEL, "architecture": architecture, "last_stage": last_stage}
    assert with_recipe(model, TRAIN, RECIPE, 100)[0]["map_stride"] == stride


@pytest.mark.parametrize(
    ("weights", "starts"),
    [
        ("random", ("random",)),
        ("imagenet", ("pretrained",)),
        ("some.pth", ("pretrained",)),
        ("auto", ("pretrained", "random")),
    ],
)
def test_only_auto_may_start_in_two_ways(weights, starts):
    assert possible_starts({**MODEL, "weights": weights}) == starts


def test_a_network_without_published_weights_starts_in_one_way():
    model = {**MODEL, "architecture": "covid_caps"}
    starts = [possible_starts({**model, "weights": w}) for w in ("auto", "random", "some.pth")]
    assert starts == [("random",), ("random",), ("pretrained",)]


def test_a_network_that_can_only_be_whole_stays_so_whatever_the_recipe_says():
    model = {**MODEL, "architecture": "covid_caps"}
    assert with_recipe(model, TRAIN, {**RECIPE, "last_stage": 2}, 100)[0]["last_stage"] is None
    own = with_recipe({**model, "last_stage": 2}, TRAIN, RECIPE, 100)[0]
    assert own["last_stage"] == 2, "refused elsewhere, not silently changed"


def test_only_what_is_auto_can_make_a_model_stale():
    recipes = {"pretrained": RECIPE, "random": {**RECIPE, "epochs": 9}}
    own = {**TRAIN, "epochs": 3, "batch_size": 4, "progressive": []}
    used = used_recipes({**MODEL, "weights": "random", "last_stage": 2}, own, recipes)
    assert used == {"random": {"map_stride": 8, "input_size": 97, "learning_rate": 0.001}}
    both = used_recipes(MODEL, TRAIN, recipes)
    assert both == recipes
    assert with_recipe(MODEL, TRAIN, both["random"], 10) == with_recipe(
        MODEL, TRAIN, recipes["random"], 10
    )
