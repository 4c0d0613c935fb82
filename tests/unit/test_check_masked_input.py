"""Covered images: accuracy that stays without lungs fails, a loss proves nothing."""

import pandas as pd
import pytest

from tests.unit.audit_tables_example import NAN, masked, one
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import masked_input


def judged(table):
    return masked_input.judge(AuditTables(masked_inputs=table))


def of_variant(table, title):
    return one([c for c in judged(table) if c.name == f"masked input: {title}"])


def with_lungs(out: float, only: float, **options) -> pd.DataFrame:
    """A centre that can be covered at no cost, and what the lungs themselves are worth."""
    return pd.concat(
        [
            masked("centre_black", 0.92),
            masked("lungs_out", out, **options),
            masked("lungs_only", only, **options),
        ]
    )


def test_a_network_that_keeps_its_accuracy_without_lungs_fails():
    found = of_variant(masked("lungs_out", 0.92), "lungs covered")
    assert found.status == "failed"
    assert (
        found.clause
        == "with the lungs covered the network is still right on 92 %, on whole images on 95 %"
    )
    assert of_variant(masked("lungs_out", 0.55), "lungs covered").status == "passed"
    assert of_variant(masked("lungs_out", 0.75), "lungs covered").status == "not assessable"
    border = of_variant(masked("border_only", 0.9), "border only")
    clause = "with all but the border covered the network is still right on 90 %"
    assert border.clause == f"{clause}, on whole images on 95 %"


def test_what_survives_a_covered_centre_is_no_fault_where_all_hangs_on_the_lungs():
    assert of_variant(masked("centre_black", 0.92), "centre covered").status == "failed"
    found = of_variant(with_lungs(out=0.5, only=0.92), "centre covered")
    assert found.status == "not assessable" and found.clause == ""
    assert "with the lungs covered the gain is lost, and with the lungs alone it stays" in found.why


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


def test_an_accuracy_below_the_commonest_class_keeps_nothing_of_the_gain():
    found = of_variant(masked("lungs_out", 0.2), "lungs covered")
    assert found.status == "passed"
    assert "0 % (0 to 0 %) of its gain over the commonest class is left" in found.why


def test_variants_that_could_not_be_made_are_listed_with_the_reason():
    checks = judged(masked("centre_black", 0.6))
    assert len(checks) == 4
    missing = {c.name: c.why for c in checks if c.status == "not assessable"}
    assert missing["masked input: lungs covered"] == "no test image has a lung mask"
    useless = of_variant(masked("border_only", 0.5, original=0.52), "border only")
    assert useless.status == "not assessable" and "not clearly better" in useless.why


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
        "a network trained with all but the border covered is right on 95 %, one trained on"
        " whole images on 95 %"
    )
    # Nobody has to retrain: what was not tried is no check.
    assert len(judged(table)) == 4 + 1


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
    found = one([c for c in judged(table) if "retrained" in c.name])
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
    found = judged(pd.concat([masked("border_only", 0.80), *untested]))
    assert alone.why in [check.why for check in found]
