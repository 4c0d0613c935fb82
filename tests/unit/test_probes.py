"""Probes of traits: what is encoded, what is followed, and the check that names shortcuts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.unit.audit_tables_example import one
from workflow_scripts.cxrcam.audit.probes import (
    FEWEST,
    answers_of,
    probe_scores,
    probe_table,
    shift_number,
    traits_of,
)
from workflow_scripts.cxrcam.metrics.findings import auroc_number
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import shortcuts

N = 400  # images; the second half are test images
K = 20
TEST = slice(N // 2, N)
CLASSES = ["Normal", "COVID"]


def example(*, encoded: float, followed: float, share: float = 0.8, seed: int = 0, patients=None):
    """Traits, division, logits, features and untrained features with a known truth.

    The trait "marker" is on `share` of the COVID images and on 1 - `share` of the others. One of
    the features is the marker times `encoded`, one the class; log-odds of COVID are the class, and
    the marker times `followed`.
    """
    random = np.random.default_rng(seed)
    ids = pd.Index([f"image {k}" for k in range(N)], name="image_id")
    ill = np.arange(N) % 2
    marked = random.random(N) < np.where(ill == 1, share, 1 - share)
    traits = pd.DataFrame({"marker": np.where(marked, "yes", "no")}, ids)
    split = pd.DataFrame(
        {
            "label": np.where(ill == 1, "COVID", "Normal"),
            "group": ids if patients is None else patients,
            "role": np.repeat(["train", "test"], N // 2),
        },
        ids,
    )
    features = random.normal(size=(N, K)).astype(np.float32)
    untrained = features[TEST].copy()
    features[:, 0] += encoded * marked
    features[:, 1] += 4 * ill
    odds = 3 * (ill - 0.5) + followed * (marked - 0.5) + random.normal(size=N)
    logits = pd.DataFrame({"Normal": -odds / 2, "COVID": odds / 2}, ids)[TEST]
    return traits, split, logits, pd.DataFrame(features[TEST], ids[TEST]), untrained


def table_of(traits, split, logits, features, untrained, **options) -> pd.DataFrame:
    return probe_table(answers_of(split, logits, **options), traits, split, features, untrained)


def judged(table: pd.DataFrame):
    named = table.assign(task="two_class", scheme="holdout", fold=1, seed=0)
    return shortcuts.judge(AuditTables(probes=named))


def test_a_marker_that_is_encoded_and_followed_is_a_shortcut():
    table = table_of(*example(encoded=4, followed=3))
    assert table["within"].tolist() == ["COVID", "Normal"]
    assert (table["auroc_low"] > 0.9).all()
    assert (table["gain_low"] > 0).all()
    assert (table["untrained_low"] < 0.5).all()
    sign = np.where(table["value"] == "yes", 1, -1)
    assert (sign * table["shift"] > 2).all()
    found = one(judged(table))
    assert found.status == "failed"
    assert found.name == "trait as a shortcut: marker"
    assert found.subject == "two_class, holdout"
    assert found.clause.startswith("it takes 'marker' = ")
    assert "AUROC of 0.9" in found.finding or "AUROC of 1.0" in found.finding


def test_what_is_encoded_only_is_said_and_does_not_fail():
    table = table_of(*example(encoded=4, followed=0))
    assert (table["auroc_low"] > 0.9).all()
    found = one(judged(table))
    assert found.status != "failed"
    assert "AUROC of" in found.finding


def test_what_is_not_encoded_has_an_auroc_of_chance():
    tables = [table_of(*example(encoded=0, followed=0, seed=seed)) for seed in range(20)]
    assert pd.concat(tables)["auroc"].mean() == pytest.approx(0.5, abs=0.06)
    assert "failed" not in {one(judged(table)).status for table in tables}


def test_what_is_followed_but_not_encoded_cannot_be_a_shortcut():
    table = table_of(*example(encoded=4, followed=3))
    chance = {"auroc": 0.5, "auroc_low": 0.4, "auroc_high": 0.6}
    assert one(judged(table)).status == "failed"
    assert one(judged(table.assign(**chance))).status == "not assessable"


# Chance gives the association a direction: one of these two shifts goes that way.
@pytest.mark.parametrize("followed", [3, -3])
def test_what_goes_with_no_class_is_no_shortcut(followed):
    table = table_of(*example(encoded=4, followed=followed, share=0.5))
    assert (table["shift_low"].abs() > 1).all()
    assert one(judged(table)).status != "failed"


def test_a_shift_against_what_the_training_images_teach_is_no_shortcut():
    table = table_of(*example(encoded=4, followed=-3))
    assert (table["shift"].abs() > 1).all()
    assert one(judged(table)).status != "failed"


def test_a_shift_in_one_class_only_is_no_shortcut():
    traits, split, logits, *rest = example(encoded=4, followed=0, seed=2)
    graver = (split.loc[logits.index, "label"] == "COVID") & (traits["marker"] == "yes")[TEST]
    logits = logits.assign(COVID=logits["COVID"] + 3 * graver)
    table = table_of(traits, split, logits, *rest)
    assert table.set_index("within").loc["COVID", "shift"] ** 2 > 1
    assert one(judged(table)).status != "failed"


def test_it_passes_where_a_shift_is_ruled_out():
    parts = [table_of(*example(encoded=4, followed=0, seed=seed)) for seed in range(20)]
    many = pd.concat(part.assign(fold=k) for k, part in enumerate(parts))
    named = many.assign(task="two_class", scheme="holdout", seed=0)
    found = one(shortcuts.judge(AuditTables(probes=named)))
    assert found.status == "passed"


def test_twenty_clean_sets_raise_no_alarm():
    for seed in range(20):
        table = table_of(*example(encoded=1, followed=0, share=0.7, seed=seed))
        assert one(judged(table)).status != "failed"


def test_too_few_images_are_not_assessable_and_it_says_why():
    table = table_of(*example(encoded=4, followed=3, share=0.97))
    assert table["auroc"].isna().all()
    found = one(judged(table))
    assert found.status == "not assessable"
    assert found.why.startswith(f"fewer than {FEWEST} patients")


def test_images_of_one_patient_count_as_one():
    patients = [f"patient {k // 40}" for k in range(N)]
    table = table_of(*example(encoded=4, followed=3, patients=patients))
    assert table["reason"].str.startswith("fewer than").all()


def test_a_network_without_features_is_not_assessable():
    *given, features, _ = example(encoded=4, followed=3)
    none = features.iloc[:, :0]
    found = one(judged(table_of(*given, none, none.to_numpy())))
    assert found.status == "not assessable"
    assert "no features" in found.why


@pytest.mark.parametrize("probes", [None, pd.DataFrame()])
def test_without_traits_it_is_not_assessable(probes):
    found = one(shortcuts.judge(AuditTables(probes=probes)))
    assert found.status == "not assessable"
    assert "no trait" in found.why


def test_more_traits_widen_the_intervals():
    traits, *given = example(encoded=4, followed=0.7)
    random = np.random.default_rng(1)
    many = {f"chance {k}": random.choice(["a", "b"], N) for k in range(15)}
    alone = judged(table_of(traits, *given))
    (among,) = (
        check
        for check in judged(table_of(traits.assign(**many), *given))
        if check.name.endswith("marker")
    )
    low, high = (check.finding.split("deviations (")[1].split(",")[0] for check in (*alone, among))
    assert low != high
    assert one(alone).status == "failed" and among.status == "not assessable"


def test_an_answer_of_several_classes_is_set_against_all_others():
    _, split, logits, *_ = example(encoded=4, followed=3)
    third = logits.assign(Viral=-5.0)
    names = [answer.name for answer in answers_of(split, third)]
    assert names == ["Normal", "COVID", "Viral"]
    odds = answers_of(split, third)[1].log_odds
    others = np.log(np.exp(third["Normal"]) + np.exp(third["Viral"]))
    np.testing.assert_allclose(odds, third["COVID"] - others)


def test_findings_are_judged_one_by_one_and_without_unknown_images():
    traits, split, logits, *rest = example(encoded=4, followed=3)
    truth = (split["label"] == "COVID").astype(float)
    truth.iloc[-1] = np.nan
    split = split.assign(finding_COVID=truth)
    table = table_of(traits, split, logits[["COVID"]] * 2, *rest, findings=True)
    assert sorted(table["within"]) == ["COVID", "no COVID"]
    assert table["n"].sum() == N // 2 - 1
    assert one(judged(table)).status == "failed"


def test_the_probe_is_asked_of_patients_that_it_was_not_fitted_on():
    """A probe that had seen the patient would know the trait by the patient's own feature."""
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(60), 5)
    has = random.random(60)[patient] < 0.5
    features = np.eye(60, dtype=np.float32)[patient] * 10
    scores = probe_scores(features, has, patient)
    auroc = auroc_number(has, scores, patient, 60)
    assert auroc.value < 0.6
    leaking = probe_scores(features, has, np.arange(300))
    assert auroc_number(has, leaking, patient, 60).value > 0.95


