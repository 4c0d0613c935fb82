"""The rule graph of a workflow: read from Snakemake, and laid out in layers.

The layout follows Sugiyama, Tagawa & Toda (1981), "Methods for visual understanding of hierarchical
system structures": layers by longest path, order by barycentres, places by least squares.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

import numpy as np
from sklearn.isotonic import isotonic_regression

Edge = tuple[str, str]

_NODE: Final = re.compile(r'^\s*"?([\w.]+)"?\s*\[\s*label\s*=\s*"((?:[^"\\]|\\.)*)"')
_EDGE: Final = re.compile(r'^\s*"?([\w.]+)"?\s*->\s*"?([\w.]+)"?\s*(?:\[.*\])?\s*;?\s*$')

_SWEEPS: Final = 24
_PLACING_SWEEPS: Final = 100

# As in Gansner et al. (1993), "A technique for drawing directed graphs": long lines are straight.
_PASSAGE_WEIGHT: Final = 8.0


def edges_from_dot(text: str) -> list[Edge]:
    """Read the rules that feed each other from the output of ``snakemake --rulegraph``.

    Parameters
    ----------
    text : str
        In the dot language. Lines around the graph (Snakemake's messages) are passed over.

    Returns
    -------
    list of (str, str)
        (rule, rule that uses its output), each pair once, sorted: Snakemake prints them in another
        order each time. A label of several lines counts with its first.

    Raises
    ------
    ValueError
        If the text holds no directed graph, or an edge names a node without a label.
    """
    if "digraph" not in text:
        raise ValueError("the text holds no directed graph (digraph): it is not a rule graph")
    labels: dict[str, str] = {}
    pairs: list[Edge] = []
    for line in text.splitlines():
        if node := _NODE.match(line):
            first = re.split(r"\\n", node[2])[0]
            labels[node[1]] = re.sub(r"\\(.)", r"\1", first)
        elif edge := _EDGE.match(line):
            pairs.append((edge[1], edge[2]))
    for number in (number for pair in pairs for number in pair):
        if number not in labels:
            raise ValueError(f"the rule graph has an edge to node {number}, which has no label")
    return sorted({(labels[a], labels[b]) for a, b in pairs})


@dataclass(frozen=True)
class Place:
    """Where a rule, or a line that passes a layer, stands.

    Attributes
    ----------
    x : float
        Centre, in inches.
    layer : int
        0 at the top.
    """

    x: float
    layer: int


@dataclass(frozen=True)
class Layout:
    """A rule graph in layers.

    Attributes
    ----------
    rules : mapping of str to Place
    passages : mapping of (str, int) to Place
        Where the line of a rule to later layers passes a layer; all its lines share it.
    edges : tuple of (str, str)
    layers : int
    """

    rules: Mapping[str, Place]
    passages: Mapping[tuple[str, int], Place]
    edges: tuple[Edge, ...]
    layers: int

    def segments(self) -> list[tuple[str, Place, Place, str | None]]:
        """Pieces of lines from one layer to the next.

        Returns
        -------
        list of (str, Place, Place, str or None)
            Rule that the line begins at, upper and lower end, and the rule at its lower end (None
            where it passes on). Each once, though several edges may share it.
        """
        found: dict[tuple[str, int, str | None], tuple[Place, Place]] = {}
        for above, below in self.edges:
            start, stop = self.rules[above], self.rules[below]
            for layer in range(start.layer, stop.layer):
                upper = start if layer == start.layer else self.passages[above, layer]
                last = layer + 1 == stop.layer
                lower = stop if last else self.passages[above, layer + 1]
                found[above, layer, below if last else None] = (upper, lower)
        return [(above, *ends, below) for (above, _, below), ends in found.items()]


def layered_layout(
    edges: Iterable[Edge],
    page: float,
    width: Callable[[str], float],
    gap: float,
    rules: Iterable[str] = (),
) -> Layout:
    """Place rules in layers, so that each stands below what it uses.

    Parameters
    ----------
    edges : iterable of (str, str)
        (rule, rule that uses its output).
    page : float
        Room for a layer in inches.
    width : callable
        Width of a rule's box in inches.
    gap : float
        Least room between two neighbours of a layer, in inches; a line that passes needs no more.
    rules : iterable of str
        Rules that have no edges.

    Returns
    -------
    Layout
        The same for the same edges.

    Raises
    ------
    ValueError
        If the edges form a circle, or there is no rule.
    """
    pairs = list(dict.fromkeys(edges))
    names = list(dict.fromkeys([name for pair in pairs for name in pair] + list(rules)))
    if not names:
        raise ValueError("the rule graph is empty: there is nothing to draw")
    layer_of = _layers(names, pairs, page, width, gap)
    nodes: list[list[tuple[str, int]]] = [[] for _ in range(max(layer_of.values()) + 1)]
    for name in names:
        nodes[layer_of[name]].append((name, layer_of[name]))
    links: dict[tuple[tuple[str, int], tuple[str, int]], None] = {}
    for above, below in pairs:
        for layer in range(layer_of[above], layer_of[below]):
            lower = (below if layer + 1 == layer_of[below] else above, layer + 1)
            if lower not in nodes[layer + 1]:
                nodes[layer + 1].append(lower)
            links[(above, layer), lower] = None
    order = _ordered(nodes, list(links))

    def room(node: tuple[str, int]) -> float:
        return width(node[0]) if layer_of[node[0]] == node[1] else 0.0

    x = _positions(order, list(links), room, page, gap)
    places = {node: Place(x[node], node[1]) for layer in order for node in layer}
    return Layout(
        rules={name: places[name, layer_of[name]] for name in names},
        passages={node: place for node, place in places.items() if layer_of[node[0]] != node[1]},
        edges=tuple(pairs),
        layers=len(order),
    )


def _layers(
    names: Sequence[str],
    edges: Sequence[Edge],
    page: float,
    width: Callable[[str], float],
    gap: float,
) -> dict[str, int]:
    """Layer of each rule: below all that it uses, and no layer wider than the page.

    A layer that is full hands rules down, those first from which the shortest way leads on
    (Coffman & Graham 1972). Rules that use nothing stand as close as they can to what uses them.
    """
    above: dict[str, set[str]] = {name: set() for name in names}
    below: dict[str, set[str]] = {name: set() for name in names}
    for first, second in edges:
        above[second].add(first)
        below[first].add(second)
    try:
        # Sorted: sets of names come in another order in each process.
        users = {name: sorted(above[name]) for name in names}
        forward = list(TopologicalSorter(users).static_order())
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        raise ValueError(f"the rules form a circle: {circle}") from error
    way: dict[str, int] = {}
    for name in reversed(forward):
        way[name] = 1 + max((way[other] for other in below[name]), default=0)
    rank = {name: index for index, name in enumerate(names)}
    layer_of: dict[str, int] = {}
    used: dict[int, float] = defaultdict(float)
    # Passing lines need some room, too: a full layer is taken to be nine tenths of the page.
    limit = 0.9 * page
    waiting = set(names)
    while waiting:
        ready = [name for name in waiting if above[name] <= layer_of.keys()]
        name = min(ready, key=lambda name: (-way[name], rank[name]))
        layer = 1 + max((layer_of[other] for other in above[name]), default=-1)
        while used[layer] and used[layer] + width(name) + gap > limit:
            layer += 1
        layer_of[name] = layer
        used[layer] += width(name) + gap
        waiting.remove(name)
    # Rules that lead nowhere else than down to their user follow it.
    follows: dict[str, bool] = {}
    for name in forward:
        follows[name] = all(follows[other] and below[other] == {name} for other in above[name])
    for name in reversed(forward):
        if follows[name] and below[name]:
            lowest = min(layer_of[other] for other in below[name]) - 1
            while lowest > layer_of[name] and used[lowest] + width(name) + gap > limit:
                lowest -= 1
            used[layer_of[name]] -= width(name) + gap
            used[lowest] += width(name) + gap
            layer_of[name] = lowest
    kept = sorted(set(layer_of.values()))
    return {name: kept.index(layer) for name, layer in layer_of.items()}


Node = tuple[str, int]


def _neighbours(links: Sequence[tuple[Node, Node]]) -> tuple[dict[Node, list[Node]], ...]:
    upper: dict[Node, list[Node]] = defaultdict(list)
    lower: dict[Node, list[Node]] = defaultdict(list)
    for first, second in links:
        upper[second].append(first)
        lower[first].append(second)
    return upper, lower


def _ordered(nodes: list[list[Node]], links: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """Order each layer by the mean place of its neighbours, down and up; keep the best order."""
    upper, lower = _neighbours(links)
    order = [list(layer) for layer in nodes]
    best, fewest = order, _crossings(order, links)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        beside = upper if down else lower
        order = [list(layer) for layer in order]
        for index in range(len(order)) if down else reversed(range(len(order))):
            place = {
                node: (position + 0.5) / len(layer)
                for layer in order
                for position, node in enumerate(layer)
            }
            order[index].sort(
                key=lambda node: float(
                    np.mean([place[other] for other in beside[node]] or [place[node]])
                )
            )
        crossings = _crossings(order, links)
        if crossings < fewest:
            best, fewest = order, crossings
    return best


def _crossings(order: Sequence[Sequence[Node]], links: Sequence[tuple[Node, Node]]) -> int:
    """Number of pairs of lines that cross between two layers."""
    place = {node: position for layer in order for position, node in enumerate(layer)}
    ends: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, second in links:
        ends[first[1]].append((place[first], place[second]))
    total = 0
    for pairs in ends.values():
        start, stop = np.array(pairs).T
        total += int(((start[:, None] < start[None]) & (stop[:, None] > stop[None])).sum())
    return total


def _positions(
    order: Sequence[Sequence[Node]],
    links: Sequence[tuple[Node, Node]],
    room: Callable[[Node], float],
    page: float,
    gap: float,
) -> dict[Node, float]:
    """Place nodes as close to their neighbours as order, distances and page allow.

    With the distances taken off, the places of a layer must only not decrease: the least-squares
    solution is an isotonic regression.
    """
    upper, lower = _neighbours(links)
    x: dict[Node, float] = {}
    for layer in order:
        for index, node in enumerate(layer):
            x[node] = page * (index + 0.5) / len(layer)
            if not upper[node] and not lower[node]:
                x[node] = page / 2
    for sweep in range(_PLACING_SWEEPS):
        for layer in order if sweep % 2 == 0 else list(reversed(order)):
            widths = np.array([room(node) for node in layer])
            apart = (widths[1:] + widths[:-1]) / 2 + gap
            offset = np.concatenate([[0.0], np.cumsum(apart)])
            wanted = np.array([_wanted(node, upper[node] + lower[node], x, room) for node in layer])
            lowest = widths[0] / 2
            highest = page - widths[-1] / 2 - offset[-1]
            if highest < lowest:  # too full: as even as the page allows
                offset *= max(page - widths[0] / 2 - widths[-1] / 2, 0.0) / offset[-1]
                highest = lowest
            weight = np.where(widths > 0, 1.0, _PASSAGE_WEIGHT)
            placed = isotonic_regression(
                wanted - offset, sample_weight=weight, y_min=lowest, y_max=highest
            )
            x.update(zip(layer, (placed + offset).tolist(), strict=True))
    return x


def _wanted(
    node: Node, neighbours: Sequence[Node], x: Mapping[Node, float], room: Callable[[Node], float]
) -> float:
    """Mean place of the neighbours; passages of one line hold together, so that it is straight."""
    if not neighbours:
        return x[node]
    passing = room(node) == 0
    weights = [_PASSAGE_WEIGHT if passing and room(other) == 0 else 1.0 for other in neighbours]
    return float(np.average([x[other] for other in neighbours], weights=weights))
