"""Copies of one picture, found without comparing all pairs: exact, near, mirrored, cropped ones."""
