"""What is said of a new image: never a class alone, and nothing where nothing can be said."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.unit.answers_example import CLASSES, SENTENCE, alike, facts, page, pairs, reference
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.new_images.answers import (
    ABSTAIN,
    ONLY_DRAWN,
    answers,
    apart_by_quarantine,
    member_probabilities,
    sets_of,
)
from workflow_scripts.cxrcam.new_images.copies import closest_copies, with_copies
from workflow_scripts.cxrcam.new_images.decoding import decoded_batches
from workflow_scripts.cxrcam.new_images.ensemble import members_table
from workflow_scripts.cxrcam.new_images.listing import NewImage
from workflow_scripts.cxrcam.new_images.reference import (
    Member,
    calibration_part,
    calibration_scores,
    compared_with_training,
    fold_probabilities,
    is_enough,
    mean_heat_scale,
    measured_on_test,
    probabilities_of_folds,
    read_reference,
    training_images,
    write_reference,
)
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings
from workflow_scripts.cxrcam.report.answers.page import how_it_was_measured, said_of
from workflow_scripts.cxrcam.report.templating import NOTICE
from workflow_scripts.cxrcam.terms import DRAWN


def one(sets: list[bool], **changes: object) -> dict[str, object]:
    """The answer for one image."""
    probabilities = np.array([[[0.1, 0.9]], [[0.3, 0.7]]])
    like = changes.pop("found", alike(1))
    known = changes.pop("known", reference())
    return (
        answers(facts(1, **changes), probabilities, np.array([sets]), like, known).iloc[0].to_dict()
    )


def test_an_answer_has_its_probability_spread_set_and_coverage() -> None:
    row = one([False, True])
    assert row["answer"] == row["set"] == "COVID"
    assert row["probability_COVID"] == pytest.approx(0.8)
    assert row["spread_COVID"] == pytest.approx(np.std([0.9, 0.7], ddof=1))
    assert said_of(row, reference()) == "COVID, 0.800 ± 0.141; possible at 90 % coverage: COVID"


@pytest.mark.parametrize(
    ("sets", "words"),
    [([True, True], "no class can be excluded"), ([False, False], "no class fits well enough")],
)
def test_a_set_that_says_nothing_is_no_answer(sets: list[bool], words: str) -> None:
    row = one(sets)
    assert row["answer"] == ABSTAIN
    assert words in row["reason"]
    assert "90 % coverage" in row["reason"]
    assert row["probability_COVID"] == pytest.approx(0.8), "they may be looked at"


def test_of_several_classes_in_a_set_the_likeliest_is_named() -> None:
    known = reference(classes=["Normal", "COVID", "Viral Pneumonia"])
    probabilities = np.array([[[0.5, 0.2, 0.3]]] * 2)
    sets = np.array([[False, True, True]])
    row = answers(facts(1), probabilities, sets, alike(1), known).iloc[0]
    assert row["answer"] == "Viral Pneumonia"
    assert row["set"] == "COVID or Viral Pneumonia"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contrast": [1.0]}, "blank"),
        ({"colourfulness": [0.3]}, "in colour"),
        ({"found": alike(1, 0.4)}, "is unlike every training image"),
        ({"found": alike(1, 0.5, 0.4)}, "like a training image upside down"),
        ({"found": alike(1, 0.7, 0.2)}, "like a training image upside down"),
    ],
)
def test_of_what_is_no_input_no_class_is_mentioned(changes: dict, words: str) -> None:
    row = one([False, True], **changes)
    assert row["answer"] == ABSTAIN
    assert words in row["reason"]
    assert row["set"] == ""
    assert np.isnan(row["probability_COVID"])
    assert not row["is_input"]


def test_networks_of_phantoms_name_no_class_of_an_image_that_is_none() -> None:
    known = reference(is_drawn=True)
    row = one([False, True], known=known)
    assert (row["answer"], row["reason"], row["set"]) == (ABSTAIN, ONLY_DRAWN, "")
    assert np.isnan(row["probability_COVID"]) and not row["is_input"]
    phantom = one([False, True], known=known, is_drawn=[True])
    assert phantom["answer"] == "COVID" and phantom["is_drawn"]
    # Other networks are asked about drawn images too.
    assert one([False, True], is_drawn=[True])["answer"] == "COVID"


def test_the_page_of_networks_of_phantoms_says_so_with_each_notice() -> None:
    assert DRAWN.lower() not in page().lower()
    drawn = page(reference=reference(is_drawn=True)).lower()
    assert drawn.count(DRAWN.lower()) == drawn.count(NOTICE.lower()) == 2


def test_a_phantom_is_told_by_what_is_written_into_its_file(tmp_path: Path) -> None:
    settings = PhantomSettings(size=64)
    write_phantom_dataset(tmp_path / "drawn", {"Normal": 1}, 0, settings)
    file = tmp_path / "drawn/Normal/images/Normal-1.png"
    Image.open(file).save(tmp_path / "copy.png")
    (tmp_path / "text.png").write_bytes(file.read_bytes()[:60])
    paths = [file, tmp_path / "copy.png", tmp_path / "text.png"]
    images = [NewImage(path.name, str(path), 0, 0) for path in paths]
    (batch,) = decoded_batches(images, 32, "bilinear", 10**6, 1)
    assert batch.facts["is_drawn"].to_pylist() == [True, False, False]


def test_too_few_images_to_calibrate_on_are_named() -> None:
    known = reference(enough=False, n_calibration=[7])
    row = one([True, True], known=known)
    assert "7 images to calibrate on are too few" in row["reason"]
    assert "9 are needed" in row["reason"]
    assert "coverage needs 9" in how_it_was_measured(known)[0]


def test_one_network_has_no_spread() -> None:
    row = answers(facts(1), np.array([[[0.1, 0.9]]]), np.array([[False, True]]), alike(1),
                  reference(members=[Member(1, 0, 1.0, None)])).iloc[0]  # fmt: skip
    assert np.isnan(row["spread_COVID"])
    assert "±" not in said_of(row.to_dict(), reference())


def test_logits_are_divided_by_each_networks_own_temperature() -> None:
    # In another order of networks and images than is asked for.
    logits = np.array([[[0.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]]], dtype=np.float32)
    runs = [{"fold": 1, "seed": 1}, {"fold": 1, "seed": 0}]
    members = members_table(runs, ["b", "a"], logits, CLASSES)
    assert members.columns.tolist() == ["image_id", "fold", "seed", "logit_Normal", "logit_COVID"]
    probabilities = member_probabilities(members, ["a", "b"], reference())
    assert probabilities[0, 1, 0] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert probabilities[1, 1, 0] == 0.5
    assert probabilities[0, 0, 1] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert probabilities[1, 0, 1] == pytest.approx(1 / (1 + np.exp(-2.0)))


# --- the reference --------------------------------------------------------------------------------


def run(n: int, roles: list[str], shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    covid = np.clip(rng.random(n) + shift, 0, 1)
    return pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "label": [CLASSES[int(c > 0.4)] for c in covid],
            "role": [roles[k % len(roles)] for k in range(n)],
            "calibrated_probability_Normal": 1 - covid,
            "calibrated_probability_COVID": covid,
        }
    )


def test_seeds_of_a_fold_answer_together_whatever_the_order_of_their_rows() -> None:
    first = run(30, ["validation", "test"])
    second = first.assign(calibrated_probability_COVID=0.5, calibrated_probability_Normal=0.5)
    together = fold_probabilities([first, second.iloc[::-1]], CLASSES)
    expected = (first["calibrated_probability_COVID"] + 0.5) / 2
    assert together["COVID"].to_numpy() == pytest.approx(expected.to_numpy())


def test_runs_are_put_together_by_fold() -> None:
    tables = [run(10, ["test"], shift) for shift in (0.0, 0.2, 0.1, 0.3)]
    runs = [{"fold": fold, "seed": seed} for seed in (0, 1) for fold in (2, 1)]
    first, second = probabilities_of_folds(runs, tables, CLASSES)
    pd.testing.assert_frame_equal(first, fold_probabilities(tables[::2], CLASSES))
    pd.testing.assert_frame_equal(second, fold_probabilities(tables[1::2], CLASSES))


def test_the_scale_of_the_maps_is_the_mean_over_runs_of_the_likeliest_classes(tmp_path) -> None:
    table = pd.DataFrame({
        "image_id": ["a", "v"], "role": ["test", "validation"],
        "calibrated_probability_Normal": [0.2, 0.9], "calibrated_probability_COVID": [0.8, 0.1],
    })  # fmt: skip
    files = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for file, peak in zip(files, (4.0, 8.0), strict=True):
        # Centred over the classes, the map of COVID is half of it; that of "v" does not count.
        values = np.array([[[[0.0]], [[peak]]], [[[99.0]], [[0.0]]]], dtype=np.float32)
        write_raw_maps(file, ["a", "v"], CLASSES, RawMaps(values, 32, 32.0, 15.5))
    assert mean_heat_scale([table, table], files, CLASSES) == pytest.approx((2.0 + 4.0) / 2)


def test_test_images_are_compared_with_training_images_of_other_groups() -> None:
    rng = np.random.default_rng(0)
    base, other = rng.integers(0, 256, (2, 32, 32))
    near = [np.clip(base + rng.integers(-9, 10, (32, 32)), 0, 255) for _ in range(4)]
    names = ["a", "b", "c", "same", "unlike"]
    stored = Fingerprints(
        *(names, names, np.zeros((5, 32), np.uint8)), np.stack([*near, other]).astype(np.uint8)
    )
    groups = {name: name for name in names}
    thresholds, unlike = compared_with_training(stored, groups, ["a", "b", "c"], ["unlike", "same"])
    assert thresholds.similarity > 0.9
    assert unlike == {"unlike": True, "same": False}
    # With all of the training images in its own group, nothing is left that it could be like.
    groups |= dict.fromkeys(["a", "b", "c"], "same")
    assert compared_with_training(stored, groups, ["a", "b", "c"], ["same"])[0].similarity == -1.0


def test_without_a_validation_part_the_sets_are_calibrated_on_test_images() -> None:
    with_part = fold_probabilities([run(20, ["validation", "test"])], CLASSES)
    without = fold_probabilities([run(20, ["test"])], CLASSES)
    assert calibration_part([with_part]) == "validation"
    assert calibration_part([without]) == "test"
    assert calibration_part([with_part, without]) == "test", "every fold needs one"
    scores = calibration_scores([with_part], CLASSES, "validation")
    assert len(scores) == 10
    assert is_enough(scores, 0.9)
    assert not is_enough(scores, 0.95)
    untold = how_it_was_measured(reference(calibrated_on="test", covered=None))
    assert any("no validation part" in s and "could not be measured" in s for s in untold)


def test_what_is_measured_on_test_images_is_counted_right() -> None:
    fold = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d", "v"],
            "label": ["COVID", "COVID", "Normal", "Normal", "Normal"],
            "role": ["test"] * 4 + ["validation"],
            "Normal": [0.1, 0.8, 0.5, 0.9, 0.9],
            "COVID": [0.9, 0.2, 0.5, 0.1, 0.1],
        }
    )
    scores = pd.DataFrame({"fold": 1, "image_id": "v", "score": np.linspace(0.1, 0.4, 19)})
    unlike = {"a": False, "b": False, "c": False, "d": True}
    covered, undecided, strange, right = measured_on_test([fold], CLASSES, scores, 0.9, unlike)
    assert (covered.count, covered.n) == (2, 4)  # b holds the wrong class, c none
    assert undecided.count == 1
    assert strange.count == 1
    assert (right.count, right.n) == (1, 2)  # of a and b


def test_sets_use_the_scores_of_their_own_fold() -> None:
    known = reference(members=[Member(1, 0, 1.0, None), Member(2, 0, 1.0, None)])
    scores = pd.DataFrame({"fold": [1] * 30 + [2] * 2, "score": [0.05] * 30 + [0.5] * 2})
    probabilities = np.array([[[0.04, 0.96]], [[0.6, 0.4]]])
    assert sets_of(probabilities, scores, known).tolist() == [[False, True]]
    # Said the other way round, neither fold is as sure as it is when it is right.
    assert sets_of(probabilities[::-1], scores, known).tolist() == [[False, False]]


def test_training_images_are_those_of_any_network_with_their_number() -> None:
    splits = [
        pd.DataFrame({"image_id": ["a", "b"], "role": ["train", "test"]}),
        pd.DataFrame({"image_id": ["a", "b"], "role": ["test", "train"]}),
    ]
    assert training_images(splits) == {"a": 1, "b": 1}
    assert training_images([*splits[:1], *splits]) == {"a": 2, "b": 1}


def test_the_reference_survives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    for known in (reference(), reference(covered=None)):
        write_reference(file, known)
        assert read_reference(file) == known
    file.write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        read_reference(file)


def test_files_that_could_not_be_read_are_set_apart_with_their_reason() -> None:
    table = facts(3).assign(quarantine_reason=[None, "It is no image.", None])
    readable, quarantine = apart_by_quarantine(table)
    assert readable["image_id"].tolist() == ["0.png", "2.png"]
    assert readable.index.tolist() == [0, 1]
    assert quarantine.to_dict("records") == [{"image": "1.png", "reason": "It is no image."}]


# --- copies and the page --------------------------------------------------------------------------


def test_the_closest_copy_is_told_with_who_was_trained_on_it() -> None:
    copies = closest_copies(pairs(), {"COVID/2": 2})
    assert copies["0.png"].image_id == "COVID/2"
    assert copies["0.png"].sentence(2).startswith("the very same picture as COVID/2")
    assert "2 of 2 networks were trained on" in copies["0.png"].sentence(2)
    assert "its answer is no prediction" in copies["0.png"].sentence(1)
    assert "not in the training part" in copies["1.png"].sentence(2)
    assert not closest_copies(pairs().iloc[:0], {})


def test_each_answer_says_what_it_is_a_copy_of() -> None:
    table = answers(facts(3), np.full((2, 3, 2), 0.5), np.ones((3, 2), bool), alike(3), reference())
    copied = with_copies(table, closest_copies(pairs(), {"COVID/2": 2}), 2)
    assert copied["copy_of"].tolist() == ["COVID/2", "Normal/3", ""]
    assert "2 of 2 networks" in copied["copy_note"][0]
    assert copied["copy_note"][2] == ""
    assert copied["networks"].tolist() == [2, 2, 2]


def test_the_page_warns_says_what_to_believe_and_escapes_names() -> None:
    html = page()
    text = html.replace("&#39;", "'")
    assert text.count("Research use only. Nothing here is a diagnosis.") == 2
    assert f"No. {SENTENCE}" in text
    assert "1 answered, 2 not" in " ".join(text.split())
    assert "1 could not be read" in text
    assert "<script>alert" not in html
    assert "<i>folder" not in html
    assert "Networks start from the weights of &lt;b&gt;mine&lt;/b&gt;.pth." in html
    assert "https:" not in html
    assert "http:" not in html


def test_the_page_never_names_a_class_without_its_set() -> None:
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page(), re.DOTALL)
    assert "COVID (possible: COVID)" in cells
    assert "abstains (possible: Normal or COVID)" in cells
    assert not [cell for cell in cells if cell.strip() in CLASSES]


def test_a_verdict_on_another_design_is_called_that() -> None:
    verdict = {
        "answer": "No.",
        "sentence": SENTENCE,
        "headline": {"task": "three_class", "scheme": "kfold"},
        "starts": {"holdout": {"kind": "random", "origin": "random"}},
    }
    assert "That answer is about three_class, kfold" in page(verdict=verdict)
    assert "That answer is about" not in page()


def test_the_page_says_that_probabilities_are_not_those_at_the_shares_of_the_data() -> None:
    assert "other shares of the classes" not in page()
    weighted = page(reweighting="class weights")
    assert "trained with class weights: its probabilities are those at other shares" in weighted


def test_a_page_without_one_readable_image_says_so() -> None:
    empty = answers(facts(0), np.empty((2, 0, 2)), np.empty((0, 2), bool), alike(0), reference())
    html = page(answers=with_copies(empty, {}, 2), cards=[])
    assert "No file could be read as an image." in html
