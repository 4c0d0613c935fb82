"""The rule graph: read as Snakemake prints it, laid out so that no line crosses a box."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.text import Text

from workflow_scripts.cxrcam.figures.pipeline import pipeline_caption, pipeline_figure
from workflow_scripts.cxrcam.figures.rule_graph import edges_from_dot, layered_layout

DOT = r"""Building DAG of jobs...
digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
    node[shape=box, style=rounded, fontname=sans,                 fontsize=10, penwidth=2];
    edge[penwidth=2, color=grey];
	0[label = "all", color = "0.57 0.6 0.85", style="rounded"];
	1[label = "run_config", color = "0.28 0.6 0.85", style="rounded"];
	2[label = "index", color = "0.15 0.6 0.85", style="rounded"];
	3[label = "cache\nshard: 00000", color = "0.10 0.6 0.85", style="rounded,dashed"];
	4[label = "a \"quoted\" rule", color = "0.10 0.6 0.85", style="rounded"];
	1 -> 0
	2 -> 0
	3 -> 2
	3 -> 2
	4 -> 3
}
"""

EDGES = [
    ("phantoms", "listing"),
    ("phantoms", "cache"),
    ("listing", "index"),
    ("cache", "index"),
    ("index", "splits"),
    ("cache", "train"),
    ("splits", "train"),
    ("cache", "predict"),
    ("train", "predict"),
    ("splits", "predict"),
    ("predict", "evaluate"),
    ("splits", "evaluate"),
    ("evaluate", "tables"),
    ("predict", "cam"),
    ("index", "cam"),
    ("predict", "figures"),
    ("train", "figures"),
    ("train", "effort"),
    ("effort", "scorecard"),
    ("tables", "scorecard"),
    ("train", "benchmark_of_eight_networks_with_a_very_long_name"),
    ("scorecard", "all"),
    ("figures", "all"),
    ("run_config", "all"),
]


def test_edges_are_read_as_snakemake_prints_them_whatever_their_order():
    edges = [
        ('a "quoted" rule', "cache"),
        ("cache", "index"),
        ("index", "all"),
        ("run_config", "all"),
    ]
    assert edges_from_dot(DOT) == edges
    shuffled = DOT.replace("1 -> 0\n\t2 -> 0\n\t3 -> 2\n", "3 -> 2\n\t2 -> 0\n\t1 -> 0\n")
    assert shuffled != DOT
    assert edges_from_dot(shuffled) == edges


def test_texts_that_are_no_rule_graph_are_named():
    with pytest.raises(ValueError, match="digraph"):
        edges_from_dot("Nothing to be done.")
    with pytest.raises(ValueError, match="node 7"):
        edges_from_dot(DOT.replace("4 -> 3", "7 -> 3"))


def random_edges(seed, n=22):
    generator = np.random.default_rng(seed)
    pairs = itertools.combinations(range(n), 2)
    return [(f"rule_{a}", f"rule_{b}") for a, b in pairs if generator.random() < 0.12]


@pytest.mark.parametrize("edges", [EDGES, *map(random_edges, range(4))])
def test_no_line_crosses_a_box_and_no_box_another(edges):
    figure = pipeline_figure(edges)
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    boxes = [p for p in axes.patches if isinstance(p, FancyBboxPatch) and p.get_height() > 0.1]
    extents = [box.get_path().get_extents(box.get_patch_transform()) for box in boxes]
    for first, second in itertools.combinations(extents, 2):
        assert not first.padded(-0.01).overlaps(second.padded(-0.01))
    at = np.linspace(0, 1, 50)
    bernstein = np.stack([(1 - at) ** 3, 3 * at * (1 - at) ** 2, 3 * at**2 * (1 - at), at**3], 1)
    curves = [
        bernstein @ patch.get_path().vertices
        for patch in axes.patches
        if isinstance(patch, PathPatch)
    ]
    lines = [np.column_stack(line.get_data()) for line in axes.lines]
    assert len(curves) >= len([pair for pair in edges if "all" not in pair])
    for points in [*curves, *lines]:
        steps = np.linspace(0, 1, 20)[:, None, None]
        fine = (points[:-1] * (1 - steps) + points[1:] * steps).reshape(-1, 2)
        for extent in extents:
            inside = (np.abs(fine - [(extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2])) < [
                extent.width / 2 - 0.005,
                extent.height / 2 - 0.005,
            ]
            assert not inside.all(axis=1).any()
    limits = axes.get_window_extent().padded(1)
    for text in figure.findobj(Text):
        if text.get_text():
            box = text.get_window_extent()
            assert limits.contains(box.x0, box.y0), text.get_text()
            assert limits.contains(box.x1, box.y1), text.get_text()


def test_each_rule_stands_below_all_that_it_uses():
    layout = layered_layout(EDGES, 7.0, lambda name: 0.8, 0.1)
    assert all(layout.rules[a].layer < layout.rules[b].layer for a, b in EDGES)
    assert set(layout.rules) == {name for pair in EDGES for name in pair}
    assert layout == layered_layout(EDGES, 7.0, lambda name: 0.8, 0.1)


def test_a_chain_is_straight_and_a_fan_is_spread():
    chain = layered_layout([("a", "b"), ("b", "c")], 7.0, lambda name: 0.8, 0.1)
    assert len({round(place.x, 6) for place in chain.rules.values()}) == 1
    fan = layered_layout([("a", name) for name in "bcde"], 7.0, lambda name: 0.8, 0.1)
    xs = sorted(fan.rules[name].x for name in "bcde")
    assert (np.diff(xs) >= 0.9 - 1e-9).all()


def test_order_removes_crossings_that_need_not_be():
    # In the order of their names, b -> d would cross a -> e.
    crossed = [("a", "c"), ("b", "d"), ("a", "e"), ("b", "f")]
    layout = layered_layout(crossed, 7.0, lambda name: 0.8, 0.1)
    ends = [(layout.rules[a].x, layout.rules[b].x) for a, b in crossed]
    for (a, b), (c, d) in itertools.combinations(ends, 2):
        assert (a - c) * (b - d) >= -1e-9


def test_a_layer_that_is_too_wide_goes_on_below():
    fan = [("a", f"rule_{i}") for i in range(20)]
    layout = layered_layout(fan, 7.0, lambda name: 0.9, 0.1)
    for layer in range(layout.layers):
        assert sum(place.layer == layer for place in layout.rules.values()) <= 7
    assert all(0.45 <= place.x <= 6.55 for place in layout.rules.values())


def test_target_rules_are_left_out_but_no_rule_that_only_they_need():
    figure = pipeline_figure(EDGES)
    names = {text.get_text() for text in figure.findobj(Text)}
    assert "all" not in names
    assert "run_config" in names
    assert "22 rules" not in pipeline_caption(EDGES)
    rules = len({name for pair in EDGES for name in pair}) - 1
    assert f"{rules} rules and 21 dependencies" in pipeline_caption(EDGES)
    assert "all" in {text.get_text() for text in pipeline_figure(EDGES, omit=()).findobj(Text)}


def test_circles_and_empty_graphs_are_refused():
    with pytest.raises(ValueError, match="circle"):
        pipeline_figure([("a", "b"), ("b", "a")])
    with pytest.raises(ValueError, match="empty"):
        pipeline_figure([])
