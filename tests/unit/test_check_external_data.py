"""External data: accuracy that falls elsewhere fails."""

import pandas as pd

from tests.unit.audit_tables_example import one, runs, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import external_data


def judged(table):
    return external_data.judge(AuditTables(external=table))


def external(accuracy, n=2000, internal=0.95, majority=0.5):
    names = ("fold", "data_set", "n", "accuracy", "majority_share", "internal_n")
    row = (1, "elsewhere", n, accuracy, majority, n)
    return runs(row, columns=names, internal_accuracy=internal)


def sources(accuracy, held_out=("source Rome", "source Bonn"), **also):
    """Runs of a grouped holdout with 95 % right, and of two sources that were left out."""
    inside = runs((1, 0, 2000, 0.95), majority_share=0.5)
    left_out = runs(
        *((k, 0, 1000, value) for k, value in enumerate(accuracy, 1)),
        **{"scheme": "sites", "majority_share": 0.5, "held_out": held_out},
    )
    leaks = pd.DataFrame({"task": "two_class", "scheme": ["sites", "holdout"], "grouped": True})
    return external_data.judge(
        AuditTables(runs=pd.concat([inside, left_out]), leaks=leaks.assign(**also))
    )


def test_sources_that_were_left_out_stand_in_for_external_data():
    fallen = one(sources([0.9, 0.6]))
    assert (fallen.status, fallen.subject) == ("failed", "two_class")
    assert fallen.name == "external data: sites" and fallen.file == "tables/metrics.csv"
    assert (
        "on images of sources left out of training (sites) the network is right on 75 %"
        in fallen.clause
    )
    for words in ("75 % (73 to 77 %, n = 2,000)", "here on 95 %", "fall of 20 points (18 to 22)"):
        assert words in fallen.finding
    assert fallen.finding.endswith("lowest 60 % (source Bonn)")
    assert status(sources([0.95, 0.94])) == "passed"


def test_sources_are_compared_with_a_design_that_keeps_patients_together_only():
    alone = one(sources([0.9, 0.6], grouped=[True, False]))
    assert alone.status == "not assessable" and "no other design keeps patients" in alone.why


def test_networks_that_see_a_part_of_the_images_left_out_are_no_evidence():
    with_covered = sources([0.9, 0.6], scheme=["others", "holdout"])
    assert one(with_covered).why == "no data set from elsewhere is named (`external`)"


def test_external_data_are_judged_where_there_are_some():
    tables = AuditTables(external=external(0.94), runs=runs((1, 0, 9, 0.5), held_out="source a"))
    assert one(external_data.judge(tables)).name == "external data: elsewhere"


def test_accuracy_that_falls_elsewhere_fails():
    fallen = one(judged(external(0.7)))
    assert fallen.status == "failed" and "elsewhere" in fallen.clause
    assert status(judged(external(0.94))) == "passed"
    assert status(judged(external(0.9, n=40))) == "not assessable"
    assert status(judged(external(0.9, internal=0.91, majority=0.95))) == "failed"
    assert one(judged(None)).clause == "the network was not tested on images from elsewhere"
