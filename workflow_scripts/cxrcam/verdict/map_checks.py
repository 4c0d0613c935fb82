"""Checks of the maps: where they point, and whether they depend on what the network has learnt.

They say nothing about the accuracy: a network without shortcuts can have maps that show nothing,
and maps inside the lungs do not clear a network (Arun et al. 2021, Saporta et al. 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pandas as pd

from workflow_scripts.cxrcam.verdict.check import FAILED, PASSED, Check, CheckKind, Status, per_cent
from workflow_scripts.cxrcam.verdict.pooling import Estimate, pooled_estimate


class Run(NamedTuple):
    """What names a training run."""

    task: str
    scheme: str
    fold: int
    seed: int


Numbers = Mapping[str, Any]
OfRuns = Mapping[Run, Mapping[str, Any]]

_MAPS = "audit/*/*/fold-*/seed-*/maps.json"
_TESTS = "audit/*/*/fold-*/seed-*/map_tests.json"


def _kind(name: str, question: str, order: int, file: str) -> CheckKind:
    return CheckKind(name, question, "explanation", order, file)


LUNGS: Final = _kind("maps in the lungs", "Do the maps prefer the lungs?", 140, _MAPS)
BORDER: Final = _kind("maps at the border", "Do the maps leave the border alone?", 141, _MAPS)
POINTING: Final = _kind("pointing game", "Is the hottest point in the lesion?", 142, _MAPS)
OVERLAP: Final = _kind("overlap with lesions", "Do the maps cover the lesions?", 143, _MAPS)
RANDOMISATION: Final = _kind("randomisation", "Do the maps depend on what was learnt?", 144, _TESTS)
FAITHFULNESS: Final = _kind(
    "faithfulness", "Does the answer hang on what the maps call important?", 145, _TESTS
)
FLIP: Final = _kind("mirror images", "Is the map of a mirror image the mirrored map?", 146, _TESTS)
REPEATABILITY: Final = _kind(
    "repeatability",
    "Do networks of other seeds draw the same maps?",
    147,
    "audit/repeatability.json",
)

BORDER_RATIO: Final = 1.5
"""Share of the border's area that the maps may give to the border."""

LESION_RATIO: Final = 1.5
"""Ratio to chance that must be ruled out before maps are said not to find lesions."""

SIMILAR: Final = 0.5
"""Spearman correlation from which on maps are alike: "large" by Cohen 1988."""

NO_ROOM: Final = 0.9
"""Correlation of maps of different images beyond which randomisation could hardly fail."""

MAP_TESTS: Final = ("insertion", "deletion", "road")
DECIDING_CONTROLS: Final = ("random", "centre")
"""Maps that know nothing of the network. The blurred copy knows it all, and is only reported."""


def _table(
    entries: Mapping[Run, Numbers | None], value: str = "value"
) -> tuple[pd.DataFrame, str | None]:
    """Rows with value, low, high, chance, n of each run; and the first reason of those without."""
    rows, reason = [], None
    for run, numbers in entries.items():
        task, scheme, fold, seed = run
        numbers = numbers or {"reason": "it was not computed"}
        interval = numbers.get("interval")
        if interval is None and reason is None:
            alone = f"{numbers.get('n', 0)} image(s) or one group give no interval"
            reason = str(numbers.get("reason") or alone)
        low, high = interval if interval is not None else (None, None)
        rows.append(
            {
                "task": task, "scheme": scheme, "fold": fold, "seed": seed,
                "n": numbers.get("n") or 0, "value": numbers.get(value), "low": low, "high": high,
                "chance": numbers.get("chance"),
            }
        )  # fmt: skip
    columns = ["task", "scheme", "fold", "seed", "n", "value", "low", "high", "chance"]
    table = pd.DataFrame(rows, columns=columns)
    numeric = ["value", "low", "high", "chance"]
    return table.astype(dict.fromkeys(numeric, "float64")), reason


def _parts_of_designs(runs: OfRuns, part: str) -> list[tuple[str, dict[Run, Any]]]:
    """Part of each run, by design."""
    by_design: dict[str, dict[Run, Any]] = {}
    for run, content in runs.items():
        subject = f"{run[0]}, {run[1]}"
        by_design.setdefault(subject, {})[Run(*run)] = content.get(part)
    return list(by_design.items())


