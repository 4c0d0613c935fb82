"""Classifiers that see no lung detail: what accuracy costs nothing."""
