"""Traces of acquisition: each is a check of its own."""

import dataclasses

import numpy as np

from tests.unit.audit_tables_example import NAN, status
from workflow_scripts.cxrcam.audit.acquisition import FACT_THRESHOLD, trace_separability
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import acquisition


def judged(table):
    return acquisition.judge(AuditTables(acquisition=table))


def test_each_trace_of_acquisition_is_a_check_of_its_own():
    labels = np.repeat([0, 1], 40)
    traces = {
        name: dataclasses.asdict(
            trace_separability(
                features[:, None],
                labels,
                np.arange(80),
                np.random.default_rng(0),
                trace=name,
                threshold=FACT_THRESHOLD,
            )
        )
        for name, features in {
            "the size of the image": labels * 100.0,
            "the mode": np.zeros(80),
            "the spectrum": np.full(80, NAN),
        }.items()
    }
    as_spectrum = acquisition.judge(
        AuditTables(acquisition={"t": {"spectrum": traces["the size of the image"]}})
    )
    assert as_spectrum[0].mend == "blank_corners"
    size, mode, spectrum = judged({"two_class": traces})
    assert (size.status, mode.status, spectrum.status) == ("failed", "passed", "not assessable")
    assert (
        size.clause
        == "the classes can be told apart without the lungs, by the size of the image (AUROC 1.00)"
    )
    assert size.subject == "two_class"
    assert "it is not known for 80 of 80 images" in spectrum.why
    assert status(judged({})) == "not assessable"


def test_what_dicom_files_needed_is_told_by_class_where_it_differs():
    trace = {"fails": True, "auroc": 0.9, "low": 0.8, "high": 1.0, "n": 60, "threshold": 0.6}
    counts = {
        "modality DX": {"COVID": 20, "Normal": 40},
        "robust range": {"COVID": 1, "Normal": 1},
        "window not believed": {"COVID": 15, "Normal": 0},
        "images": {"COVID": 20, "Normal": 40},
    }
    (check,) = judged({"two_class": {"dicom": trace | {"trace": "it", "counts": counts}}})
    assert check.finding == (
        "AUROC 0.90 (0.80 to 1.00, n = 60)"
        "; window not believed: 15 of 20 COVID, 0 of 40 Normal"
        "; robust range: 1 of 20 COVID, 1 of 40 Normal"
    )
    scarce = {"fails": None, "reason": "too few", "counts": counts}
    (check,) = judged({"two_class": {"dicom": scarce}})
    assert check.status == "not assessable" and "15 of 20 COVID" in check.finding
