"""Confidence against accuracy, bin by bin."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.metrics.calibration_bins import (
    calibration_bins,
    expected_calibration_error,
)


def test_calibration_error_by_hand():
    # Of 15 bins: {0.61, 0.65} accuracy 1/2, mean 0.63; {0.95, 1.0} accuracy 1, mean 0.975.
    error = expected_calibration_error([0.61, 0.65, 0.95, 1.0], [True, False, True, True])
    assert error == pytest.approx(0.5 * 0.13 + 0.5 * 0.025, abs=1e-12)


def test_calibration_bins_hold_their_upper_edge():
    table = calibration_bins([0.0, 0.2, 0.2000001, 1.0], [True] * 4)
    assert table.index[table["n"] > 0].tolist() == [0, 2, 3, 14]
    assert np.isnan(table["accuracy"].iloc[1])