def check_map_scores(maps: OfRuns | None) -> list[Check]:
    """Where the maps point, against chance; four checks a design.

    Chance is what a map without preference gives. Intervals are at 95 %, over the runs together.

    - lungs (López-Cabrera et al. 2021): passed if the share lies above chance, failed if below
      (the maps avoid the lungs), not assessable if the interval holds chance;
    - border: failed if the share lies above 1.5 times chance, passed if below that;
    - pointing game (Zhang et al. 2018) and intersection over union: passed if above chance; failed
      if even 1.5 times chance is ruled out; otherwise too few lesions to tell.

    Parameters
    ----------
    maps : mapping of Run to mapping, or None
        Content of each run's maps.json: ``lung_share``, ``border_share``, ``pointing_game``,
        ``intersection_over_union``, each with ``n``, ``value``, ``interval``, ``chance``, or with
        ``reason``. A `Run` may be any tuple (task, scheme, fold, seed).
    """
    kinds = {
        "lung_share": (LUNGS, "share of the maps in the lungs"),
        "border_share": (BORDER, "share of the maps at the border"),
        "pointing_game": (POINTING, "hottest point in the lesion"),
        "intersection_over_union": (OVERLAP, "intersection over union"),
    }
    if not maps:
        return [kind.not_assessable("the maps were not scored") for kind, _ in kinds.values()]
    return [
        _map_score(measure, kind, words, subject, entries)
        for measure, (kind, words) in kinds.items()
        for subject, entries in _parts_of_designs(maps, measure)
    ]


def _map_score(
    measure: str, kind: CheckKind, words: str, subject: str, entries: Mapping[Run, Numbers | None]
) -> Check:
    table, reason = _table(entries)
    share = pooled_estimate(table, "value", "low", "high")
    known = table.dropna(subset=["value", "low", "high", "chance"])
    if share is None or known.empty:
        return kind.not_assessable(reason or "no map was scored", subject=subject)
    # Intervals of a share that is nearly none or all may reach over the edge when pooled.
    share = Estimate(share.value, max(0.0, share.low), min(1.0, share.high), share.n)
    chance = float((known["chance"] * known["n"]).sum() / known["n"].sum())
    finding = f"{words} {share}; without preference {per_cent(chance)}"
    status, why = _judge_score(measure, share, chance)
    if len(known) < len(table):
        why += f"; {len(table) - len(known)} of {len(table)} runs: {reason or 'chance unknown'}"
    clause = {
        "lung_share": "they avoid the lungs",
        "border_share": "they favour the border of the image",
    }.get(measure, "they do not find the lesions that are known")
    return kind.result(status, finding, why, subject=subject, clause=clause)


def _judge_score(measure: str, share: Estimate, chance: float) -> tuple[Status, str]:
    if measure == "border_share":
        limit = BORDER_RATIO * chance
        if share.low > limit:
            return FAILED, f"the interval lies above 1.5 times the border's area, {per_cent(limit)}"
        if share.high <= limit:
            return PASSED, f"the interval lies below 1.5 times the border's area, {per_cent(limit)}"
        return (
            "not assessable",
            f"the interval holds 1.5 times the border's area, {per_cent(limit)}",
        )
    if share.low > chance:
        return PASSED, "the interval lies above chance"
    if share.high < chance:
        return FAILED, "the interval lies below chance"
    if measure != "lung_share" and share.high < LESION_RATIO * chance:
        return FAILED, "the interval holds chance and rules out 1.5 times chance"
    return "not assessable", "the interval holds chance: no preference is shown, nor excluded"


