"""All scores of several ways to make a map, side by side: one row a design and method."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.configuration.map_methods import TITLES
from workflow_scripts.cxrcam.map_tests.summaries import MeanInterval

PLACES: Final = ("lung_share", "border_share", "pointing_game", "intersection_over_union")


def methods_to_test(own: str, configured: Iterable[str]) -> list[str]:
    """The network's own kind of map first, then the configured methods, each once.

    Parameters
    ----------
    own : {"exact", "grad_cam"}
        `architectures.Backbone.map_kind`: the own map of VGG and of capsules is Grad-CAM.
    configured : iterable of str
        ``audit.map_methods``.
    """
    return list(dict.fromkeys([own, *configured]))


def method_table(
    runs: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """`method_row` of each run and method; `scores` are those of each run, by method."""
    return pd.DataFrame(
        [
            {key: run[key] for key in ("task", "scheme", "fold", "seed")}
            | method_row(method, found)
            for run, of_run in zip(runs, scores, strict=True)
            for method, found in of_run.items()
        ]
    )


def method_row(method: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of one method in one row.

    Parameters
    ----------
    method : str
        Key of `TITLES`.
    scores : mapping
        What `places.place_scores` and `explanation_tests.explanation_tests` gave.

    Returns
    -------
    dict
        ``method``, ``title``, ``images``; then each score with ``_low``, ``_high`` (95 %) and
        ``_n``, where places have ``_chance`` besides: ``lung_share``, ``border_share``,
        ``pointing_game``, ``intersection_over_union``; ``untrained_spearman`` and
        ``untrained_ssim`` (of the map with that of the network with all layers untrained),
        ``other_image_spearman`` (of maps of different images); ``insertion``, ``deletion``,
        ``road`` (areas) and their advantages ``..._over_centre``, ``..._over_blurred``,
        ``..._over_random``; ``flip_spearman``, ``flip_ssim``. None where there is none.
    """
    row: dict[str, Any] = {"method": method, "title": TITLES[method], "images": scores["n"]}
    for name in PLACES:
        place = scores[name]
        row |= _columns(name, place.get("value"), place.get("interval"), place.get("n", 0))
        row[f"{name}_chance"] = place.get("chance")
    *_, untrained, floor = scores["randomisation"]
    for name, mean in (
        ("untrained_spearman", untrained["spearman"]),
        ("untrained_ssim", untrained["ssim"]),
        ("other_image_spearman", floor["spearman"]),
    ):
        row |= _of_mean(name, mean)
    for of_test in scores["faithfulness"]:
        name, control = of_test["test"], of_test["map"]
        if control == "map":
            row |= _of_mean(name, of_test["area"])
        else:
            row |= _of_mean(f"{name}_over_{control}", of_test["advantage"])
    for name in ("spearman", "ssim"):
        row |= _of_mean(f"flip_{name}", scores["flip"][name])
    return row


def _of_mean(name: str, mean: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a `MeanInterval`, as JSON holds it."""
    fields = MeanInterval(**mean)
    return _columns(name, fields.mean, fields.interval, fields.n)


def _columns(
    name: str, value: float | None, interval: Iterable[float] | None, n: int
) -> dict[str, Any]:
    low, high = interval if interval is not None else (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}
