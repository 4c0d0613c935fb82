"""The picture of the workflow: its rules exist, and its arrows cross nothing."""

import re
from pathlib import Path

import pytest
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.figures.pipeline import STAGES, pipeline_caption, pipeline_figure

RULES = Path(__file__).parents[2] / "rules"


def test_every_rule_that_is_named_exists():
    sources = [file.read_text(encoding="utf-8") for file in RULES.glob("*.smk")]
    known = {name for source in sources for name in re.findall(r"^rule (\w+):", source, re.M)}
    named = [rule for stage in STAGES.values() for rule in stage.rules.split(", ")]
    assert set(named) <= known
    assert len(named) == len(set(named)) > 25


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_stands_beside_what_it_uses(name):
    stage = STAGES[name]
    places = [(other.column, other.row) for other in STAGES.values()]
    assert places.count((stage.column, stage.row)) == 1
    for used in stage.uses:
        other = STAGES[used]
        assert abs(stage.column - other.column) + abs(stage.row - other.row) == 1, used


def test_texts_stay_in_their_boxes_and_on_the_page():
    figure = pipeline_figure()
    assert_nothing_is_cut_off_or_overlaps(figure, on_panels=True)
    (axes,) = figure.axes
    boxes = [p.get_window_extent() for p in axes.patches if isinstance(p, FancyBboxPatch)]
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert len(texts) > 2 * len(STAGES)
    for text in texts:
        assert "…" not in text.get_text()
        extent = text.get_window_extent()
        for box in boxes:
            if box.overlaps(extent):
                assert box.y0 <= extent.y0 and extent.y1 <= box.y1, text.get_text()
                assert box.x0 <= extent.x0 and extent.x1 <= box.x1, text.get_text()


def test_the_caption_says_how_to_see_all_rules():
    assert f"{len(STAGES)} stages" in pipeline_caption()
    assert "snakemake --rulegraph" in pipeline_caption()