def check_map_tests(map_tests: OfRuns | None) -> list[Check]:
    """Whether maps depend on training, are faithful and follow a flip; five checks a design.

    *Randomisation* (Adebayo et al. 2018; Arun et al. 2021): with all weights untrained the maps
    must no longer resemble the original ones. The bar is the Spearman correlation of 0.5 or the
    upper bound of that between maps of different images, whichever is higher: failed if the lower
    bound of the last step lies above it, passed if the upper bound lies below. SSIM is reported
    only: smooth maps have a high SSIM whatever they show. Not assessable where even maps of
    different images correlate above 0.9, as constant ones do.

    *Faithfulness* (Petsiuk et al. 2018; Rong et al. 2022), one check each for insertion, deletion
    and ROAD: passed if the maps beat random maps and a blob in the centre (advantage above 0, each
    interval widened for six comparisons), failed if one of these beats them. The blurred copy of
    the map is reported only.

    *Mirror images* (Arun et al. 2021): passed if the Spearman correlation lies above the same bar,
    failed if it lies below.

    Parameters
    ----------
    map_tests : mapping of Run to mapping, or None
        ``randomisation``: rows as `randomisation.summarise_cascade`; ``faithfulness``: rows as
        `faithfulness.summarise_faithfulness`; ``flip``: ``ssim`` and ``spearman``, each as
        `summaries.MeanInterval`, as a dict; or ``{"reason": ...}`` in their place.
    """
    if not map_tests:
        why = "the maps were not put to the test"
        return [
            RANDOMISATION.not_assessable(why),
            *(FAITHFULNESS.not_assessable(why, detail=test) for test in MAP_TESTS),
            FLIP.not_assessable(why),
        ]
    cascades = _parts_of_designs(map_tests, "randomisation")
    floors = {subject: _floor(entries) for subject, entries in cascades}
    checks = [_randomisation(subject, entries, floors[subject]) for subject, entries in cascades]
    for subject, entries in _parts_of_designs(map_tests, "faithfulness"):
        checks += [_faithfulness(subject, test, entries) for test in MAP_TESTS]
    for subject, entries in _parts_of_designs(map_tests, "flip"):
        spearman = {run: _inner(flip, "spearman") for run, flip in entries.items()}
        words = "Spearman correlation with the mirrored map"
        checks.append(_alike(FLIP, subject, spearman, floors[subject], words))
    return checks


def _inner(numbers: Numbers | None, name: str) -> Numbers | None:
    """One measure of a part, or the reason why the part is missing."""
    if numbers is None or "reason" in numbers:
        return numbers
    inner: Numbers | None = numbers.get(name)
    return inner


def _cascade_rows(
    entries: Mapping[Run, Any], position: int, measure: str
) -> Mapping[Run, Numbers | None]:
    """Measure of one row of each run's cascade; the floor is the last row."""
    return {
        run: _inner(rows, measure) if isinstance(rows, Mapping) or not rows
        else rows[position][measure]
        for run, rows in entries.items()
    }  # fmt: skip


def _floor(entries: Mapping[Run, Any]) -> Estimate | None:
    table, _ = _table(_cascade_rows(entries, -1, "spearman"), "mean")
    return pooled_estimate(table, "value", "low", "high")


def _bar(floor: Estimate | None) -> tuple[float, str]:
    """Correlation above which maps are alike, and its reason."""
    if floor is not None and floor.high > SIMILAR:
        return floor.high, f"{floor.high:.2f}, as between different images"
    return SIMILAR, f"{SIMILAR:.2f}"


def _correlation(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}, n = {estimate.n:,})"


def _randomisation(subject: str, entries: Mapping[Run, Any], floor: Estimate | None) -> Check:
    # The floor is the last row, all untrained the one before.
    table, reason = _table(_cascade_rows(entries, -2, "spearman"), "mean")
    last = pooled_estimate(table, "value", "low", "high")
    if last is None:
        return RANDOMISATION.not_assessable(reason or "no cascade was run", subject=subject)
    ssim = pooled_estimate(
        _table(_cascade_rows(entries, -2, "ssim"), "mean")[0], "value", "low", "high"
    )
    bar, words = _bar(floor)
    finding = f"all layers untrained: Spearman {_correlation(last)}"
    finding += f", SSIM {ssim.value:.2f}" if ssim is not None else ""
    finding += f"; maps of different images: {floor.value:.2f}" if floor is not None else ""
    if last.low > bar:
        clause = "an untrained network draws much the same maps"
        why = f"still above {words}"
        return RANDOMISATION.result(FAILED, finding, why, subject=subject, clause=clause)
    if bar > NO_ROOM:
        why = f"maps of different images are alike as well ({words}): nothing can be told from it"
        return RANDOMISATION.not_assessable(why, finding=finding, subject=subject)
    if last.high <= bar:
        return RANDOMISATION.result(PASSED, finding, f"no more than {words}", subject=subject)
    return RANDOMISATION.not_assessable(f"holds {words}", finding=finding, subject=subject)