def test_the_shift_is_in_standard_deviations_and_its_interval_that_of_the_means():
    random = np.random.default_rng(0)
    has = np.arange(200) < 80
    values = random.normal(size=200) * 7 + 14 * has
    number = shift_number(values, has, np.arange(200), 200)
    assert number.value == pytest.approx(2, abs=0.4)
    parts = values[has], values[~has]
    deviation = np.sqrt(sum(((part - part.mean()) ** 2).sum() for part in parts) / 198)
    expected = np.sqrt(sum(part.var() / len(part) for part in parts)) / deviation
    assert number.standard_error == pytest.approx(expected, rel=0.01)
    twice = shift_number(np.tile(values, 2), np.tile(has, 2), np.tile(np.arange(200), 2), 200)
    assert twice.standard_error == pytest.approx(number.standard_error, rel=0.01)
    assert np.isnan(shift_number(np.ones(200), has, np.arange(200), 200).value)


def test_traits_are_columns_that_tell_images_apart():
    images = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "source": ["x", "x", "x"],
            "sex": ["F", "male", "M"],
            "age": ["30", "31", "70"],
        }
    )
    traits = traits_of(images, ["source", "sex", "age", "sex"])
    assert list(traits.columns) == ["sex", "age"]
    assert traits.loc["b"].tolist() == ["M", "18-39"]


