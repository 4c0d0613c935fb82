"""Checks of the verdict: alarms where a fault was planted, none on clean data, silence nowhere."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.audit.acquisition import trace_separability
from workflow_scripts.cxrcam.audit.class_by_source import assess_class_by_source
from workflow_scripts.cxrcam.audit.leaks import split_leaks
from workflow_scripts.cxrcam.data.expected import COLUMNS
from workflow_scripts.cxrcam.map_tests.faithfulness import FaithfulnessRow
from workflow_scripts.cxrcam.map_tests.randomisation import CascadeRow
from workflow_scripts.cxrcam.map_tests.summaries import MeanInterval
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.intervals import Interval, wilson_interval
from workflow_scripts.cxrcam.verdict import data_checks, floor_checks, map_checks, number_checks
from workflow_scripts.cxrcam.verdict.check import CheckKind, Headline
from workflow_scripts.cxrcam.verdict.checks import (
    AuditTables,
    all_checks,
    check_acquisition,
    check_better_than_floor,
    check_calibration,
    check_duplicates,
    check_expected,
    check_external,
    check_given_away,
    check_leaks,
    check_map_scores,
    check_map_tests,
    check_masked_inputs,
    check_precision,
    check_repeatability,
    check_seeds,
    check_sources,
)
from workflow_scripts.cxrcam.verdict.number_checks import calibration_noise
from workflow_scripts.cxrcam.verdict.page import alarms, verdict_json, verdict_markdown
from workflow_scripts.cxrcam.verdict.pooling import (
    Estimate,
    designs,
    difference_of_shares,
    pooled_estimate,
    pooled_share,
)

NAN = float("nan")
RUN = ("two_class", "holdout", 1, 0)


def one(checks):
    (check,) = checks
    return check


def status(checks):
    return one(checks).status


# --- pooling --------------------------------------------------------------------------------------


def runs(*rows, columns=("fold", "seed", "n", "accuracy"), **also):
    table = pd.DataFrame(rows, columns=list(columns))
    return table.assign(**{"task": "two_class", "scheme": "holdout"} | also)


def test_folds_add_up_and_seeds_do_not():
    folds = pooled_share(runs((1, 0, 60, 0.9), (2, 0, 40, 0.8)))
    assert (folds.value, folds.n) == (pytest.approx(0.86), 100)
    assert (folds.low, folds.high) == pytest.approx(tuple(wilson_interval(86, 100)))
    assert pooled_share(runs((1, 0, 60, 0.9), (1, 1, 60, 0.8), (1, 2, 60, 0.85))).n == 60
    assert pooled_share(runs((1, 0, 60, NAN))) is None


def test_intervals_of_folds_shrink_with_their_root_and_those_of_seeds_do_not():
    columns = ("fold", "seed", "n", "value", "low", "high")
    rows = [(fold, 0, 50, 0.1, 0.0, 0.2) for fold in range(4)]
    folds = pooled_estimate(runs(*rows, columns=columns), "value", "low", "high")
    assert (folds.low, folds.high, folds.n) == (pytest.approx(0.05), pytest.approx(0.15), 200)
    seeds = [(1, seed, 50, 0.1, 0.0, 0.2) for seed in range(4)]
    same = pooled_estimate(runs(*seeds, columns=columns), "value", "low", "high")
    assert (same.low, same.high, same.n) == (pytest.approx(0.0), pytest.approx(0.2), 50)
    # 10 comparisons at 5 %: the quantile of 0.9975 in place of 0.975.
    wide = pooled_estimate(runs(*seeds, columns=columns), "value", "low", "high", 10)
    assert wide.high - 0.1 == pytest.approx(0.1 * 2.807034 / 1.959964, rel=1e-6)


def test_difference_of_shares_equals_the_published_example_of_newcombe():
    # Newcombe (1998), Stat Med 17:873-890, table II, example (a), method 10: 56/70 - 48/80.
    first, second = (Estimate(k / n, *wilson_interval(k, n), n) for k, n in ((56, 70), (48, 80)))
    found = difference_of_shares(first, second)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


# --- data -----------------------------------------------------------------------------------------


def pairs(*rows):
    columns = ["image_id_a", "image_id_b", "kind", "label_a", "label_b"]
    return pd.DataFrame(rows, columns=columns)


def test_a_pair_with_two_labels_fails_and_is_named():
    found = one(
        check_duplicates(
            pairs(
                ("a", "b", "exact", "COVID", "COVID"),
                ("b", "c", "re-encoded", "COVID", "Normal"),
                ("x", "y", "re-encoded", "Normal", "Normal"),
            ),
            n_images=100,
        )
    )
    assert found.status == "failed"
    assert "1 of 3 pairs" in found.why and "b (COVID) and c (Normal)" in found.why
    assert "2 cluster(s) of 5 images" in found.finding and "among 100 images" in found.finding
    assert alarms([found]) == []


def test_copies_with_one_label_are_counted_and_unknown_labels_are_not_guessed():
    assert status(check_duplicates(pairs(("a", "b", "exact", "COVID", "COVID")))) == "passed"
    assert status(check_duplicates(pairs())) == "passed"
    for table in (
        pairs(("a", "b", "exact", "COVID", None)),
        pairs(("a", "b", "exact", "COVID", "COVID")).drop(columns="label_b"),
        None,
    ):
        assert status(check_duplicates(table)) == "not assessable"


def leaks(roles, duplicates, patients=None, **also):
    """Table of leaks, as the entry script makes it."""
    names = [name for group in roles.values() for name in group]
    role = [role for role, group in roles.items() for _ in group]
    table = None
    if duplicates is not None:
        table = pd.DataFrame(duplicates, columns=["image_id_a", "image_id_b", "kind"])
    rows = split_leaks(names, role, table, patients).rows
    frame = pd.DataFrame([vars(row) for row in rows])
    return frame.assign(**{"task": "t", "scheme": "s", "fold": 1, "grouped": True} | also)


def test_one_twin_in_training_fails_the_split_and_says_whose_fault_it_is():
    roles = {"train": "abc", "test": "de", "validation": "f"}
    table = leaks(roles, [("a", "d", "re-encoded"), ("f", "b", "exact")])
    copies, patients = check_leaks(table)
    assert copies.status == "failed" and "this is a fault" in copies.why
    assert copies.finding.startswith("1 of 2 test images (50 %) have a copy in training")
    assert copies.finding.endswith("of the validation images 1 of 1")
    assert patients.status == "not assessable" and "names no patients" in patients.why
    copies, _ = check_leaks(table.assign(grouped=False))
    assert copies.status == "failed" and "`grouped: true`" in copies.why


def test_a_leak_in_one_fold_is_a_leak_and_a_fold_nobody_looked_at_is_no_pass():
    roles = {"train": "abc", "test": "de"}
    clean, leaky = leaks(roles, []), leaks(roles, [("a", "d", "re-encoded")], fold=2)
    unseen = leaks(roles, None, fold=3)
    assert [c.status for c in check_leaks(clean)] == ["passed", "not assessable"]
    assert check_leaks(pd.concat([clean, leaky]))[0].status == "failed"
    assert check_leaks(pd.concat([leaky, unseen]))[0].status == "failed"
    assert check_leaks(pd.concat([clean, unseen]))[0].status == "not assessable"


def test_patients_pass_only_where_nearly_all_are_known():
    roles = {"train": "abc", "test": "de"}
    for patients, expected in (
        (["1", "2", "3", "4", "5"], "passed"),
        (["1", "2", "3", "3", "5"], "failed"),
        (["1", "2", "3", "4", None], "not assessable"),
    ):
        assert check_leaks(leaks(roles, [], patients))[1].status == expected


def test_twins_in_validation_alone_are_told_and_do_not_fail_the_test():
    copies, _ = check_leaks(
        leaks({"train": "a", "test": "b", "validation": "c"}, [("a", "c", "re-encoded")])
    )
    assert copies.status == "passed" and "of the validation images 1 of 1" in copies.finding


def test_sources_follow_the_finding():
    def assessed(*counts):
        rows = [(c, s) for c, s, n in counts for _ in range(n)]
        found = assess_class_by_source(*zip(*rows, strict=True), ["Normal", "COVID"])
        return one(check_sources(dataclasses.asdict(found), "two_class"))

    confounded = assessed(("Normal", "x", 20), ("COVID", "y", 20))
    assert confounded.status == "failed" and confounded.subject == "two_class"
    assert confounded.clause == "no source holds images of both Normal and COVID"
    mixed = [("Normal", "x", 40), ("COVID", "x", 5), ("Normal", "y", 5), ("COVID", "y", 40)]
    assert "right on 89 %" in assessed(*mixed).clause
    even = [(c, s, 20) for c in ("Normal", "COVID") for s in "xy"]
    assert assessed(*even).status == "passed"
    assert assessed(("Normal", None, 20), ("COVID", None, 20)).status == "not assessable"
    assert status(check_sources(None)) == "not assessable"


def test_each_trace_of_acquisition_is_a_check_of_its_own():
    labels = np.repeat([0, 1], 40)
    traces = {
        name: dataclasses.asdict(
            trace_separability(
                features[:, None], labels, None, np.random.default_rng(0), trace=name, repeats=100
            )
        )
        for name, features in {
            "the size of the image": labels * 100.0,
            "the mode": np.zeros(80),
            "the spectrum": np.full(80, NAN),
        }.items()
    }
    size, mode, spectrum = check_acquisition(traces)
    assert (size.status, mode.status, spectrum.status) == ("failed", "passed", "not assessable")
    assert (
        size.clause
        == "the classes can be told apart by the size of the image alone (AUROC 1.00, chance 0.50)"
    )
    assert "it is not known for 80 of 80 images" in spectrum.why
    assert status(check_acquisition({})) == "not assessable"


def test_another_data_set_than_expected_fails():
    table = pd.DataFrame([("images of COVID", 3616, 3615, False)], columns=COLUMNS)
    assert status(check_expected(table)) == "failed"
    assert status(check_expected(table.assign(found=3616, agrees=True))) == "passed"
    assert status(check_expected(None)) == "not assessable"


# --- floors ---------------------------------------------------------------------------------------

# Right answers of five-fold cross-validated floors on phantoms: two classes, 150 images each, 129
# pixels, difficulty 0.2, seeds 0 to 9 (border, corners, histogram, centre_black, thumbnail).
MEASURED = {
    "clean": {
        "border": [157, 151, 157, 156, 157, 141, 146, 148, 153, 148],
        "corners": [162, 166, 144, 159, 148, 146, 144, 146, 151, 154],
        "histogram": [210, 202, 214, 219, 221, 222, 217, 199, 225, 195],
        "centre_black": [230, 236, 215, 237, 223, 225, 225, 222, 227, 227],
        "thumbnail": [251, 260, 241, 269, 265, 256, 263, 252, 253, 252],
    },
    "marker": {
        "border": [215, 206, 186, 188, 197, 187, 195, 192, 181, 184],
        "corners": [190, 190, 179, 202, 176, 194, 197, 182, 184, 190],
        "histogram": [217, 195, 208, 217, 230, 234, 213, 201, 233, 200],
        "centre_black": [289, 289, 284, 288, 287, 291, 289, 283, 288, 288],
        "thumbnail": [287, 289, 287, 292, 290, 286, 292, 288, 289, 296],
    },
    "exposure": {
        "border": [272, 277, 262, 273, 266, 256, 271, 269, 275, 270],
        "corners": [251, 258, 254, 265, 245, 244, 243, 250, 260, 246],
        "histogram": [292, 294, 296, 296, 293, 293, 294, 292, 292, 289],
        "centre_black": [292, 294, 294, 296, 294, 295, 294, 294, 293, 292],
        "thumbnail": [292, 292, 294, 295, 294, 295, 292, 295, 295, 293],
    },
}


def floors(right, n=300, majority=0.5, **also):
    """One row a floor."""
    rows = [(name, n, k / n) for name, k in ({"majority": majority * n} | right).items()]
    table = pd.DataFrame(rows, columns=["floor", "n", "accuracy"])
    identity = {"task": "two_class", "scheme": "", "fold": 1, "majority_share": majority}
    return table.assign(**identity | also)


def measured(kind, seed):
    return floors({name: counts[seed] for name, counts in MEASURED[kind].items()})


@pytest.mark.parametrize("seed", range(10))
def test_planted_confounders_give_the_data_away_and_clean_data_raise_no_alarm(seed):
    assert status(check_given_away(measured("clean", seed))) == "passed"
    marker = one(check_given_away(measured("marker", seed)))
    assert marker.status == "failed" and "centre_black above 80 %" in marker.why
    exposure = one(check_given_away(measured("exposure", seed)))
    assert exposure.status == "failed"
    assert "border above 55 %" in exposure.why and "histogram above 80 %" in exposure.why
    assert exposure.clause.startswith("a classifier that sees only the image border reaches")


def test_floors_that_know_nothing_fail_in_at_most_one_data_set_in_twenty():
    rng = np.random.default_rng(0)
    draws = rng.binomial(300, 0.5, size=(60, 4, 2))
    names = ("border", "corners")
    failed = 0
    for draw in draws:
        tables = [
            floors(dict(zip(names, counts, strict=True)), task=f"task {k}")
            for k, counts in enumerate(draw)
        ]
        failed += any(c.status == "failed" for c in check_given_away(pd.concat(tables)))
    assert failed <= 0.05 * len(draws)


def test_more_floors_demand_more_of_each():
    # 0.63 of 300: above 0.55 at 95 %, not with 40 looks.
    table = floors({"border": 186})
    assert status(check_given_away(table)) == "failed"
    many = [floors({"border": 150, "corners": 150}, task=f"task {k}") for k in range(20)]
    assert check_given_away(pd.concat([table, *many]))[0].status != "failed"


def test_too_few_images_cannot_pass():
    small = one(check_given_away(floors({"border": 15, "corners": 14}, n=30)))
    assert small.status == "not assessable"
    assert "or more would have been noticed with n = 30" in small.why
    folds = pd.concat([floors({"border": 30}, n=60, fold=fold) for fold in range(5)])
    assert status(check_given_away(folds)) == "passed"


def test_the_thumbnail_sees_the_lungs_and_is_not_blamed():
    assert status(check_given_away(floors({"border": 150, "thumbnail": 297}))) == "passed"
    assert status(check_given_away(floors({"thumbnail": 297}))) == "not assessable"


def test_unequal_classes_are_measured_against_the_commonest():
    assert status(check_given_away(floors({"border": 270}, majority=0.9))) == "passed"
    assert status(check_given_away(floors({"border": 297}, majority=0.9))) == "failed"


def gaps(gap, low, high, **also):
    row = (1, 0, 60, 0.93, "border", 0.93 - gap, gap, low, high)
    names = ("floor_name", "floor_accuracy", "gap", "gap_low", "gap_high")
    return runs(row, columns=("fold", "seed", "n", "accuracy", *names), **also)


def test_a_gap_that_holds_zero_fails_only_where_the_data_give_the_class_away():
    unclear = gaps(0.02, -0.05, 0.09)
    assert status(check_better_than_floor(unclear)) == "not assessable"
    failed = one(check_better_than_floor(unclear, ["two_class"]))
    assert failed.status == "failed"
    assert failed.clause == (
        "a classifier that sees only the image border is as good, 91 % against 93 %"
    )
    for given_away in ([], ["two_class"]):
        assert status(check_better_than_floor(gaps(0.2, 0.1, 0.3), given_away)) == "passed"
    assert "is better" in one(check_better_than_floor(gaps(-0.05, -0.09, -0.01))).clause


def test_many_designs_widen_the_gap_and_a_missing_interval_is_said():
    near = gaps(0.1, 0.01, 0.19)
    assert status(check_better_than_floor(near)) == "passed"
    assert one(check_better_than_floor(near)).why == "the 95.0 % interval lies above 0"
    both = pd.concat([near, *(gaps(0.1, 0.01, 0.19, scheme=f"s{k}") for k in range(9))])
    assert {c.status for c in check_better_than_floor(both)} == {"not assessable"}
    wider = "the 99.5 % interval (10 designs judged) holds 0"
    assert all(c.why.startswith(wider) for c in check_better_than_floor(both))
    missing = gaps(NAN, NAN, NAN).assign(reason="all test images are of one group")
    assert one(check_better_than_floor(missing)).why == "all test images are of one group"


def masked(variant, accuracy, n=200, original=0.95, **also):
    row = (1, 0, n, accuracy, variant, 0.5, original)
    names = ("fold", "seed", "n", "accuracy", "variant", "majority_share", "original_accuracy")
    return runs(row, columns=names, **also)


def of_variant(table, title):
    return one([c for c in check_masked_inputs(table) if c.name == f"masked input: {title}"])


def test_a_network_that_keeps_its_accuracy_without_lungs_fails():
    found = of_variant(masked("lungs_out", 0.92), "lungs covered")
    assert found.status == "failed"
    assert found.clause == "with lungs covered it is still right on 92 %"
    assert of_variant(masked("lungs_out", 0.55), "lungs covered").status == "passed"
    assert of_variant(masked("lungs_out", 0.75), "lungs covered").status == "not assessable"
    border = of_variant(masked("border_only", 0.9), "border only")
    assert border.clause == "with all but the border covered it is still right on 90 %"


def with_lungs(out: float, only: float, **options) -> pd.DataFrame:
    """A centre that can be covered at no cost, and what the lungs themselves are worth."""
    return pd.concat(
        [
            masked("centre_black", 0.92),
            masked("lungs_out", out, **options),
            masked("lungs_only", only, **options),
        ]
    )


def test_what_survives_a_covered_centre_is_no_fault_where_all_hangs_on_the_lungs():
    assert of_variant(masked("centre_black", 0.92), "centre covered").status == "failed"
    found = of_variant(with_lungs(out=0.5, only=0.92), "centre covered")
    assert found.status == "not assessable" and found.clause == ""
    assert "the gain is gone with the lungs covered and stays with the lungs alone" in found.why


@pytest.mark.parametrize(
    ("out", "only", "options"),
    [
        (0.92, 0.92, {}),  # right without lungs as well
        (0.75, 0.92, {}),  # nobody can tell
        (0.5, 0.5, {}),  # whatever is covered, it fails: for the looks of such images
        (0.5, 0.92, {"n": 150}),  # lungs are known of other images than the centre's
    ],
)
def test_a_covered_centre_stays_a_failure_where_the_lungs_prove_nothing(out, only, options):
    found = of_variant(with_lungs(out, only, **options), "centre covered")
    assert found.status == "failed"


def test_lungs_only_can_pass_but_a_loss_proves_nothing():
    assert of_variant(masked("lungs_only", 0.92), "lungs only").status == "passed"
    assert of_variant(masked("lungs_only", 0.5), "lungs only").status == "not assessable"


def test_variants_that_could_not_be_made_are_listed_with_the_reason():
    checks = check_masked_inputs(masked("centre_black", 0.6))
    assert len(checks) == 4
    missing = {c.name: c.why for c in checks if c.status == "not assessable"}
    assert missing["masked input: lungs covered"] == "no test image has a lung mask"
    useless = of_variant(masked("border_only", 0.5, original=0.52), "border only")
    assert useless.status == "not assessable" and "not shown to be better" in useless.why


def test_retrained_networks_are_checks_of_their_own():
    table = pd.concat(
        [
            masked("border_only", 0.5, retrained=False),
            masked("border_only", 0.95, retrained=True),
        ]
    )
    assert of_variant(table, "border only").status == "passed"
    failed = of_variant(table, "retrained on border only")
    assert failed.status == "failed"
    assert failed.clause == (
        "a network trained with all but the border covered is right on 95 %, where whole images"
        " give 95 %"
    )
    # Nobody has to retrain: what was not tried is no check.
    assert len(check_masked_inputs(table)) == 4 + 1


@pytest.mark.parametrize(
    ("accuracy", "n", "expected"),
    [
        (0.60, 400, "passed"),  # keeps 22 % of the gain, at most 34 %
        (0.85, 400, "failed"),  # 78 %, at least 66 %
        (0.72, 400, "not assessable"),
        (0.85, 20, "not assessable"),  # too few images to tell
    ],
)
@pytest.mark.parametrize("variant", ["border_only", "lungs_out", "centre_black"])
def test_a_network_trained_without_lungs_may_not_keep_half_of_the_gain(
    variant, accuracy, n, expected
):
    table = masked(variant, accuracy, n=n, retrained=True)
    found = one([c for c in check_masked_inputs(table) if "retrained" in c.name])
    assert found.status == expected


def test_a_network_trained_on_lungs_passes_but_never_fails():
    for accuracy, expected in ((0.92, "passed"), (0.5, "not assessable")):
        found = of_variant(
            masked("lungs_only", accuracy, retrained=True), "retrained on lungs only"
        )
        assert found.status == expected
        assert "has not seen" not in found.why


def test_only_what_was_tested_widens_the_intervals():
    alone = of_variant(masked("border_only", 0.80), "border only")
    untested = [
        masked("lungs_out", NAN, n=0, scheme=f"s{k}").assign(reason="covered") for k in range(20)
    ]
    found = check_masked_inputs(pd.concat([masked("border_only", 0.80), *untested]))
    assert alone.why in [check.why for check in found]


# --- the number -----------------------------------------------------------------------------------


def test_small_test_sets_fail_by_class_or_by_width_and_folds_add_up():
    small = one(check_precision(runs((1, 0, 40, 0.9)).assign(n_smallest_class=10)))
    assert small.status == "failed" and "10 test images" in small.why
    wide = one(check_precision(runs((1, 0, 60, 0.5))))
    assert wide.status == "failed" and "more than 20" in wide.why
    folds = runs(*((fold, 0, 40, 0.9) for fold in range(4))).assign(n_smallest_class=10)
    assert status(check_precision(folds)) == "passed"
    assert "classes not counted" in one(check_precision(runs((1, 0, 400, 0.9)))).why


def test_seeds_that_differ_by_more_than_the_interval_fail():
    assert status(check_seeds(runs((1, 0, 60, 0.95), (1, 1, 60, 0.90)))) == "passed"
    assert status(check_seeds(runs((1, 0, 60, 0.95), (1, 1, 60, 0.60)))) == "failed"
    single = one(check_seeds(runs((1, 0, 60, 0.95), (2, 0, 60, 0.5))))
    assert single.status == "not assessable" and "seeds: [0, 1, 2]" in single.why


def calibrated(before, after, n=2000):
    names = ("fold", "seed", "n", "accuracy", "ece_before", "ece_after")
    return runs((1, 0, n, 0.9, before, after), columns=names)


def test_calibration_is_judged_after_scaling_and_not_on_few_images():
    assert status(check_calibration(calibrated(0.2, 0.02))) == "passed"
    assert status(check_calibration(calibrated(0.2, 0.2))) == "failed"
    unscaled = one(check_calibration(calibrated(0.2, NAN).assign(reason="no validation part")))
    assert unscaled.status == "failed" and "no temperature (no validation part)" in unscaled.finding
    assert status(check_calibration(calibrated(0.02, 0.02, n=60))) == "not assessable"
    assert status(check_calibration(calibrated(0.4, 0.3, n=60))) == "failed"


def test_a_calibrated_network_stays_below_the_bound_of_the_noise():
    rng = np.random.default_rng(1)
    for n in (60, 500):
        found = []
        for _ in range(200):
            confidence = rng.uniform(0.5, 1.0, n)
            correct = rng.random(n) < confidence
            found.append(expected_calibration_error(confidence, correct))
        assert 0.3 * calibration_noise(0.75, n) < np.mean(found) < calibration_noise(0.75, n)


def external(accuracy, n=2000, internal=0.95, majority=0.5):
    names = ("fold", "data_set", "n", "accuracy", "majority_share", "internal_n")
    row = (1, "elsewhere", n, accuracy, majority, n)
    return runs(row, columns=names, internal_accuracy=internal)


def test_accuracy_that_falls_elsewhere_fails():
    fallen = one(check_external(external(0.7)))
    assert fallen.status == "failed" and "elsewhere" in fallen.clause
    assert status(check_external(external(0.94))) == "passed"
    assert status(check_external(external(0.9, n=40))) == "not assessable"
    assert status(check_external(external(0.9, internal=0.91, majority=0.95))) == "failed"
    assert one(check_external(None)).clause == "external data were not tested"


# --- maps -----------------------------------------------------------------------------------------


def score(value, low, high, chance=0.2, n=30):
    return {"n": n, "value": value, "interval": [low, high], "chance": chance}


def map_status(name, **scores):
    return one([c for c in check_map_scores({RUN: scores}) if c.name == name]).status


def test_maps_pass_above_chance_only():
    for key, name in (("lung_share", "maps in the lungs"), ("pointing_game", "pointing game")):
        assert map_status(name, **{key: score(0.5, 0.4, 0.6)}) == "passed"
        assert map_status(name, **{key: score(0.1, 0.05, 0.15)}) == "failed"
        assert map_status(name, **{key: score(0.3, 0.1, 0.5)}) == "not assessable"
    # Tightly at chance: lesions are not found; the lungs are neither preferred nor avoided.
    assert map_status("pointing game", pointing_game=score(0.21, 0.19, 0.23)) == "failed"
    assert map_status("maps in the lungs", lung_share=score(0.2, 0.19, 0.21)) == "not assessable"


def test_maps_at_the_border_fail_above_one_and_a_half_of_its_area():
    for value, expected in ((0.4, "failed"), (0.2, "passed"), (0.3, "not assessable")):
        found = map_status(
            "maps at the border", border_share=score(value, value - 0.05, value + 0.05)
        )
        assert found == expected


def test_maps_without_masks_say_so_and_are_still_listed():
    checks = check_map_scores({RUN: {"lung_share": {"reason": "no test image has a lung mask"}}})
    assert len(checks) == 4
    assert {c.status for c in checks} == {"not assessable"}
    assert checks[0].why == "no test image has a lung mask"
    no_interval = {"n": 1, "value": 0.4, "interval": None, "chance": 0.2}
    assert map_status("maps in the lungs", lung_share=no_interval) == "not assessable"


def mean(value, half=0.05, n=30):
    return MeanInterval(n, value, Interval(value - half, value + half))


def cascade(last, floor):
    rows = [("fc", 0.9), ("conv1", last), ("floor", floor)]
    return [dataclasses.asdict(CascadeRow(b, mean(0.8), mean(v), 0)) for b, v in rows]


def faithful(**advantages):
    rows = [FaithfulnessRow("road", "map", mean(0.5), None)]
    rows += [FaithfulnessRow("road", name, mean(0.5), mean(v)) for name, v in advantages.items()]
    return [dataclasses.asdict(row) for row in rows]


def outcome(name, **content):
    return one([c for c in check_map_tests({RUN: content}) if c.name == name])


def test_maps_that_survive_untrained_weights_fail():
    assert outcome("randomisation", randomisation=cascade(0.9, 0.3)).status == "failed"
    assert outcome("randomisation", randomisation=cascade(0.1, 0.3)).status == "passed"
    # As alike as maps of different images are anyway: nothing of the learnt is left.
    assert outcome("randomisation", randomisation=cascade(0.7, 0.8)).status == "passed"
    assert outcome("randomisation", randomisation=cascade(0.5, 0.3)).status == "not assessable"
    # Where all maps are alike from the start, as constant ones, nothing can fail.
    assert outcome("randomisation", randomisation=cascade(0.9, 0.95)).status == "not assessable"
    assert outcome("randomisation", randomisation={"reason": "too small"}).why == "too small"


def test_maps_must_beat_random_ones_and_the_centre():
    name = "faithfulness: road"
    better = outcome(name, faithfulness=faithful(centre=0.2, blurred=-0.2, random=0.2))
    assert better.status == "passed" and "blurred -0.200" in better.finding
    lost = outcome(name, faithfulness=faithful(centre=-0.2, blurred=0.0, random=0.2))
    assert lost.status == "failed" and "a blob in the centre" in lost.clause
    near = outcome(name, faithfulness=faithful(centre=0.06, blurred=0.0, random=0.2))
    assert near.status == "not assessable"  # above 0 at 95 %, not with six comparisons
    assert "insertion" in outcome("faithfulness: insertion", faithfulness=faithful(centre=1.0)).why


def test_maps_of_mirror_images_and_other_seeds_must_be_alike():
    for value, expected in ((0.9, "passed"), (0.2, "failed"), (0.5, "not assessable")):
        flip = {name: dataclasses.asdict(mean(value)) for name in ("ssim", "spearman")}
        content = {"flip": flip, "randomisation": cascade(0.1, 0.3)}
        assert outcome("mirror images", **content).status == expected
        repeated = {("two_class", "holdout"): flip}
        assert status(check_repeatability(repeated)) == expected
    # Where maps of different images correlate as well, a high correlation shows nothing.
    strict = outcome("mirror images", flip=flip | {"spearman": dataclasses.asdict(mean(0.9))},
                    randomisation=cascade(0.1, 0.9))  # fmt: skip
    assert strict.status != "passed"
    assert status(check_repeatability({("a", "b"): {"reason": "one seed"}})) == "not assessable"


# --- all ------------------------------------------------------------------------------------------


def test_nothing_is_skipped_in_silence():
    checks = all_checks(AuditTables())
    modules = (data_checks, floor_checks, number_checks, map_checks)
    kinds = {v.name for m in modules for v in vars(m).values() if isinstance(v, CheckKind)}
    assert {check.name.split(":")[0] for check in checks} == kinds
    assert len(kinds) == 21
    assert {check.status for check in checks} == {"not assessable"}
    headline = Headline("two_class", "holdout", "COVID", 0.93, 0.86, 0.97, 90)
    sentence = verdict_json(checks, headline)["sentence"]
    assert "external data were not tested" in sentence and "does not prove" in sentence


def test_all_tables_together_give_the_verdict_in_order_and_plain_json():
    tables = AuditTables(
        duplicates=pairs(),
        n_images=300,
        leaks=leaks({"train": "abc", "test": "de"}, [], task="two_class", scheme="holdout"),
        floors=measured("exposure", 0),
        runs=gaps(0.02, -0.05, 0.09),
        masked_inputs=masked("border_only", 0.9),
        maps={RUN: {"lung_share": score(0.5, 0.4, 0.6)}},
        map_tests={RUN: {"randomisation": cascade(0.1, 0.3)}},
        calibration=calibrated(0.1, 0.02),
    )
    checks = all_checks(tables)
    assert [c.order for c in checks] == sorted(c.order for c in checks)
    failed = {c.name for c in alarms(checks)}
    assert failed == {
        "the data give it away", "better than a blind classifier", "masked input: border only",
    }  # fmt: skip
    headline = Headline("two_class", "holdout", "COVID", 0.93, 0.86, 0.97, 60)
    result = json.loads(json.dumps(verdict_json(checks, headline), allow_nan=False))
    assert result["sentence"] == (
        "The network's 93 % (86 to 97 %, n = 60) cannot be taken as recognition of COVID: a "
        "classifier that sees only the image border reaches 91 % (cross-validated, n = 300), where "
        "guessing gives 50 %; 2 further checks failed."
    )
    assert "nan" not in verdict_markdown(checks, headline, "Verdict").lower()


def test_a_clean_audit_raises_no_alarm():
    tables = AuditTables(
        duplicates=pairs(),
        leaks=leaks({"train": "abc", "test": "de"}, [], task="two_class", scheme="holdout"),
        floors=measured("clean", 0),
        runs=gaps(0.02, -0.05, 0.09),
        masked_inputs=masked("lungs_out", 0.55, n=60),
    )
    assert alarms(all_checks(tables)) == []


def test_a_table_that_lacks_a_column_is_named():
    for check in (check_given_away, check_leaks, check_masked_inputs, check_precision):
        with pytest.raises(ValueError, match="has no column"):
            check(pd.DataFrame({"task": ["t"], "scheme": ["s"]}))


def test_a_row_without_a_scheme_is_refused_not_dropped():
    table = pd.DataFrame({"task": ["two_class"], "scheme": [NAN], "n": [60]})
    with pytest.raises(ValueError, match="no task or scheme"):
        list(designs(table, ("n",)))
