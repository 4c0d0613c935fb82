"""Measurements that say whether a number can be believed."""