def _advantage(rows: Any, test: str, control: str) -> Numbers | None:  # noqa: ANN401
    if rows is None or isinstance(rows, Mapping):
        return rows
    for row in rows:
        if row["test"] == test and row["map"] == control:
            advantage: Numbers | None = row["advantage"]
            return advantage
    return {"reason": f"{test} was not run against {control}"}


def _faithfulness(subject: str, test: str, entries: Mapping[Run, Any]) -> Check:
    comparisons = len(MAP_TESTS) * len(DECIDING_CONTROLS)
    advantages, lost, undecided = [], [], []
    for control in (*DECIDING_CONTROLS, "blurred"):
        table, reason = _table(
            {run: _advantage(rows, test, control) for run, rows in entries.items()}, "mean"
        )
        advantage = pooled_estimate(table, "value", "low", "high", comparisons)
        if advantage is None:
            if control in DECIDING_CONTROLS:
                why = reason or "it was not run"
                return FAITHFULNESS.not_assessable(why, subject=subject, detail=test)
            continue
        advantages.append(
            f"{control} {advantage.value:+.3f} ({advantage.low:+.3f} to {advantage.high:+.3f},"
            f" n = {advantage.n:,})"
        )
        if control in DECIDING_CONTROLS and advantage.high < 0.0:
            lost.append(control)
        elif control in DECIDING_CONTROLS and advantage.low <= 0.0:
            undecided.append(control)
    finding = f"advantage over {', '.join(advantages)}"
    if lost:
        why = f"beaten by {' and '.join(lost)}"
        known = {"random": "random maps", "centre": "a blob in the centre of the image"}
        clause = f"{known[lost[-1]]} name the important pixels better"
        return FAITHFULNESS.result(
            FAILED, finding, why, subject=subject, clause=clause, detail=test
        )
    if undecided:
        why = f"not told apart from {' and '.join(undecided)}: the interval holds 0"
        return FAITHFULNESS.not_assessable(why, finding=finding, subject=subject, detail=test)
    return FAITHFULNESS.result(
        PASSED, finding, "better than random maps and the centre", subject=subject, detail=test
    )


def _alike(
    kind: CheckKind,
    subject: str,
    entries: Mapping[Run, Numbers | None],
    floor: Estimate | None,
    words: str,
) -> Check:
    """Check that maps which ought to be alike are."""
    table, reason = _table(entries, "mean")
    found = pooled_estimate(table, "value", "low", "high")
    if found is None:
        return kind.not_assessable(reason or "it was not computed", subject=subject)
    bar, limit = _bar(floor)
    finding = f"{words} {_correlation(found)}"
    finding += f"; maps of different images: {floor.value:.2f}" if floor is not None else ""
    if found.low > bar:
        return kind.result(PASSED, finding, f"above {limit}", subject=subject)
    if found.high < bar:
        clause = f"they change where they should not ({kind.name})"
        return kind.result(FAILED, finding, f"below {limit}", subject=subject, clause=clause)
    return kind.not_assessable(f"the interval holds {limit}", finding=finding, subject=subject)


def check_repeatability(
    repeatability: Mapping[tuple[str, str], Mapping[str, Any]] | None,
) -> list[Check]:
    """Whether networks that differ only in their seed draw the same maps; one check a design.

    The rule is that of mirror images in `check_map_tests`. Arun et al. 2021, Radiol Artif Intell
    3:e200267, found the maps of retrained networks to differ.

    Parameters
    ----------
    repeatability : mapping of (task, scheme) to mapping, or None
        ``spearman`` (as `summaries.MeanInterval`) of maps of the same images from pairs of
        seeds, ``floor`` (the same, of different images; optional); or ``reason``.
    """
    if not repeatability:
        return [REPEATABILITY.not_assessable("maps of several seeds were not compared")]
    checks = []
    for (task, scheme), numbers in repeatability.items():
        run = Run(task, scheme, 0, 0)
        floor = pooled_estimate(
            _table({run: _inner(numbers, "floor")}, "mean")[0], "value", "low", "high"
        )
        words = "Spearman correlation over pairs of seeds"
        entries = {run: _inner(numbers, "spearman")}
        checks.append(_alike(REPEATABILITY, f"{task}, {scheme}", entries, floor, words))
    return checks
