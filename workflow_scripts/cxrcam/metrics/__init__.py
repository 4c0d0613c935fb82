"""Figures of merit with their intervals, calibration, and comparisons between runs."""
