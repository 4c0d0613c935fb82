"""The table of findings: AUROC of each, of all together, of floors and covered images."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from workflow_scripts.cxrcam.metrics.findings import (
    MEAN,
    NETWORK,
    POOLED,
    FindingsRun,
    findings_table,
)
from workflow_scripts.cxrcam.metrics.intervals import bootstrap_weights, weighted_auroc

LABELS = ["Mass", "Edema"]
COVERED = "network, border only"


def example(fold=1, seed=0, n=300, prevalence=(0.3, 0.08), images=0):
    """Scores that grow with what is there, a third of one finding not known."""
    rng = np.random.default_rng(100 * fold + seed)
    of_images = np.random.default_rng(images + fold)
    names = [f"image-{fold}-{k:03d}" for k in range(n)]
    values = (of_images.random((n, 2)) < prevalence).astype(float)
    known = pd.DataFrame(values, index=names, columns=LABELS)
    known.loc[of_images.random(n) < 1 / 3, "Edema"] = np.nan
    known.insert(0, "group", [f"patient-{k // 2}" for k in range(n)])

    def scores(strength):
        table = pd.DataFrame(rng.random((n, 2)) + strength * values, index=names, columns=LABELS)
        return table.sample(frac=1, random_state=seed)  # in another order

    said = {NETWORK: scores(0.6), "border": scores(0.1), COVERED: scores(0.3)}
    return FindingsRun(fold, seed, known, said)


def table_of(*runs):
    table = findings_table(runs, LABELS, [COVERED])
    return table.set_index(["finding", "classifier"])


def auroc(run, finding, classifier=NETWORK):
    known = run.known[finding].dropna()
    return roc_auc_score(known == 1, run.said[classifier][finding].reindex(known.index))


def test_numbers_are_those_of_scikit_learn_on_the_images_that_are_known():
    run = example()
    table = table_of(run)
    for finding in LABELS:
        known = run.known[finding].dropna()
        for classifier in run.said:
            row = table.loc[finding, classifier]
            assert row["auroc"] == pytest.approx(auroc(run, finding, classifier), abs=1e-12)
            assert (row["n"], row["n_present"]) == (len(known), known.sum())
            assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
        scores = run.said[NETWORK][finding].reindex(known.index)
        assert table.loc[(finding, NETWORK), "auprc"] == pytest.approx(
            average_precision_score(known == 1, scores)
        )
    assert len(run.known["Edema"].dropna()) < len(run.known)


def test_the_interval_is_that_of_a_bootstrap_of_whole_groups():
    run = example(n=1000)
    groups = run.known["group"].to_numpy()
    weights = np.concatenate(
        list(bootstrap_weights(len(run.known), groups=groups, seed=0, repeats=2000))
    )
    for finding in LABELS:
        told = run.known[finding].notna().to_numpy()
        scores = run.said[NETWORK][finding].reindex(run.known.index).to_numpy()[told]
        present = run.known[finding].to_numpy()[told] == 1
        resampled = weighted_auroc(present, scores, weights[:, told])
        row = table_of(run).loc[finding, NETWORK]
        np.testing.assert_allclose(
            [row["auroc_low"], row["auroc_high"]],
            np.quantile(resampled, [0.025, 0.975]),
            atol=0.01,
        )


def test_images_of_one_group_count_as_one():
    run = example(n=200)
    twice = FindingsRun(
        1,
        0,
        pd.concat([run.known, run.known.set_axis([f"{k} again" for k in run.known.index])]),
        {
            name: pd.concat([table, table.set_axis([f"{k} again" for k in table.index])])
            for name, table in run.said.items()
        },
    )
    once, again = (table_of(one).loc["Mass", NETWORK] for one in (run, twice))
    np.testing.assert_allclose(again["auroc_low"], once["auroc_low"], atol=1e-9)
    twice.known["group"] = [f"own {k}" for k in range(400)]
    apart = table_of(twice).loc["Mass", NETWORK]
    assert apart["auroc_low"] > once["auroc_low"] + 0.01


def test_all_findings_together_are_their_mean():
    run = example()
    table = table_of(run)
    for classifier in run.said:
        mean = np.mean([auroc(run, finding, classifier) for finding in LABELS])
        assert table.loc[(MEAN, classifier), "auroc"] == pytest.approx(mean)
    row = table.loc[MEAN, NETWORK]
    assert row["n"] == len(run.known)
    assert row["n_present"] == (run.known[LABELS] == 1).any(axis=1).sum()
    assert row["auprc"] == pytest.approx(
        np.mean([table.loc[(f, NETWORK), "auprc"] for f in LABELS])
    )
    widths = {
        f: table.loc[f, NETWORK]["auroc_high"] - table.loc[f, NETWORK]["auroc_low"] for f in LABELS
    }
    assert row["auroc_high"] - row["auroc_low"] < max(widths.values())


def test_gap_and_kept_are_those_to_the_network():
    table = table_of(example())
    for finding in (*LABELS, MEAN):
        network, border, covered = (
            table.loc[(finding, name), "auroc"] for name in (NETWORK, "border", COVERED)
        )
        assert table.loc[(finding, "border"), "gap"] == pytest.approx(network - border)
        kept = table.loc[finding, COVERED]
        assert kept["kept"] == pytest.approx((covered - 0.5) / (network - 0.5))
        assert kept["kept_low"] < kept["kept"] < kept["kept_high"]
        assert pd.isna(table.loc[(finding, "border"), "kept"])
        assert pd.isna(table.loc[(finding, NETWORK), "gap"])
    # On the same resamples: narrower than two separate intervals.
    row, whole = table.loc[MEAN, COVERED], table.loc[MEAN, NETWORK]
    separate = np.hypot(*(r["auroc_high"] - r["auroc_low"] for r in (row, whole)))
    assert row["gap_high"] - row["gap_low"] < separate * 1.1
    same = example()
    equal = FindingsRun(1, 0, same.known, {**same.said, COVERED: same.said[NETWORK]})
    copied = table_of(equal).loc["Mass", COVERED]
    assert (copied["gap_low"], copied["gap_high"], copied["kept_low"]) == (0, 0, 1)


def test_seeds_are_averaged_and_then_folds():
    runs = [example(1, 0), example(1, 1), example(2, 0, n=200), example(2, 1, n=200)]
    table = table_of(*runs)
    for finding in LABELS:
        by_fold = [np.mean([auroc(run, finding) for run in runs[k : k + 2]]) for k in (0, 2)]
        assert table.loc[(finding, NETWORK), "auroc"] == pytest.approx(np.mean(by_fold))
        # Images count once, however many seeds there are.
        n = sum(int(runs[k].known[finding].notna().sum()) for k in (0, 2))
        assert table.loc[(finding, NETWORK), "n"] == n
    lone, both = (
        t.loc["Mass", NETWORK]["auroc_high"] - t.loc["Mass", NETWORK]["auroc_low"]
        for t in (table_of(*runs[:2]), table)
    )
    assert both < lone


def test_of_images_that_were_not_asked_nothing_is_counted():
    run = example()
    asked = run.known.index[:150]
    some = FindingsRun(
        1,
        0,
        run.known,
        {**run.said, COVERED: run.said[COVERED].loc[run.said[COVERED].index.isin(asked)]},
    )
    known = run.known["Mass"].loc[asked]
    expected = roc_auc_score(known == 1, run.said[COVERED]["Mass"].reindex(asked))
    row = table_of(some).loc["Mass", COVERED]
    assert row["auroc"] == pytest.approx(expected)
    assert row["auroc_low"] is not None


def test_the_table_is_the_same_each_time():
    pd.testing.assert_frame_equal(table_of(example()), table_of(example()))


def test_all_answers_together_are_one_auroc():
    run = example()
    known = run.known[LABELS].to_numpy()
    scores = run.said[NETWORK][LABELS].reindex(run.known.index).to_numpy()
    told = np.isfinite(known)
    row = table_of(run).loc[POOLED, NETWORK]
    assert row["auroc"] == pytest.approx(roc_auc_score(known[told] == 1, scores[told]))
    assert row["auroc_low"] < row["auroc"] < row["auroc_high"]


def test_a_fold_without_a_finding_says_nothing_of_it():
    run, second = example(1), example(2)
    second.known["Edema"] = np.where(second.known["Edema"].isna(), np.nan, 0.0)
    table = table_of(run, second)
    row = table.loc["Edema", NETWORK]
    assert row["auroc"] == pytest.approx(auroc(run, "Edema"))
    assert row["auprc"] == pytest.approx(table_of(run).loc["Edema", NETWORK]["auprc"])
    # The fold's groups add nothing: the interval is that of the other one, but for g / (g - 1).
    np.testing.assert_allclose(
        row["auroc_low"], table_of(run).loc["Edema", NETWORK]["auroc_low"], atol=1e-3
    )
    assert table.loc["Mass", NETWORK]["auroc"] == pytest.approx(
        np.mean([auroc(r, "Mass") for r in (run, second)])
    )


def test_a_finding_that_no_fold_has_is_no_number():
    run = example()
    run.known["Edema"] = 0.0
    table = table_of(run)
    assert table.loc[("Edema", NETWORK), ["auroc", "auroc_low", "auprc"]].isna().all()
    assert table.loc[(MEAN, NETWORK), "auroc"] == pytest.approx(auroc(run, "Mass"))


def test_rare_findings_leave_an_interval():
    # One image of each finding: more than a third of the resamples have it not.
    folds = [example(fold, n=60, prevalence=(0, 0)) for fold in range(1, 6)]
    for run in folds:
        run.known["Edema"] = 0.0
        for position, finding in ((3, "Mass"), (9, "Edema")):
            run.known.loc[run.known.index[position], finding] = 1.0
    table = table_of(*folds)
    for name in (*LABELS, MEAN):
        row = table.loc[name, NETWORK]
        assert 0 <= row["auroc_low"] <= row["auroc"] <= row["auroc_high"] <= 1
