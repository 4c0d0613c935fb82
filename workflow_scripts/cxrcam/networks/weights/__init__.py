"""Weights that networks start from: files, downloads, other projects' checkpoints."""
