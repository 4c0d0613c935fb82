"""Calibration: judged after scaling, and not on few images."""

import numpy as np

from tests.unit.audit_tables_example import NAN, calibrated, one, status
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import calibration
from workflow_scripts.cxrcam.verdict.checks.calibration import calibration_noise


def judged(table):
    return calibration.judge(AuditTables(calibration=table))


def test_calibration_is_judged_after_scaling_and_not_on_few_images():
    assert status(judged(calibrated(0.2, 0.02))) == "passed"
    assert status(judged(calibrated(0.2, 0.2))) == "failed"
    unscaled = one(judged(calibrated(0.2, NAN).assign(reason="no validation part")))
    assert unscaled.status == "failed" and "not rescaled: no validation part" in unscaled.finding
    assert status(judged(calibrated(0.02, 0.02, n=60))) == "not assessable"
    assert status(judged(calibrated(0.4, 0.3, n=60))) == "failed"


def test_a_calibrated_network_stays_below_the_bound_of_the_noise():
    rng = np.random.default_rng(1)
    for n in (60, 500):
        found = []
        for _ in range(200):
            confidence = rng.uniform(0.5, 1.0, n)
            correct = rng.random(n) < confidence
            found.append(expected_calibration_error(confidence, correct))
        assert 0.3 * calibration_noise(0.75, n) < np.mean(found) < calibration_noise(0.75, n)
