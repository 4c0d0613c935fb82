"""The study that the project began with: its designs, claims and scorecard."""
