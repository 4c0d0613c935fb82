"""Subgroups: numbers a group, gaps with corrected intervals, what is not shown, the check."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.audit_tables_example import one, status
from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.configuration.problems import ConfigurationError
from workflow_scripts.cxrcam.configuration.subgroups import (
    check_subgroups,
    subgroup_columns,
    unknown_traits,
)
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.figures.subgroups import subgroup_figure
from workflow_scripts.cxrcam.metrics.findings import auroc_number
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.metrics.subgroups import Answers, subgroup_table
from workflow_scripts.cxrcam.report.tables import source_tables, subgroup_tables
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import subgroups

N = 200


def ids(n=N):
    return pd.Index([f"image {k}" for k in range(n)], name="image_id")


def answers(truth, scores, *, fold=1, seed=0, patients=None, names=("Normal", "COVID"), index=None):
    """Answers of a network; of two classes, truth and score are those of the second."""
    index = ids(len(truth)) if index is None else index
    truth, scores = np.asarray(truth, float), np.asarray(scores, float)
    if truth.ndim == 1:
        truth, scores = np.stack([1 - truth, truth], 1), np.stack([1 - scores, scores], 1)
    group = pd.Series(index if patients is None else patients, index).astype(str)
    tables = (pd.DataFrame(part, index, list(names)) for part in (truth, scores))
    return Answers(fold, seed, group, *tables)


def sexes(n=N):
    return pd.DataFrame({"sex": np.resize(["F", "M"], n)}, ids(n))


TRUTH = np.arange(N) // 2 % 2
RIGHT = np.where(TRUTH == 1, 0.9, 0.1)


def table_of(runs, traits=None, *, findings=False, small_groups=False):
    traits = sexes() if traits is None else traits
    return subgroup_table(runs, traits, findings=findings, small_groups=small_groups)


def row_of(table, group, metric, column="sex"):
    rows = table[(table["column"] == column) & (table["group"] == group)]
    return rows[(rows["metric"] == metric) & rows["against"].isna()].iloc[0]


def gap_of(table, metric):
    return table[table["against"].notna() & (table["metric"] == metric)].iloc[0]


def wrong_for(chosen, scores=RIGHT):
    return np.where(chosen, 1 - scores, scores)


IS_F = np.arange(N) % 2 == 0


def test_numbers_of_a_group_are_those_of_its_images():
    misses = IS_F & (np.arange(N) < 40) & (TRUTH == 1)  # 10 of the 50 ill women
    table = table_of([answers(TRUTH, wrong_for(misses))])
    found = row_of(table, "F", "sensitivity")
    assert found["value"] == pytest.approx(0.8) and found["n"] == 50
    assert (found["low"], found["high"]) == pytest.approx(tuple(wilson_interval(40, 50)))
    assert row_of(table, "F", "specificity")["value"] == 1.0
    assert row_of(table, "F", "accuracy")["value"] == pytest.approx(0.9)
    assert row_of(table, "M", "accuracy")["value"] == 1.0
    # Always sure of 0.9: in women as often right, in men too rarely sure.
    assert row_of(table, "F", "calibration_error")["value"] == pytest.approx(0.0, abs=1e-9)
    assert row_of(table, "M", "calibration_error")["value"] == pytest.approx(0.1)


def test_the_gap_names_both_groups_and_is_widened_for_all_that_was_looked_at():
    table = table_of([answers(TRUTH, wrong_for(IS_F & (TRUTH == 1)))])
    gap = gap_of(table, "sensitivity")
    assert (gap["group"], gap["against"], gap["value"]) == ("M", "F", 1.0)
    assert gap["comparisons"] == 3 and gap["low"] > 0.5
    more = sexes().assign(view=np.resize(["AP", "PA", "LL"], N))
    wider = gap_of(table_of([answers(TRUTH, wrong_for(IS_F & (TRUTH == 1)))], more), "sensitivity")
    assert wider["comparisons"] == 3 + 3 * 3 and wider["low"] < gap["low"]


def test_gaps_by_luck_are_rarely_called_sure():
    rng, alarms = np.random.default_rng(0), 0
    traits = sexes().assign(view=np.resize(["AP"] * 3 + ["PA"], N), age=np.resize(list("xyz"), N))
    for _ in range(60):
        table = table_of([answers(TRUTH, wrong_for(rng.random(N) < 0.2))], traits)
        alarms += (table["low"][table["against"].notna()] > 0).any()
    assert alarms <= 6


def test_images_of_one_patient_count_once_in_the_interval():
    wrong = wrong_for(np.arange(N) < 40)
    alone = row_of(table_of([answers(TRUTH, wrong)]), "F", "accuracy")
    patients = [f"p{k // 8}" for k in range(N)]
    shared = row_of(table_of([answers(TRUTH, wrong, patients=patients)]), "F", "accuracy")
    assert shared["value"] == alone["value"] and shared["n_groups"] == 25
    assert shared["high"] - shared["low"] > 1.5 * (alone["high"] - alone["low"])


def test_seeds_are_averaged_and_images_of_folds_count_once():
    wrong = wrong_for(IS_F)
    found = row_of(
        table_of([answers(TRUTH, RIGHT), answers(TRUTH, wrong, seed=1)]), "F", "accuracy"
    )
    assert found["value"] == 0.5 and found["n"] == 100
    halves = [slice(0, 100), slice(100, N)]
    folds = [
        answers(TRUTH[half], RIGHT[half], fold=k, index=ids()[half])
        for k, half in enumerate(halves, 1)
    ]
    assert row_of(table_of(folds), "F", "accuracy")["n"] == 100


def test_groups_with_few_images_have_no_number_and_the_smallest_are_not_shown():
    traits = pd.DataFrame({"age": ["a"] * 150 + ["b"] * 29 + ["c"] * 17 + ["d"] * 4}, ids())
    runs = [answers(TRUTH, RIGHT)]
    table = table_of(runs, traits)
    told = table.set_index("group")["reason"].dropna().to_dict()
    assert told["b"] == told["c"] == "fewer than 30 test images"
    assert "d" not in set(table["group"])
    assert told["groups of fewer than 5 images or patients"].startswith("1 not shown")
    assert "d" in set(table_of(runs, traits, small_groups=True)["group"])
    patients = [f"p{k}" if k < 150 else f"q{k % 4}" for k in range(N)]
    few = table_of([answers(TRUTH, RIGHT, patients=patients)], traits)
    assert "b" not in set(few["group"]), "29 images, but of four patients"


def test_a_sensitivity_of_few_images_is_not_assessable():
    truth = np.where(IS_F, np.arange(N) < 16, TRUTH)
    table = table_of([answers(truth, np.where(truth, 0.9, 0.1))])
    assert row_of(table, "F", "sensitivity")["reason"] == "fewer than 10 images of COVID"
    assert np.isnan(row_of(table, "F", "sensitivity")["value"])
    assert row_of(table, "F", "accuracy")["value"] == 1.0


def test_three_classes_have_a_macro_auroc():
    label = np.arange(N) // 2 % 3
    truth = np.eye(3)[label]
    scores = 0.6 * np.eye(3)[np.where(IS_F, (label + 1) % 3, label)] + 0.4 / 3
    names = ["a", "b", "c"]
    table = table_of([answers(truth, scores, names=names)])
    assert row_of(table, "M", "macro_auroc")["value"] == 1.0
    assert row_of(table, "M", "macro_auroc")["low"] < 0.95, "an AUROC of 1 has an interval"
    assert row_of(table, "F", "macro_auroc")["value"] < 0.3


def test_a_network_so_sure_that_probabilities_round_to_one_has_the_macro_auroc_of_its_ranking():
    truth = np.eye(3)[np.arange(N) // 2 % 3]
    # The first class is named every time; how sure it is still tells the classes apart.
    small = 1e-20 * (1 + truth)
    scores = np.column_stack([np.ones(N), small[:, 1:]])
    table = table_of([answers(truth, scores, names=("a", "b", "c"))])
    assert row_of(table, "F", "macro_auroc")["value"] == 1.0
    assert not {"sensitivity", "auroc a"} & set(table["metric"].dropna())


def test_findings_have_an_auroc_each_and_gaps_compare_what_both_groups_have():
    rng = np.random.default_rng(1)
    truth = (rng.random((N, 2)) < 0.4).astype(float)
    truth[IS_F, 1] = np.where(np.arange(100) < 3, 1.0, 0.0)  # too rare in women
    truth[:4, 0] = np.nan
    scores = np.clip(truth * 0.3 + rng.random((N, 2)), 0, 2)
    scores[np.isnan(truth)] = 0.5
    names = ["Mass", "Edema"]
    table = table_of([answers(truth, scores, names=names)], findings=True)
    known = IS_F & ~np.isnan(truth[:, 0])
    n = int(known.sum())
    expected = auroc_number(truth[known, 0] == 1, scores[known, 0], np.arange(n), n)
    found = row_of(table, "F", "auroc Mass")
    assert found["value"] == pytest.approx(expected.value) and found["n"] == 98
    low, high = expected.interval(bounded=True)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-4)
    assert "fewer than 10" in row_of(table, "F", "auroc Edema")["reason"]
    assert row_of(table, "F", "mean_auroc")["reason"] == "without Edema"
    of_men = row_of(table, "M", "auroc Mass")["value"]
    assert gap_of(table, "mean_auroc")["value"] == pytest.approx(abs(of_men - expected.value))
    assert "accuracy" not in set(table["metric"].dropna())


def test_a_network_that_says_the_same_of_all_images_rules_out_no_gap():
    truth = np.stack([TRUTH, TRUTH], 1)
    table = table_of([answers(truth, np.full((N, 2), 0.5), names="ab")], findings=True)
    found = row_of(table, "F", "mean_auroc")
    assert found["low"] < 0.4 < found["value"] < 0.6 < found["high"]
    assert judged(table).status == "not assessable"


def test_an_auroc_is_the_mean_over_folds_and_seeds():
    rng = np.random.default_rng(2)
    runs, values = [], []
    for fold, half in ((1, slice(0, 100)), (2, slice(100, N))):
        for seed in (0, 1):
            scores = TRUTH[half] + rng.normal(0, 1.5, 100)
            index = ids()[half]
            pair = np.stack([scores, scores], 1)
            truth = np.stack([TRUTH[half]] * 2, 1)
            runs.append(answers(truth, pair, fold=fold, seed=seed, index=index, names="ab"))
            own = IS_F[half]
            n = int(own.sum())
            found = auroc_number(TRUTH[half][own] == 1, scores[own], np.arange(n), n)
            values.append(found.value)
    found = row_of(table_of(runs, findings=True), "F", "mean_auroc")
    assert found["value"] == pytest.approx(np.mean(values))


def test_columns_without_groups_say_why():
    traits = sexes().assign(site="x", number=[str(k) for k in range(N)])
    told = table_of([answers(TRUTH, RIGHT)], traits).set_index("column")["reason"]
    assert told["site"] == "all images have the same value, 'x'"
    assert told["number"] == "it has 200 different values, more than 20"


# --- which columns --------------------------------------------------------------------------------


def image(**extra):
    return ImageFile(
        **{"image_id": "a", "path": "a", "label": "x", "patient": "", "source": "s", "split": ""},
        **{"size_bytes": 1, "modified_ns": 1, "extra": extra, "mask_path": ""},
        lesion_mask_path="",
    )


def test_auto_takes_the_usual_traits_and_names_take_their_twins():
    columns = ["source", "dicom_sex", "Patient Age", "dicom_model", "stage"]
    assert subgroup_columns("auto", columns) == ["source", "dicom_sex", "Patient Age"]
    assert subgroup_columns(["stage", "sex", "dicom_sex"], columns) == ["stage", "dicom_sex"]
    assert unknown_traits(["stage", "sex"]) == ["stage"] and unknown_traits("auto") == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("number", "it has 10,000 different values, more than 20"),
        ("site", "all images have the same value, 'Rome'"),
        ("viw", "no image has such an entry. Did you mean 'view'?"),
    ],
)
def test_columns_that_tell_no_groups_are_refused_in_a_sentence(name, words):
    images = [
        image(number=str(k), site="Rome", view="AP" if k % 2 else "PA") for k in range(10_000)
    ]
    with pytest.raises(ConfigurationError) as caught:
        check_subgroups({"audit": {"subgroups": [name]}}, images)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"audit.subgroups names '{name}', but ") and words in message


def test_what_only_files_may_tell_is_not_refused_before_they_are_read():
    images = [image(view="AP"), image(view="PA")]
    check_subgroups({"audit": {"subgroups": ["view", "sex", "dicom_model"]}}, images)
    check_subgroups({"audit": {"subgroups": "auto"}}, images)


# --- the check, the figure, the page --------------------------------------------------------------


def judged(table):
    return one(subgroups.judge(AuditTables(subgroups=table.assign(task="t", scheme="s"))))


def test_a_sure_gap_fails_with_both_groups_and_none_passes_with_many_images():
    check = judged(table_of([answers(TRUTH, wrong_for(IS_F & (TRUTH == 1)))]))
    assert (check.status, check.about, check.subject) == ("failed", "limits", "t, s")
    assert "sensitivity by sex, M over F: 100 points" in check.clause
    few = judged(table_of([answers(TRUTH, RIGHT)]))
    assert few.status == "not assessable" and "rule out" in few.why
    truth = np.resize(TRUTH, 2000)
    many = table_of([answers(truth, np.where(truth, 0.9, 0.1))], sexes(2000))
    assert judged(many).status == "passed"


def test_a_sure_gap_below_five_points_is_no_failure():
    truth = np.resize(TRUTH, 20_000)
    wrong = (np.arange(20_000) % 100 < 6) & (np.arange(20_000) % 2 == 0)  # 6 % of the women
    scores = np.where(wrong, 1 - truth * 0.8 - 0.1, truth * 0.8 + 0.1)
    table = table_of([answers(truth, scores)], sexes(20_000))
    assert gap_of(table, "accuracy")["low"] > 0
    wrong_half = wrong & (np.arange(20_000) % 200 < 100)
    scores = np.where(wrong_half, 1 - truth * 0.8 - 0.1, truth * 0.8 + 0.1)
    assert judged(table_of([answers(truth, scores)], sexes(20_000))).status == "passed"


def test_without_groups_the_check_is_not_assessable():
    assert status(subgroups.judge(AuditTables())) == "not assessable"
    traits = pd.DataFrame(index=ids())
    assert judged_status(table_of([answers(TRUTH, RIGHT)], traits)) == "not assessable"
    traits = pd.DataFrame({"view": ["AP"] * 180 + ["PA"] * 20}, ids())
    assert "no two groups" in judged(table_of([answers(TRUTH, RIGHT)], traits)).why


def judged_status(table):
    return status(subgroups.judge(AuditTables(subgroups=table)))


def test_the_figure_has_a_row_a_group_and_cuts_nothing_off():
    names = ["$a_1^2$ a very long name of a scanner that no row has room for", "F", "M"]
    traits = pd.DataFrame({"sex": np.resize(["F", "M"], N)}, ids())
    traits["scanner"] = np.resize([*names, "x"], N)
    traits["age"] = ["a"] * 180 + ["b"] * 20
    table = table_of([answers(TRUTH, wrong_for(np.arange(N) < 30))], traits.assign(site="x"))
    figure = subgroup_figure(table)
    assert_nothing_is_cut_off_or_overlaps(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"F (n = 100)", "b (too few)", "sex", "age"} <= set(labels)
    assert [len(axes.lines) for axes in figure.axes] == [14, 10, 10], "scanners of one class"
    assert_nothing_is_cut_off_or_overlaps(subgroup_figure(table[:0]), on_panels=True)


def test_sources_of_few_images_are_not_shown():
    found = {"verdict": "v", "classes": ["a", "b"], "sources": ["x", "y"]}
    found["counts"] = [[9, 3], [8, 1]]
    ((_, table),) = source_tables({"t": found})
    assert table.columns == ("Class", "x") and "fewer than 5 images" in table.caption
    assert [[cell.text for cell in row] for row in table.rows] == [["a", "9"], ["b", "8"]]
    ((_, whole),) = source_tables({"t": found}, small_groups=True)
    assert whole.columns == ("Class", "x", "y")


def test_the_page_has_a_table_of_groups_and_one_of_gaps():
    traits = sexes().assign(age=["a"] * 180 + ["b"] * 20)
    table = table_of([answers(TRUTH, wrong_for(IS_F & (TRUTH == 1)))], traits)
    groups, gaps = subgroup_tables(table)
    texts = [[cell.text for cell in row] for row in groups.rows]
    assert groups.columns[:4] == ("Trait", "Group", "Images", "Accuracy")
    assert texts[0][:3] == ["sex", "F", "100"] and texts[0][3].startswith("0.500 (")
    assert texts[3] == ["age", "b", "20", "–", "–", "–", "–", "fewer than 30 test images"]
    (row,) = [row for row in gaps.rows if row[1].text == "Sensitivity"]
    assert row[2].text == "M over F" and row[3].text.startswith("+1.000")
    assert subgroup_tables(table[:0]) == []
