"""Confidence against accuracy, bin by bin."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.metrics.calibration_bins import (
    calibration_bins,
    expected_calibration_error,
)


def test_calibration_error_by_hand():
    # Bins of width 0.2: {0.55, 0.6} accuracy 1/2, mean 0.575; {0.9, 1.0} accuracy 1, mean 0.95.
    error = expected_calibration_error([0.55, 0.6, 0.9, 1.0], [True, False, True, True], bins=5)
    assert error == pytest.approx(0.5 * 0.075 + 0.5 * 0.05, abs=1e-12)


def test_calibration_bins_hold_their_upper_edge():
    table = calibration_bins([0.0, 0.2, 0.2000001, 1.0], [True] * 4, bins=5)
    assert table["n"].tolist() == [2, 1, 0, 0, 1]
    assert np.isnan(table["accuracy"].iloc[2])
