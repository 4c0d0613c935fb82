"""All tests of one network's maps: which images, that a flip is undone, and the untrained twin."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.map_tests import explanation_tests as module
from workflow_scripts.cxrcam.map_tests.explanation_tests import (
    drawn_images,
    explanation_tests,
    explanation_tests_of_run,
    surest_images,
)
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.seeds import integer_seed, seed_sequence

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RUN = ("two", "once", "1")
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16), dtype=np.uint8)


def results_of(maps_of):
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    return explanation_tests(
        model,
        model,
        lambda pixels: np.full((len(pixels), 2), 0.5, dtype=np.float32),
        lambda network, pixels, classes: RawMaps(maps_of(pixels), 16, 1.0, 0.0),
        PIXELS,
        np.arange(4),
        np.random.default_rng(0),
        np.random.SeedSequence(0),
    )


def test_maps_that_turn_with_the_image_are_alike_and_others_are_not():
    turning = results_of(lambda pixels: pixels[:, None].astype(np.float32))
    assert turning["flip"]["ssim"]["mean"] == pytest.approx(1.0)
    fixed = results_of(lambda pixels: PIXELS[:, None].astype(np.float32))
    assert fixed["flip"]["ssim"]["mean"] < 0.9


def test_the_result_has_every_test():
    result = results_of(lambda pixels: pixels[:, None].astype(np.float32))
    assert result["n"] == 4
    assert [row["block"] for row in result["randomisation"]] == ["2", "1", "0", "floor"]
    assert len(result["faithfulness"]) == 12


def test_the_surest_image_of_a_class_is_a_right_one_where_there_is_any():
    records = pd.DataFrame(
        {
            "image_id": ["1", "2", "3", "4", "5", "6"],
            "label": ["a", "a", "a", "b", "b", "c"],
            "correct": [False, True, True, False, False, True],
            "probability": [0.99, 0.7, 0.8, 0.6, 0.9, 0.5],
        }
    )
    assert surest_images(records).set_index("label")["image_id"].to_dict() == {
        **{"a": "3", "b": "5", "c": "6"}
    }


def test_images_are_drawn_once_each_and_in_order():
    drawn = drawn_images(20, 8, np.random.default_rng(0))
    assert len(drawn) == 8 and (np.diff(drawn) > 0).all()
    assert drawn_images(5, 8, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]


def test_the_network_of_a_run_is_tested_beside_its_untrained_twin(monkeypatch):
    card = ModelCard(
        *(["a", "b"], "resnet18", 64, [0.4] * 3, [0.2] * 3, "random", "", "", {}), input_size=96
    )
    network = build_classifier(card.backbone, 2, 7).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64)).astype(np.uint8)
    rng, groups, given = np.random.default_rng(0), np.arange(2), {}

    def tests(model, untrained, probabilities_of, maps_of, *others):
        given.update(model=model, untrained=untrained, maps_of=maps_of, others=others)
        given["probabilities"] = probabilities_of(pixels)
        return {"n": 2}

    monkeypatch.setattr(module, "explanation_tests", tests)
    arguments = (pixels, groups, rng, RUN, 3, torch.device("cpu"))
    assert explanation_tests_of_run(network, card, len, *arguments) == {"n": 2}
    assert given["model"] is network and given["maps_of"] is len
    twin = build_classifier(card.backbone, 2, integer_seed(3, "randomisation", *RUN))
    assert torch.equal(given["untrained"].conv1.weight, twin.conv1.weight)
    assert given["others"][:3] == (pixels, groups, rng)
    expected = seed_sequence(3, "explanation intervals", *RUN)
    assert given["others"][3].entropy == expected.entropy
    said = predict_as_trained(network, card, pixels, torch.device("cpu")).probabilities
    np.testing.assert_array_equal(given["probabilities"], said)
