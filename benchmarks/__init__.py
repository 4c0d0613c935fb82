"""Measurements of this project; run them with nothing else running."""
