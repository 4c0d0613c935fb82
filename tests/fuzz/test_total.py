"""How many inputs were tried in this session."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_at_least_2000_inputs_were_tried(request: pytest.FixtureRequest, total) -> None:
    collected = {item.path for item in request.session.items}
    if not collected >= set(HERE.glob("test_*.py")):
        pytest.skip("only some of the kinds were asked for")
    if request.session.testsfailed:
        pytest.skip("tests failed, and did not try all of theirs")
    assert total >= 2_000
