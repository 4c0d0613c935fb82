"""The rules of a study as a picture: which of them feeds which, without those that it does not use.

Snakemake's own picture (``snakemake --rulegraph``) needs Graphviz to be drawn, which the workflow
does without.
"""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Final

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "weights": (),
    "phantoms": (),
    "patient_key": (),
    "run_config": ("weights",),
    "listing": ("phantoms",),
    "cache": ("phantoms", "patient_key"),
    "index": ("listing", "cache"),
    "external_overlap": ("cache",),
    "masks": ("index",),
    "splits": ("index",),
    "features": ("cache", "weights"),
    "train": ("splits", "features"),
    "predict_run": ("train", "masks"),
    "finding_split": ("splits",),
    "finding": ("predict_run", "finding_split"),
    "audit_floors": ("finding_split",),
    "evaluate": ("finding", "audit_floors"),
    "tables": ("evaluate",),
    "findings": ("evaluate",),
    "figures": ("evaluate",),
    "comparisons": ("finding",),
    "cam": ("finding",),
    "external_predict": ("train", "external_overlap"),
    "external_table": ("external_predict", "tables"),
    "audit_data": ("index",),
    "audit_duplicates": ("index", "external_overlap"),
    "audit_suspects": ("index",),
    "expected": ("index",),
    "audit_labels": ("finding", "audit_data"),
    "audit_leaks": ("finding_split",),
    "audit_run": ("finding",),
    "audit_explanations": ("finding",),
    "audit_map_methods": ("finding",),
    "map_methods": ("audit_map_methods",),
    "audit_subgroups": ("predict_run",),
    "audit_slices": ("predict_run",),
    "audit_probes": ("predict_run", "audit_data"),
    "audit_verdict": (
        *("audit_data", "audit_suspects", "audit_leaks", "audit_run", "audit_explanations"),
        *(
            "audit_subgroups",
            "audit_slices",
            "audit_probes",
            "tables",
            "findings",
            "external_table",
            "expected",
        ),
    ),
    "report": (
        *("run_config", "audit_verdict", "audit_duplicates", "audit_labels", "comparisons"),
        *("cam", "figures", "map_methods"),
    ),
}
"""Each rule and those that it takes files of, in the order of the flow.

Where a rule is left out, others take what it would take. Of what a rule takes, what comes through
another one is left out.
"""

# Pixels of the picture.
_BOX: Final = (124, 26)
_STEP: Final = (134, 58)
_LANE: Final = 26
"""Room for an arrow that passes a layer."""

Node = str | tuple[str, str, int]
"""A rule, or where the arrow between two rules passes a layer."""


def arrows(not_used: Collection[str] = ()) -> dict[str, list[str]]:
    """Those that each rule takes files of, as in `RULES`, without rules that are not used."""
    taken: dict[str, list[str]] = {}
    behind: dict[str, set[str]] = {}
    for rule, uses in RULES.items():
        direct = {name for use in uses for name in ([use] if use not in not_used else taken[use])}
        through = {name for use in direct for name in behind[use]}
        taken[rule] = [name for name in RULES if name in direct - through]
        behind[rule] = direct | through
    return {rule: uses for rule, uses in taken.items() if rule not in not_used}


def _layers(uses: Mapping[str, list[str]]) -> tuple[list[list[Node]], list[list[Node]]]:
    """Nodes layer by layer, and each arrow by the nodes that it passes."""
    depth: dict[str, int] = {}
    for rule, taken in uses.items():
        depth[rule] = 1 + max((depth[use] for use in taken), default=-1)
    paths: list[list[Node]] = [
        [use, *((use, rule, k) for k in range(depth[use] + 1, depth[rule])), rule]
        for rule, taken in uses.items()
        for use in taken
    ]
    layers: list[list[Node]] = [[] for _ in range(max(depth.values()) + 1)]
    for rule, k in depth.items():
        layers[k].append(rule)
    for path in paths:
        for node in path[1:-1]:
            layers[int(node[2])].append(node)
    # Each layer in the order of its neighbours above, then below, until few arrows cross.
    for sweep in range(8):
        place = {node: k / len(layer) for layer in layers for k, node in enumerate(layer)}
        ends = [(a, b) for path in paths for a, b in pairwise(path)]
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            beside = {
                node: [place[a] for a, b in ends if b == node]
                if sweep % 2 == 0
                else [place[b] for a, b in ends if a == node]
                for node in layer
            }
            layer.sort(key=lambda n: sum(beside[n]) / len(beside[n]) if beside[n] else place[n])
            place |= {node: k / len(layer) for k, node in enumerate(layer)}
    return layers, paths


def rule_graph(not_used: Collection[str]) -> str:
    """Draw the rules of a study.

    Parameters
    ----------
    not_used : collection of str
        Rules of `RULES` that the study does without.

    Returns
    -------
    str
        SVG: a box a rule, what comes first at the top.
    """
    layers, paths = _layers(arrows(not_used))
    rooms = [[_STEP[0] if isinstance(node, str) else _LANE for node in layer] for layer in layers]
    width, height = max(map(sum, rooms)) + 10, len(layers) * _STEP[1]
    places: dict[Node, tuple[float, float]] = {}
    for k, (layer, room) in enumerate(zip(layers, rooms, strict=True)):
        left = (width - sum(room)) / 2
        for node, own in zip(layer, room, strict=True):
            places[node] = (left + own / 2, (k + 0.5) * _STEP[1])
            left += own
    half = _BOX[1] / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#55606c"/></marker></defs>',
        '<g fill="none" stroke="#55606c">',
    ]
    for path in paths:
        (x, y), *rest = (places[node] for node in path)
        drawn, y = f"M{x:g} {y + half:g}", y + half
        for place, (to_x, to_y) in enumerate(rest, start=1):
            middle, end = (y + to_y - half) / 2, to_y - half
            drawn += f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {end:g}"
            if place < len(rest):
                drawn += f"V{to_y + half:g}"
            x, y = to_x, to_y + half
        lines.append(f'<path d="{drawn}" marker-end="url(#end)"/>')
    lines.append("</g>")
    for node, (x, y) in places.items():
        if isinstance(node, str):
            lines.append(
                f'<rect x="{x - _BOX[0] / 2:g}" y="{y - half:g}" width="{_BOX[0]}" '
                f'height="{_BOX[1]}" rx="6" fill="#ffffff" stroke="#005a9c"/>'
                f'<text x="{x:g}" y="{y + 4:g}" text-anchor="middle">{node}</text>'
            )
    return "\n".join([*lines, "</svg>"]) + "\n"
