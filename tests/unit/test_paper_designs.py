"""Which scheme plays which part in the paper."""

from pathlib import Path

import pytest
import yaml

from workflow_scripts.cxrcam.configuration.resolution import load_schema, resolve_configuration
from workflow_scripts.cxrcam.paper.designs import describe_design, find_designs, is_honest

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "schemas/config.schema.yaml")


def merged(base, changes):
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def preset(*names):
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for name in names:
        overlay = yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text(encoding="utf-8"))
        config = merged(config, overlay)
    return resolve_configuration(config, SCHEMA)


def test_the_papers_preset_has_all_of_the_papers_designs():
    designs = find_designs(preset("paper"))
    assert (designs.complete, designs.subsample) == ("holdout", "random_subsample")
    assert (designs.kfold, designs.honest) == ("stratified_kfold", "honest")
    assert set(designs.recipes) == {"holdout_sgd", "random_subsample_sgd"}


def test_the_papers_preset_is_the_paper_to_the_letter():
    config = preset("paper")
    train = config["train"]
    assert (train["batch_size"], train["epochs"], train["learning_rate"]) == (6, 20, 1e-5)
    assert (train["optimizer"], train["schedule"]) == ("adam", "constant")
    # What the demo does for speed must not leak into the paper.
    assert (train["progressive"], train["label_smoothing"], train["freeze_until"]) == ([], 0, None)
    sgd = config["schemes"]["holdout_sgd"]["train"]
    assert (sgd["optimizer"], sgd["momentum"]) == ("sgd", 0.1)
    sub = config["schemes"]["random_subsample"]
    assert (sub["repeats"], sub["images_per_class"], sub["test_fraction"]) == (3, 300, 0.1)
    assert config["schemes"]["random_subsample_450"]["images_per_class"] == 450
    assert config["schemes"]["stratified_kfold"]["folds"] == 3
    assert config["image"]["size"] == 224 and config["model"]["weights"] == "imagenet"
    for name in ("holdout", "random_subsample", "stratified_kfold"):
        assert not config["schemes"][name]["grouped"]
    for name in config["schemes"]:
        own = config["schemes"][name]["train"]
        assert own.get("epochs", 20) == 20 and own.get("batch_size", 6) == 6, name


def test_the_honest_scheme_beside_the_paper_is_the_house_default():
    beside, alone = preset("paper")["schemes"]["honest"], preset("honest")["schemes"]["honest"]
    assert beside == alone
    assert is_honest(preset("paper"), "honest") and is_honest(preset("honest"), "honest")
    assert preset("honest")["train"]["watch"] == ["validation"]
    assert not is_honest(preset("paper"), "holdout")


@pytest.mark.parametrize("overlay", ["paper-demo", "paper-laptop", "networks"])
def test_overlays_on_the_paper_keep_its_designs(overlay):
    whole, little = preset("paper"), preset("paper", overlay)
    assert set(whole["schemes"]) <= set(little["schemes"])
    assert find_designs(little) == find_designs(whole)


def test_one_reading_leaves_schemes_and_seeds_out_and_changes_nothing_else():
    whole, one = preset("paper"), preset("paper", "paper-one-reading")
    kept = {name: scheme for name, scheme in one["schemes"].items() if scheme}
    seeds = {name: scheme.pop("seeds", []) or one["seeds"] for name, scheme in kept.items()}
    assert seeds.pop("holdout") == whole["seeds"] == [0, 1, 2]
    assert seeds == {"random_subsample": [0], "honest": [0], "honest_cut": [0]}
    for name, scheme in kept.items():
        assert scheme == {k: v for k, v in whole["schemes"][name].items() if k != "seeds"}
    assert one["train"] == whole["train"] and one["image"] == whole["image"]
    assert one["model"] == whole["model"]


def test_networks_trained_on_covered_images_play_no_part_in_the_paper():
    whole, covered = preset("paper"), preset("paper", "masked")
    added = set(covered["schemes"]) - set(whole["schemes"])
    assert {covered["schemes"][name]["input"] for name in added} == {
        *("lungs_out", "lungs_only", "centre_black", "border_only")
    }
    assert find_designs(covered) == find_designs(whole)
    assert "covered images (border_only)" in describe_design(covered, "two_class", "border_only")
    border = {**covered["schemes"]["border_only"], "of": "honest"}
    border["train"] = covered["schemes"]["honest"]["train"]
    covered["schemes"] = {"border_only": border, "honest": covered["schemes"]["honest"]}
    assert is_honest(covered, "honest") and not is_honest(covered, "border_only")


def test_eight_networks_are_compared():
    config = preset("paper", "networks")
    named = {s["model"].get("architecture", "resnet18") for s in config["schemes"].values()}
    assert len(named) == 8


def test_a_design_is_described_in_one_line():
    text = describe_design(preset("paper"), "two_class", "holdout_sgd")
    assert "as holdout" in text and "sgd, learning rate 1e-05, batch 6" in text
    assert "not grouped" in text and "no validation part" in text
    assert "sub-classes" not in text
    config = preset("paper")
    config["schemes"]["holdout_sgd"]["model"]["decompose"] = 2
    assert (
        describe_design(config, "two_class", "holdout_sgd")
        == f"{text}; each class as 2 sub-classes"
    )
    config = preset("paper")
    config["schemes"]["holdout_sgd"]["train"] |= {"class_weights": "balanced"}
    config["train"]["augment"] |= {"rotation": 10.0, "shift": 0.05}
    changed = f"{text}; trained with class weights; augmented: rotation 10, shift 0.05"
    assert describe_design(config, "two_class", "holdout_sgd") == changed
