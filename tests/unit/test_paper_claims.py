"""Verdicts follow from numbers by written rules."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.paper.claims import paper_claims
from workflow_scripts.cxrcam.paper.designs import Designs
from workflow_scripts.cxrcam.paper.scorecard import (
    NO_FLOOR,
    NOT_REPRODUCED,
    REPRODUCED,
    UNTESTABLE,
    VERDICTS,
    Evidence,
    scorecard_markdown,
    scorecard_table,
)

DESIGNS = Designs("whole", "few", "folds", "honest", ("whole_sgd",))


def metrics(accuracy: float = 0.96, n: int = 200) -> pd.DataFrame:
    rows = []
    for task in ("two", "three"):
        for scheme in ("whole", "few", "folds", "honest", "whole_sgd"):
            for seed in (0, 1):
                row = {"task": task, "scheme": scheme, "fold": 1, "seed": seed, "n": n}
                row |= {"accuracy": accuracy, "best_floor": "border", "best_floor_accuracy": 0.9}
                if scheme == "few":
                    row |= {
                        "shared_test_n": n,
                        "shared_test_accuracy": min(1.0, accuracy - 0.02 + 0.04 * seed),
                    }
                    row |= {"rest_n": n, "rest_accuracy": 0.5, "rest_balanced_accuracy": 0.6}
                rows.append(row)
    return pd.DataFrame(rows)


def efforts(two=(100, 110), three=(300, 320), few=(50, 60)) -> pd.DataFrame:
    rows = []
    for task, whole, slower in (("two", two, 0), ("three", three, 50)):
        for scheme, values in (("whole", whole), ("few", [v + slower for v in few])):
            for seed, value in enumerate(values):
                rows.append(
                    {"task": task, "scheme": scheme, "fold": 1, "seed": seed}
                    | {"first_iteration": value, "first_seconds": value / 10 if value else value}
                )
    return pd.DataFrame(rows)


POINTED = {"value": 0.4, "interval": [0.3, 0.5], "chance": 0.1, "n": 50}
EVIDENCE = Evidence(
    metrics=metrics(),
    efforts=efforts(),
    classes={"two": ["a", "b"], "three": ["a", "b", "c"]},
    designs=DESIGNS,
    target=0.95,
    parameters={"two": 11_177_538, "three": 11_178_051},
    architecture="resnet18",
    expected=pd.DataFrame({"what": ["images"], "expected": [5], "found": [5], "agrees": [True]}),
    channels=pd.DataFrame({"class": ["a", "a", "b"], "share": [0.2, 0.1, 0.4]}),
    maps={("two", "whole"): {"pointing_game": POINTED}},
)


def verdicts(evidence: Evidence, words: str) -> list[str]:
    found = [claim.verdict for claim in paper_claims(evidence) if words in claim.claim]
    assert found, f"no claim with {words!r}"
    return found


def test_everything_as_in_the_paper_is_reproduced():
    assert {claim.verdict for claim in paper_claims(EVIDENCE)} == {REPRODUCED}


@pytest.mark.parametrize(
    ("accuracy", "verdict"), [(0.946, REPRODUCED), (0.944, NOT_REPRODUCED), (1.0, REPRODUCED)]
)
def test_the_headline_is_judged_as_printed_in_whole_per_cents(accuracy, verdict):
    evidence = replace(EVIDENCE, metrics=metrics(accuracy, 1000))
    assert set(verdicts(evidence, "Accuracy of 95 %")) == {verdict}


def test_every_accuracy_comes_with_interval_n_and_floor():
    for claim in paper_claims(EVIDENCE):
        if claim.paper == "95 %":
            assert claim.low < claim.value < claim.high
            assert claim.n == 200  # two seeds of one division
            assert claim.floor == "90.0% (border)"


def test_a_floor_that_was_not_measured_is_said_to_be_missing():
    bare = EVIDENCE.metrics.drop(columns=["best_floor", "best_floor_accuracy"])
    claims = paper_claims(replace(EVIDENCE, metrics=bare))
    assert {claim.floor for claim in claims if claim.paper == "95 %"} == {NO_FLOOR}


def test_other_parameter_counts_are_not_reproduced():
    evidence = replace(EVIDENCE, parameters={"two": 11_177_537, "three": 11_178_051})
    assert verdicts(evidence, "2 outputs") == [NOT_REPRODUCED]
    other = replace(EVIDENCE, architecture="vgg19")
    assert verdicts(other, "2 outputs") == [UNTESTABLE]


@pytest.mark.parametrize(
    ("two", "three", "verdict"),
    [
        ((100, 110), (300, 320), REPRODUCED),
        ((300, 320), (100, 110), NOT_REPRODUCED),
        ((100, 400), (300, 320), NOT_REPRODUCED),  # the interval of the difference holds 0
        ((np.nan, np.nan), (300, 320), NOT_REPRODUCED),
        ((100, 110), (np.nan, np.nan), REPRODUCED),
        ((np.nan, np.nan), (np.nan, np.nan), UNTESTABLE),
        ((100,), (300,), UNTESTABLE),  # one run a side
    ],
)
def test_less_effort_must_be_shown_and_not_only_seen(two, three, verdict):
    evidence = replace(EVIDENCE, efforts=efforts(two, three))
    assert verdicts(evidence, "Fewer classes")[0] == verdict


def test_sub_samples_are_summed_over_folds_of_a_seed():
    table = efforts()
    folds = [table, table[table["scheme"] == "few"].assign(fold=2)]
    claims = paper_claims(replace(EVIDENCE, efforts=pd.concat(folds)))
    summed = [claim for claim in claims if "even summed" in claim.claim and "two" in claim.element]
    assert "few, 2 summed: 11 s of training" in summed[0].ours  # (5 + 5 + 6 + 6) / 2


def test_a_sub_sample_that_never_arrives_has_no_sum():
    table = efforts()
    missing = table[table["scheme"] == "few"].assign(fold=2, first_seconds=np.nan)
    claims = paper_claims(replace(EVIDENCE, efforts=pd.concat([table, missing])))
    summed = [claim for claim in claims if "even summed" in claim.claim]
    assert {claim.verdict for claim in summed} == {NOT_REPRODUCED}


def test_a_sum_of_one_seed_takes_longer_than_its_parts():
    """Three sub-samples of one seed have one sum, which has no interval of its own."""
    table = efforts(few=(np.nan,))
    folds = [table, *(table[table["scheme"] == "few"].assign(fold=k) for k in (2, 3))]
    evidence = replace(EVIDENCE, efforts=pd.concat(folds))
    assert verdicts(evidence, "sooner than the complete set") == [NOT_REPRODUCED] * 4
    (why,) = {claim.why for claim in paper_claims(evidence) if "even summed" in claim.claim}
    assert why.startswith("Not even one sub-sample alone")
    # Sooner alone says nothing of the sum.
    table = efforts(few=(50,))
    folds = [table, table[table["scheme"] == "few"].assign(fold=2, first_seconds=4.0)]
    quick = replace(EVIDENCE, efforts=pd.concat(folds))
    assert verdicts(quick, "sooner than the complete set")[:2] == [REPRODUCED, UNTESTABLE]


def test_maps_at_chance_are_not_reproduced_and_lungs_are_not_lesions():
    def judged(**scores: dict) -> list[str]:
        return verdicts(replace(EVIDENCE, maps={("two", "whole"): scores}), "lesions")

    assert judged(pointing_game=POINTED) == [REPRODUCED]
    assert judged(pointing_game=POINTED | {"interval": [0.05, 0.5]}) == [NOT_REPRODUCED]
    assert judged(pointing_game=POINTED | {"interval": None}) == [NOT_REPRODUCED]
    assert judged(lung_share=POINTED) == [UNTESTABLE]
    assert judged(pointing_game={"reason": "no lesion mask"}) == [UNTESTABLE]
    # Of another design than the complete one.
    other = replace(EVIDENCE, maps={("two", "few"): {"pointing_game": POINTED}})
    assert verdicts(other, "lesions") == [UNTESTABLE]


def test_a_configuration_without_the_papers_designs_cannot_be_tested():
    bare = replace(EVIDENCE, designs=Designs(None, None, None, None, ()), expected=None)
    for words in ("k-fold", "nothing looks", "Sub-samples", "generalise", "15,153"):
        assert set(verdicts(bare, words)) <= {UNTESTABLE} if words != "nothing looks" else True


def test_the_card_shows_every_claim_once():
    claims = paper_claims(EVIDENCE)
    page = scorecard_markdown(claims, "Title", ["random", "imagenet"])
    assert "Initial weights: imagenet, random." in page
    assert page.count("\n### ") == len(claims) == len(scorecard_table(claims))
    assert all(f" {verdict}" in page for verdict in VERDICTS)
