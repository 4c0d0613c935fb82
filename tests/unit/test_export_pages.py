"""The pages that go with an exported network: limits first, nothing from data becomes markup."""

import re
from dataclasses import replace

import pandas as pd
import pytest
import yaml

from tests.unit.export_example import (
    CLASSES,
    EVIL,
    example_card,
    example_facts,
    example_page,
)
from workflow_scripts.cxrcam.export.datasheet import Datasheet, datasheet
from workflow_scripts.cxrcam.export.model_card import model_card
from workflow_scripts.cxrcam.markdown import markdown_text
from workflow_scripts.cxrcam.terms import DRAWN


def head_and_body(card: str) -> tuple[dict, str]:
    _, head, body = card.split("---\n", 2)
    return yaml.safe_load(head), body


@pytest.fixture(scope="module")
def card() -> str:
    return model_card(example_page(example_facts(example_card("resnet18"))))


def sheet(kind: str) -> str:
    images = pd.DataFrame(
        {
            **{"image_id": ["a", "b", "c"], "label": [*CLASSES, EVIL], "width": [40, 50, 60]},
            **{"height": [30, 30, 30], "mode": ["L", "L", "RGB"], "group": ["a", "b", "b"]},
            **{"patient": ["p", None, None], "source": [EVIL, EVIL, None], "split": [None] * 3},
            **{"mask_path": [None] * 3, "lesion_mask_path": [None] * 3},
            **{"pixel_sha256": ["3", "1", "2"], "lesion_regions": ["{}", "", None]},
        }
    )
    verdict = {"verdict": f"all images of {EVIL} come from one source"}
    return datasheet(
        Datasheet(
            **{"dataset": EVIL, "kind": kind, "images": images, "n_quarantined": 4},
            pairs=pd.DataFrame({"image_id_a": ["b"], "image_id_b": ["c"]}),
            **{"n_conflicts": 0, "sources": {"two": verdict}},
            acquisition={"two": {"size": verdict}},
            image_settings={"size": 129, "resampling": "bilinear", "blank": "none"},
            tasks={"two": CLASSES},
            **{"n_excluded": 5, "n_relabelled": 6},
        )
    )


def test_lesions_that_a_table_tells_count_as_known():
    assert "the lungs' outline of 0; the lesions' outline of 1;" in sheet("collection")


def test_verdict_and_limits_come_before_any_number(card):
    _, body = head_and_body(card)
    places = [
        body.index(part)
        for part in (
            "Research use only",
            "**75 % right (47–91, n = 12): not proven.**",
            "no recognition of",
            "Failed:",
            "## What it reached",
        )
    ]
    assert places == sorted(places)
    # Of the data, the task and the design, and not of another design.
    assert body.count("- Failed:") == 3 and "elsewhere" not in body
    assert body.count("What to do: Look at them.") == 3
    assert "3 failed, 3 could not be made and 3 passed" in body
    assert "0.750 | 0.470 to 0.910" in body
    assert body.index("border: nothing") < body.index("majority: nothing")  # the best floor first


def test_model_hubs_can_read_the_head(card):
    head, _ = head_and_body(card)
    assert head["license"] == "unknown" and "research-use-only" in head["tags"]
    (result,) = head["model-index"][0]["results"]
    assert result["dataset"]["name"] == EVIL
    (accuracy,) = result["metrics"]
    assert (accuracy["type"], accuracy["value"]) == ("accuracy", 0.75)
    # No headline without interval, n and floor.
    assert (
        "0.470 to 0.910, n = 12" in accuracy["name"] and "border, reaches 0.700" in accuracy["name"]
    )


@pytest.mark.parametrize("page", ["card", "drawn", "folders"])
def test_names_from_data_stay_text(page, card):
    text = {
        "card": lambda: head_and_body(card)[1],
        "drawn": lambda: sheet("phantom"),
        "folders": lambda: sheet("class_folders"),
    }[page]()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "&lt;b>" in prose  # the name is there
    outside_code = re.sub(r"(?<![\\`])`[^`\n]+`(?!`)", "", prose)
    for sign in ("<", r"\]\(", "`"):
        assert not re.search(rf"(?<!\\){sign}", outside_code), sign
    assert not re.search(r"^#+ broken", prose, re.MULTILINE)
    tables = re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE)
    for table in tables:
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(bars) == 1, table


def test_a_network_of_another_design_is_told_from_the_one_that_is_judged():
    facts = example_facts(example_card("resnet18")) | {"scheme": "elsewhere"}
    assert "not for this network, which is of two, elsewhere" in model_card(example_page(facts))


def test_a_network_of_drawn_images_says_so_before_its_number():
    page = replace(example_page(example_facts(example_card("resnet18"))), is_drawn=True)
    body = model_card(page)
    assert body.index(f"{DRAWN[0].lower()}{DRAWN[1:]}") < body.index("Can its number be believed?")


def test_the_card_says_what_the_network_starts_from(card):
    assert "Networks start from random weights. Input:" in card
    facts = example_facts(example_card("resnet18")) | {"weights_origin": "mine.pth sha256:0"}
    assert "The file was mine.pth sha256:0." in model_card(example_page(facts))


def test_a_network_without_exact_maps_says_so():
    assert "There are no maps" in model_card(example_page(example_facts(example_card("vgg19"))))


def test_the_card_says_what_stands_beside_a_map(card):
    assert "plus the bias of its class less the mean of all biases, is the logit" in card
    facts = example_facts(example_card("resnet18"))
    facts["training"] = facts["training"] | {"sub_class_images": {"Normal": [3, 2]}}
    in_parts = model_card(example_page(facts))
    assert "plus a number of the image that is the same at all places" in in_parts
    assert "the bias of its class" not in in_parts
    assert "sub class images" in in_parts


def test_the_card_says_that_probabilities_are_not_those_at_the_shares_of_the_data(card):
    def trained(**settings: object) -> str:
        facts = example_facts(example_card("resnet18"))
        return model_card(example_page(facts | {"training": facts["training"] | settings}))

    assert "other shares of the classes" not in card
    weighted = trained(class_weights="balanced", weights_in_loss={"Normal": 0.5})
    assert "trained with class weights: its probabilities are those at other shares" in weighted
    assert "divide the softmax of the logits by the weights in loss below" in weighted
    assert "- weights in loss: " in weighted
    balanced = trained(sampling="balanced")
    assert "trained with as many images of each class: its probabilities" in balanced
    assert "multiply the softmax of the logits by the training images of each class" in balanced


def test_the_sheet_counts_what_is_there():
    text = sheet("class_folders")
    assert "3 chest X-rays" in text and "the patient of 1" in text and "40 × 30 to 60 × 30" in text
    assert "2 images have an exact or near copy, in 1 pairs" in text
    assert "4 images could not be read" in text
    assert "A reader left out 5 images and gave 6 another label" in text


def test_what_the_workflow_cannot_know_says_who_must_write_it():
    of_folders, of_drawn = sheet("class_folders"), sheet("phantom")
    consent = of_folders[of_folders.index("consent") :]
    assert "*Not known: to be written by the hospitals" in consent[:150]
    # Of drawn images all is known but how they are given to others.
    assert of_folders.count("Not known") > 10 > of_drawn.count("Not known") > 2
    assert "drawn by a program" in of_drawn


@pytest.mark.parametrize("text", ["`<b>``", "``<b>`", "a`<b>", "`a``<b>`"])
def test_unbalanced_backticks_open_no_way_for_html(text):
    escaped = markdown_text(text)
    assert "&lt;b>" in escaped and not re.search(r"(?<!\\)`", escaped)
