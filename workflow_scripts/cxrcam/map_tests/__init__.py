"""Tests of maps: place, faithfulness, randomisation, similarity."""
