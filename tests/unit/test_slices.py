"""Slices: a planted one is found, few where there are none; numbers, words, page and check."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.slices import data_set, share_found
from tests.unit.audit_tables_example import one
from workflow_scripts.cxrcam.audit import slices
from workflow_scripts.cxrcam.audit.slice_traits import common_traits
from workflow_scripts.cxrcam.audit.slices import COLUMNS, LEVEL, MOST_NAMED, Answered, slice_table
from workflow_scripts.cxrcam.report.audit_pages.slices import render_slices, slices_in_words
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import slices as check

N = 400
EVIL = "<script>alert('x')</script>"


def answered(kind: str, n: int = N, seed: int = 0, copies: int = 1) -> Answered:
    """A network of two classes, each with features as `data_set` draws them."""
    rng = np.random.default_rng(seed)
    of_class = [data_set(kind, n, rng) for _ in range(2)]
    features = np.repeat(np.concatenate([one[0] for one in of_class]), copies, axis=0)
    scores = np.concatenate([of_class[0][1][:, ::-1], of_class[1][1]]).repeat(copies, axis=0)
    names = np.array(["Normal", "COVID"])
    called, label = names[scores.argmax(axis=1)], names.repeat(n * copies)
    numbers = np.arange(len(label))
    images = pd.DataFrame(
        {"image_id": [f"{k:05d}" for k in numbers], "label": label, "predicted": called}
        | {"group": [f"g{k // copies}" for k in numbers], "correct": called == label}
    )
    return Answered(1, 7, images, scores, features)


def test_where_there_is_no_slice_few_are_found():
    for kind in ("gaussian", "rectified"):
        assert share_found(kind, 150, 100) <= LEVEL * 100


def test_without_its_precautions_the_search_would_find_many(monkeypatch):
    monkeypatch.setattr(slices, "_without_scores", lambda features, *_: features)
    monkeypatch.setattr(slices, "LEAST_ODDS", 1.0)
    assert share_found("rectified", 400, 20) > 10


def test_a_planted_slice_is_found_on_images_that_had_no_part_in_choosing_it():
    run = answered("planted")
    table, members = slice_table([run])
    assert list(table.columns) == list(COLUMNS) and table["label"].tolist() == ["COVID", "Normal"]
    assert table["is_found"].all() and (table["corrected_p"] >= table["p"]).all()
    row, images = table.iloc[0], members[0]
    assert row["n"] + row["n_rest"] == images["is_tested"].sum() == pytest.approx(N / 2, abs=1)
    tested = images[images["is_tested"] & images["is_member"]]
    assert row["n_mistakes"] == (~tested["correct"]).sum() and row["n"] == len(tested)
    assert row["low"] < row["accuracy"] == tested["correct"].mean() < row["rest_accuracy"]
    named = row["image_ids"].split(" | ")
    assert len(named) == MOST_NAMED and set(named) <= set(tested["image_id"])
    assert not images.set_index("image_id").loc[named, "correct"].any(), "mistakes come first"


def test_the_same_images_give_the_same_slices_in_whatever_order():
    run = answered("planted")
    order = np.random.default_rng(1).permutation(len(run.images))
    mixed = replace(
        run,
        images=run.images.iloc[order].reset_index(drop=True),
        scores=run.scores[order],
        features=run.features[order],
    )
    first, again = (slice_table([asked])[0] for asked in (run, mixed))
    pd.testing.assert_frame_equal(first, again)


def test_images_of_one_patient_count_once():
    table, members = slice_table([answered("planted", copies=3)])
    alone, _ = slice_table([answered("planted")])
    assert members[0]["group"].is_unique and len(members[0]) == N
    assert table["n"].add(table["n_rest"]).tolist() == alone["n"].add(alone["n_rest"]).tolist()


def test_p_values_are_corrected_over_classes_and_networks():
    run = answered("planted")
    few, _ = slice_table([run])
    none = [replace(answered("gaussian", seed=k), fold=k) for k in (2, 3, 4)]
    many, _ = slice_table([run, *none])
    assert len(many) == 8 and (many["corrected_p"][:2] > few["corrected_p"]).all()


@pytest.mark.parametrize(
    ("n", "wrong", "width", "reason"),
    [
        (39, 10, 5, "fewer than 40 test images (patients)"),
        (1, 0, 5, "fewer than 40 test images (patients)"),
        (100, 7, 5, "fewer than 8 mistakes"),
        (100, 81, 5, "fewer than 20 right answers"),
        (100, 20, 0, "no numbers before the last layer of this network"),
        (100, 20, 1, "all images are alike to this network"),
        (40, 10, 5, "no group has 10 images in each half"),
    ],
)
def test_too_little_to_look_at_is_said(n, wrong, width, reason):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, width))
    if reason.startswith("all images"):
        features[:] = 1
    if reason.startswith("no group"):
        features[:] = 1e-3 * features
        features[0] = features[1] = 1e3  # a group of two, and one of all others
    scores = rng.normal(size=(n, 2))
    assert slices.worst_slice(features, scores, np.arange(n) < wrong, rng) == reason


# --- words ----------------------------------------------------------------------------------------


def test_what_a_slice_has_in_common_is_told_the_largest_difference_first():
    is_member = np.arange(100) < 20
    measured = {
        "brightness": np.where(is_member, 10.0, 50.0) + np.arange(100) / 100,
        "contrast": np.resize([1.0, 2.0], 100),
    }
    known = pd.DataFrame({"source": np.where(is_member, "north", "south"), "view": "PA"})
    known.loc[[0, 1, 2, 3, 4], "source"] = "south"
    words = common_traits(is_member, measured, known)
    assert words == (
        "source north (75% of them, 0% of the rest), "
        "darker than most (100% of them, 38% of the rest)"
    )
    assert common_traits(np.arange(100) % 2 == 0, {}, known[["view"]]) == ""


def found_table(**changes):
    table, members = slice_table([answered("planted")])
    table["traits"] = f"source {EVIL} (75% of them, 0% of the rest)"
    return table.assign(task="t", scheme="s", **changes), members


def page_of(table, members):
    shown = {k: slices.named_images(members[k]) for k in np.flatnonzero(table["is_found"])}
    grey = np.zeros((9, 9), np.uint8)
    pictures = {name: grey for images in shown.values() for name in images["image_id"]}
    runs = [{"task": "t", "scheme": "s", "fold": 1, "seed": 7}]
    return render_slices(table, shown, pictures, dataset=EVIL, is_drawn=False, runs=runs)


def test_the_page_shows_the_images_of_each_slice_found():
    page = page_of(*found_table())
    assert page.count("data:image/jpeg;base64,") == 2 * MOST_NAMED
    assert EVIL not in page and "called Normal" in page and "75% of them" in page
    assert "2 groups of images that lie together" in page
    none, members = slice_table([answered("gaussian", n=60), answered("gaussian", n=30)])
    assert not none["is_found"].any()
    page = page_of(none, members)
    assert "data:image" not in page and "No group of images was found" in page
    assert "fewer than 40 test images" in page


def test_nothing_to_look_at_is_said_in_words():
    assert "of findings nothing says" in slices_in_words(None)
    assert "No class has enough" in slices_in_words(slice_table([answered("gaussian", n=30)])[0])


# --- the check ------------------------------------------------------------------------------------


def judged(table):
    return one(check.judge(AuditTables(slices=table)))


def test_a_slice_fails_with_its_size_its_mistakes_and_where_the_pictures_are():
    table, _ = found_table()
    failed = judged(table)
    assert (failed.status, failed.about, failed.subject) == ("failed", "limits", "t, s")
    worst = table.sort_values("corrected_p").iloc[0]
    words = f"wrong on {worst['n_mistakes']} of {worst['n']} images of {worst['label']}"
    assert words in failed.clause and "1 more" in failed.finding
    assert "audit/slices.html" in failed.why


def searched(n, n_mistakes, n_rest, rest_accuracy, **changes):
    row = {"fold": 1, "label": "COVID", "n": n, "n_mistakes": n_mistakes, "corrected_p": 0.5}
    row |= {"reason": "", "n_rest": n_rest, "rest_accuracy": rest_accuracy, "is_found": False}
    return pd.DataFrame([row | changes]).assign(task="t", scheme="s")


def test_none_found_passes_only_where_a_large_gap_is_ruled_out():
    assert judged(searched(200, 10, 800, 0.95)).status == "passed"
    few = judged(searched(10, 1, 40, 0.95))
    assert few.status == "not assessable" and "not ruled out" in few.why
    table = searched(200, 10, 800, 0.95)
    unsearched = searched(None, None, None, None, label="Normal", reason="fewer than 8 mistakes")
    both = judged(pd.concat([table, unsearched], ignore_index=True))
    assert both.status == "not assessable"
    assert both.why == "Normal cannot be searched: fewer than 8 mistakes"
    assert both.finding == "no group found in 1 of 2 classes"
    assert judged(unsearched).finding == "-"


def test_without_a_table_or_classes_the_check_is_not_assessable():
    assert one(check.judge(AuditTables())).status == "not assessable"
    assert judged(pd.DataFrame(columns=[*COLUMNS, "task", "scheme"])).status == "not assessable"