def test_errors_and_association_are_shares_of_images():
    traits, split, logits, *rest = example(encoded=4, followed=3)
    table = table_of(traits, split, logits, *rest)
    (row,) = table[table["within"] == "COVID"].to_dict("records")
    of_class = split.loc[logits.index, "label"] == "COVID"
    has = (traits["marker"] == row["value"])[TEST]
    wrong = logits["COVID"] <= logits["Normal"]
    assert row["errors_with"] == pytest.approx(wrong[of_class & has].mean())
    assert row["errors_without"] == pytest.approx(wrong[of_class & ~has].mean())
    assert row["error_gap"] == pytest.approx(row["errors_with"] - row["errors_without"])
    assert row["error_gap_low"] < row["error_gap"] < row["error_gap_high"]
    train = split.iloc[: N // 2]
    seen = (traits["marker"] == row["value"])[train.index]
    ill = train["label"] == "COVID"
    assert row["association"] == pytest.approx(ill[seen].mean() - ill[~seen].mean())


def test_the_check_reads_a_sign_against_an_answer_too():
    traits, split, logits, *rest = example(encoded=4, followed=3)
    (answer,) = answers_of(split, logits)
    normal = replace(answer, name="Normal", truth=1 - answer.truth, log_odds=-answer.log_odds)
    table = probe_table([normal], traits, split, *rest)
    found = one(judged(table))
    assert found.status == "failed"
    value = table["value"].iloc[0]
    assert (" against Normal" if value == "yes" else " for Normal") in found.clause
