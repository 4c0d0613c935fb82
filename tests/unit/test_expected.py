"""What a data set ought to hold, against what was found."""

import pandas as pd

from workflow_scripts.cxrcam.data.expected import compare_with_expected, say_what_differs

INDEX = pd.DataFrame(
    {"label": ["a", "a", "b"], "width": [299, 299, 299], "height": [299, 299, 300]}
)


def test_agreement_is_said_in_one_sentence():
    expected = {"images_per_class": {"a": 2, "b": 1}, "left_out": {"c": 5}, "side": 0}
    found = compare_with_expected(INDEX, {"c": 5}, expected)
    assert found["agrees"].all()
    assert say_what_differs(found) == "All 4 expectations hold."


def test_each_difference_is_named_with_both_numbers():
    expected = {"images_per_class": {"a": 3616, "z": 1}, "left_out": {"c": 5}, "side": 299}
    said = say_what_differs(compare_with_expected(INDEX, {}, expected))
    assert "images of a: 2 instead of 3,616" in said
    assert "images of z: 0 instead of 1" in said
    assert "images of c, left out: 0 instead of 5" in said
    assert "images of 299 × 299 pixels: 2 instead of 3" in said
