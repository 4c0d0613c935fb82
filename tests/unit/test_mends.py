"""Mends: an overlay that the configuration accepts, whose every change names what it answers."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow.small_project import merged
from workflow_scripts.cxrcam.configuration.mend_names import (
    BALANCE_SOURCES,
    BLANK_CORNERS,
    LOOK_AT_IMAGES,
    LUNGS_ONLY,
    MENDS,
    WITHOUT_TWINS,
)
from workflow_scripts.cxrcam.configuration.mends import Mended, mended, overlay_text
from workflow_scripts.cxrcam.configuration.resolution import (
    load_schema,
    refuse_unclear_yaml,
    resolve_configuration,
)
from workflow_scripts.cxrcam.verdict.checks.labels_of_copies import conflicting_images
from workflow_scripts.cxrcam.verdict.cost import cost_table

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "schemas/config.schema.yaml")
HEADLINE = {"task": "two_class", "scheme": "holdout"}
IMAGES = [
    {"label": label, "source": source, "mask_path": "mask.png"}
    for label in ("Normal", "COVID")
    for source in ("north", "south")
]
GIVEN = {
    "dataset": "mine",
    "datasets": {
        "mine": {"kind": "manifest", "path": "data/mine.csv"},
        "other": {"kind": "class_folders", "root": "data/other"},
    },
    "tasks": {"two_class": {"classes": ["Normal", "COVID"]}},
    "schemes": {
        "holdout": {"kind": "holdout", "grouped": False, "train": {"epochs": 3}},
        "published": {"kind": "predefined"},
        "sgd": {
            "kind": "same_splits",
            "of": "holdout",
            "seeds": [4],
            "train": {"optimizer": "sgd"},
        },
    },
}


def failed(mend: str, subject: str = "two_class, holdout", name: str = "a check") -> dict[str, str]:
    return {
        "name": name,
        "subject": subject,
        "status": "failed",
        "mend": mend,
        "advice": "Do what must be done.",
    }


def mends_of(*checks: dict[str, str], images=IMAGES, **changes: object) -> Mended:
    config = resolve_configuration(merged(GIVEN, changes), SCHEMA)
    return mended(config, checks, HEADLINE, images)


def accepted(result: Mended, tmp_path: Path, **changes: object) -> dict:
    """The configuration of the second study, from the file that the first one wrote."""
    file = tmp_path / "mended.yaml"
    file.write_text(overlay_text(result), encoding="utf-8")
    refuse_unclear_yaml(file)
    overlay = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert overlay == result.overlay
    return resolve_configuration(merged(merged(GIVEN, changes), overlay), SCHEMA)


@pytest.mark.parametrize("mend", [name for name in MENDS if name != LOOK_AT_IMAGES])
def test_every_mend_is_an_overlay_of_its_own_name_that_the_schema_accepts(mend, tmp_path):
    subject = "two_class" if mend == BALANCE_SOURCES else "two_class, holdout"
    result = mends_of(failed(mend, subject, name="a named check"))
    config = accepted(result, tmp_path)
    assert (config["dataset"], config["compare_with"]) == ("mine_mended", "mine")
    assert config["datasets"]["mine_mended"] == config["datasets"]["mine"]
    assert f"# {MENDS[mend]}: a named check" in overlay_text(result)
    assert result.left == []


def test_blanked_corners_are_of_external_images_too_and_leave_those_of_the_first_study(tmp_path):
    result = mends_of(failed(BLANK_CORNERS), external=["other"])
    config = accepted(result, tmp_path, external=["other"])
    assert config["image"]["blank"] == "corners"
    assert config["external"] == ["other_mended"]
    assert config["datasets"]["other_mended"] == config["datasets"]["other"]
    # Nothing of external images changes without: they are not decoded again.
    assert "external" not in mends_of(failed(WITHOUT_TWINS), external=["other"]).overlay


@pytest.mark.parametrize("scheme", ["holdout", "sgd"])
def test_twins_are_kept_together_in_the_division_itself(scheme, tmp_path):
    config = accepted(mends_of(failed(WITHOUT_TWINS, f"two_class, {scheme}")), tmp_path)
    assert config["schemes"]["holdout"]["grouped"] is True
    assert config["schemes"]["holdout"]["train"] == {"epochs": 3}


def test_a_published_division_is_left_to_the_reader():
    result = mends_of(failed(WITHOUT_TWINS, "two_class, published"))
    assert result.overlay == {} and "published division" in result.left[0]


def test_lungs_are_kept_by_one_more_scheme_with_the_recipe_of_the_first(tmp_path):
    config = accepted(mends_of(failed(LUNGS_ONLY, "two_class, sgd")), tmp_path)
    added = config["schemes"]["sgd_lungs_only"]
    assert (added["of"], added["input"]) == ("holdout", "lungs_only")
    assert (added["seeds"], added["train"]) == ([4], {"optimizer": "sgd"})


def test_a_check_of_a_task_is_mended_for_the_scheme_that_is_judged():
    assert "holdout_lungs_only" in mends_of(failed(LUNGS_ONLY, "two_class")).overlay["schemes"]


def test_lungs_wait_until_black_corners_have_been_tried():
    result = mends_of(failed(LUNGS_ONLY), failed(BLANK_CORNERS))
    assert result.overlay["image"] == {"blank": "corners"} and "schemes" not in result.overlay
    assert result.left == [
        "a check: see first what black corners change; then: Do what must be done."
    ]


def test_without_all_masks_lungs_cannot_be_kept():
    images = [*IMAGES, {**IMAGES[0], "mask_path": None}]
    result = mends_of(failed(LUNGS_ONLY), images=images)
    assert result.overlay == {}
    assert "1 of 5 images have no lung mask" in result.left[0]


def test_sources_are_balanced_for_the_task_that_fails(tmp_path):
    config = accepted(mends_of(failed(BALANCE_SOURCES, "two_class")), tmp_path)
    assert config["tasks"]["two_class"]["train"] == {"sampling": "balanced_within_sources"}


def test_a_source_without_a_class_cannot_be_balanced_and_is_named():
    images = [image for image in IMAGES if (image["label"], image["source"]) != ("COVID", "south")]
    result = mends_of(failed(BALANCE_SOURCES, "two_class"), images=images)
    assert result.overlay == {} and "the source south has not every class" in result.left[0]


def test_what_only_a_reader_can_decide_is_never_done():
    checks = [failed(LOOK_AT_IMAGES, "", "suspect images"), failed("", "", "external data")]
    result = mends_of(*checks, {**failed(BLANK_CORNERS), "status": "passed"})
    assert result.overlay == {}
    assert result.left == [
        "suspect images: Do what must be done.",
        "external data: Do what must be done.",
    ]
    text = overlay_text(result)
    assert yaml.safe_load(text) == {} and "# - external data: Do what" in text


def test_both_images_of_a_pair_with_two_labels_are_to_be_looked_at():
    images = pd.DataFrame({"label": ["A", "B", "A"]}, index=["one", "two", "three"])
    pairs = pd.DataFrame(
        {
            "image_id_a": ["one", "one"],
            "image_id_b": ["two", "three"],
            "kind": ["exact", "exact"],
        }
    )
    found = conflicting_images(pairs, images)
    assert found["image_id"].tolist() == ["one", "two"]
    assert found["why"].tolist() == [
        "its copy two is labelled B",
        "its copy one is labelled A",
    ]


def test_the_cost_stands_study_by_study_with_what_failed():
    def study(name: str, accuracy: float, status: str, external: float | None) -> dict:
        runs = {
            **{"task": ["t"] * 2, "scheme": ["s"] * 2, "fold": [1, 2], "n": [100, 100]},
            **{"accuracy": [accuracy] * 2, "best_floor": ["corners"] * 2},
            **{"best_floor_accuracy": [0.6] * 2, "gap": [accuracy - 0.6] * 2},
            **{"gap_low": [accuracy - 0.7] * 2, "gap_high": [accuracy - 0.5] * 2},
        }
        elsewhere = {"task": ["t"], "scheme": ["s"], "data_set": ["x"], "n": [50]}
        check = {"name": "floors", "status": status, "subject": "t"}
        other = {"name": "calibration", "status": "failed", "subject": "t, another"}
        return {
            "data_set": name,
            "metrics": pd.DataFrame(runs),
            "verdict": {
                "headline": {"task": "t", "scheme": "s"},
                "answer": "No.",
                "checks": [check, other],
            },
            "external": external and pd.DataFrame({**elsewhere, "accuracy": [external]}),
        }

    table = cost_table([study("a", 0.9, "failed", None), study("a_mended", 0.8, "passed", 0.7)])
    assert table["data_set"].tolist() == ["a", "a_mended"]
    assert table["accuracy"].tolist() == [0.9, 0.8] and table["n"].tolist() == [200, 200]
    assert table["gap"].round(6).tolist() == [0.3, 0.2]
    assert table["failed_checks"].tolist() == [1, 0] and table["failed"].tolist() == ["floors", ""]
    assert table["external_accuracy"].isna().tolist() == [True, False]
    assert table["external_accuracy"][1] == pytest.approx(0.7)
