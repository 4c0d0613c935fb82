"""Whether a network with several findings tells each from the lungs, and elsewhere too.

Most findings are rare, so that shares of right answers tell nothing: all is judged by the AUROC,
0.5 by chance and 1 at best. Each finding is judged by itself; intervals are widened for their
number (Bonferroni).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pandas as pd

from workflow_scripts.cxrcam.configuration.mend_names import LUNGS_ONLY
from workflow_scripts.cxrcam.metrics.findings import CHANCE, MEAN, NETWORK, POOLED
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.checks import better_than_floor as better
from workflow_scripts.cxrcam.verdict.checks import external_data, given_away, masked_input
from workflow_scripts.cxrcam.verdict.pooling import Estimate, difference_of_shares, pooled_estimate

GIVEN_AWAY = CheckKind(
    name="the data give the finding away",
    question="Is the finding hidden from classifiers that cannot see the lungs?",
    about="shortcut",
    order=given_away.KIND.order,
    file="tables/findings.csv",
    advice="Take away what gives the finding away, and train again: `image: {blank: corners}`, or "
    "a scheme with `input: lungs_only`.",
    to_assess="Test more images with the finding: a larger `test_fraction`.",
)
BETTER = CheckKind(
    name="finding against blind classifiers",
    question="Does the network rank images better than the best classifier that cannot see lung "
    "detail?",
    about="shortcut",
    order=better.KIND.order,
    file="tables/findings.csv",
    advice="Take away what gives the finding away, and train again: `image: {blank: corners}`, or "
    "a scheme with `input: lungs_only`.",
    to_assess="Test more images with the finding: a larger `test_fraction`.",
    untested="it is not clear whether the network beats a classifier that cannot see lung detail",
)
COVERED = CheckKind(
    name="finding on covered images",
    question="Does the AUROC come from the lungs?",
    about="shortcut",
    order=masked_input.KIND.order,
    file="tables/findings.csv",
    advice="Let the network see the lungs only: a scheme with `input: lungs_only`, where lung "
    "masks are known.",
    to_assess="Test more images with the finding: a larger `test_fraction`.",
    mend=LUNGS_ONLY,
)
ELSEWHERE = CheckKind(
    name="finding on external data",
    question="Does the AUROC hold on images from elsewhere?",
    about="inflation",
    order=external_data.KIND.order,
    file="audit/external.csv",
    advice="Report the AUROC elsewhere instead of this one, and train on images of several "
    "hospitals.",
    to_assess="Name a data set from elsewhere, with at least some dozens of images with the "
    "finding, under `external`.",
    untested="the network was not tested on images from elsewhere",
)

FORGIVEN = {"border": 0.60, "corners": 0.60, "histogram": 0.90, "centre_black": 0.90}
"""AUROC up to which a classifier is no alarm: the first two see no lung, the others some of it."""

NOTICED = 0.2
"""A check that might not notice an AUROC this far above what it forgives cannot be passed."""

LUNGS_COVERED, CENTRE_COVERED, BORDER_ONLY = (
    "network, lungs covered",
    "network, centre covered",
    "network, border only",
)


@register(GIVEN_AWAY, BETTER, COVERED, ELSEWHERE)
def judge(tables: AuditTables) -> list[Check]:
    """One check of each kind a finding and design.

    - given away: failed if the interval of a floor's AUROC lies above what is `FORGIVEN`; not
      assessable if one reaches more than `NOTICED` above it; else passed.
    - against blind classifiers: passed if the gap to the best floor lies above 0; failed if it lies
      below 0, or holds 0 where the data give the finding away; else not assessable.
    - covered images: failed if more than half of the AUROC above chance is left without the lungs,
      or with the border only; passed if half of it or less; else not assessable. Where there are no
      lung masks, a covered centre takes their place.
    - external data: failed if the AUROC falls by more than 0.05, or is not above chance; passed if
      a fall by more than 0.10 is ruled out; else not assessable.

    `FORGIVEN` was chosen on phantoms with three findings drawn independently, see docs/figures.md.
    """
    if tables.findings is None:
        return []
    checks: list[Check] = []
    findings = tables.findings[~tables.findings["finding"].isin([MEAN, POOLED])]
    looks = len(findings[["task", "scheme", "finding"]].drop_duplicates())
    for key, rows in findings.groupby(["task", "scheme", "finding"], sort=False):
        task, scheme, name = map(str, key)
        question = tables.questions[task, name]
        subject = f"{question}, {scheme}"
        by_classifier = {str(row["classifier"]): row for _, row in rows.iterrows()}
        given = _given_away(by_classifier, subject, name, looks)
        checks.append(given)
        checks.append(
            _against_floors(by_classifier, subject, name, looks, given.status == "failed")
        )
        checks += _on_covered(by_classifier, subject, name, looks)
        checks += _elsewhere(tables.external, by_classifier[NETWORK], question, scheme, name)
    return checks


def _estimate(row: pd.Series, number: str, looks: int = 1) -> Estimate | None:
    """A number of the table with its interval, widened for the number of looks."""
    columns = (number, f"{number}_low", f"{number}_high")
    return pooled_estimate(row.to_frame().T.assign(fold=0), *columns, comparisons=looks)


def in_words(found: Estimate) -> str:
    """An AUROC with interval: "0.83 (0.80 to 0.86)"."""
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _given_away(rows: dict[str, pd.Series], subject: str, name: str, looks: int) -> Check:
    known = {
        floor: found
        for floor in FORGIVEN
        if floor in rows and (found := _estimate(rows[floor], "auroc", looks * len(FORGIVEN)))
    }
    if not known:
        return GIVEN_AWAY.not_assessable("no floor could be judged", subject=subject)
    finding = "; ".join(
        f"{floor.replace('_', ' ')} {in_words(found)}" for floor, found in known.items()
    )
    alarms = [floor for floor, found in known.items() if found.low > FORGIVEN[floor]]
    if alarms:
        sees = given_away.SEES[alarms[0]]
        clause = f"a classifier that {sees} can tell {name}, AUROC {known[alarms[0]].value:.2f}"
        why = f"even the lower bounds exceed the limits: {_limits(alarms)}"
        mend = given_away.mend_of(alarms)
        return GIVEN_AWAY.failed(finding, why, subject=subject, clause=clause, mend=mend)
    unclear = [floor for floor, found in known.items() if found.high > FORGIVEN[floor] + NOTICED]
    if unclear:
        why = f"too few images to tell for {', '.join(unclear).replace('_', ' ')}"
        return GIVEN_AWAY.not_assessable(why, finding=finding, subject=subject)
    why = f"no lower bound exceeds its limit: {_limits(known)}"
    return GIVEN_AWAY.passed(finding, why, subject=subject)


def _limits(floors: Iterable[str]) -> str:
    return ", ".join(f"{floor.replace('_', ' ')} {FORGIVEN[floor]:.2f}" for floor in floors)


def _against_floors(
    rows: dict[str, pd.Series], subject: str, name: str, looks: int, gives_away: bool
) -> Check:
    floors = {floor: rows[floor] for floor in rows if floor in given_away.SEES}
    best = max(floors, key=lambda floor: floors[floor]["auroc"], default=None)
    network = _estimate(rows[NETWORK], "auroc")
    gap = _estimate(floors[best], "gap", looks) if best else None
    if best is None or network is None or gap is None:
        return BETTER.not_assessable("it was not compared with a floor", subject=subject)
    finding = (
        f"AUROC {in_words(network)}, the best floor ({best.replace('_', ' ')}) "
        f"{floors[best]['auroc']:.2f}: a difference of {gap.value:+z.2f} "
        f"({gap.low:+z.2f} to {gap.high:+z.2f}), {rows[NETWORK]['n_present']:,} of "
        f"{network.n:,} images with {name}"
    )
    sees = given_away.SEES[best]
    clause = f"for {name} a classifier that {sees} is as good, AUROC {floors[best]['auroc']:.2f}"
    mend = given_away.mend_of([best])
    if gap.low > 0:
        return BETTER.passed(finding, "the whole interval is above 0", subject=subject)
    if gap.high < 0:
        better_clause = clause.replace("is as good", "is better")
        why = "the whole interval is below 0"
        return BETTER.failed(finding, why, subject=subject, clause=better_clause, mend=mend)
    if gives_away:
        why = "no clear difference, and the data give the finding away"
        return BETTER.failed(finding, why, subject=subject, clause=clause, mend=mend)
    why = "no clear difference: the interval includes 0"
    return BETTER.not_assessable(why, finding=finding, subject=subject)


def _on_covered(rows: dict[str, pd.Series], subject: str, name: str, looks: int) -> Iterator[Check]:
    network = _estimate(rows[NETWORK], "auroc")
    lungs = LUNGS_COVERED if LUNGS_COVERED in rows else CENTRE_COVERED
    for variant in (lungs, BORDER_ONLY):
        detail = variant.removeprefix("network, ")
        if network is None or network.low <= CHANCE:
            why = "the network itself is not clearly better than chance"
            yield COVERED.not_assessable(why, subject=subject, detail=detail)
            continue
        kept = _estimate(rows[variant], "kept", 2 * looks) if variant in rows else None
        if kept is None:
            yield COVERED.not_assessable("it was not tested", subject=subject, detail=detail)
            continue
        finding = f"AUROC {rows[variant]['auroc']:.2f}, whole images {network.value:.2f}"
        low, value, high = (100 * min(max(x, 0.0), 1.0) for x in (kept.low, kept.value, kept.high))
        why = (
            f"{value:.0f} % ({low:.0f} to {high:.0f} %) of the AUROC above chance is left; the"
            " limit is half of it"
        )
        if kept.low > masked_input.KEPT:
            clause = f"with {detail} {name} can still be told, AUROC {rows[variant]['auroc']:.2f}"
            yield COVERED.failed(finding, why, subject=subject, clause=clause, detail=detail)
        elif kept.high <= masked_input.KEPT:
            yield COVERED.passed(finding, why, subject=subject, detail=detail)
        else:
            yield COVERED.not_assessable(why, finding=finding, subject=subject, detail=detail)


def _elsewhere(
    external: pd.DataFrame | None, network: pd.Series, question: str, scheme: str, name: str
) -> Iterator[Check]:
    subject, inside = f"{question}, {scheme}", _estimate(network, "auroc")
    tested = pd.DataFrame() if external is None else external
    if len(tested):
        tested = tested[(tested["task"] == question) & (tested["scheme"] == scheme)]
    if tested.empty:
        yield ELSEWHERE.not_assessable(
            "no data set from elsewhere is named (`external`)", subject=subject
        )
        return
    for data_set, rows in tested.groupby("data_set", sort=False):
        columns = ("macro_auroc", "macro_auroc_low", "macro_auroc_high")
        has_all = set(columns) <= set(rows.columns)
        outside = pooled_estimate(rows.assign(fold=0), *columns) if has_all else None
        detail = str(data_set)
        if outside is None or inside is None:
            why = f"it has too few images with or without {name}"
            yield ELSEWHERE.not_assessable(why, subject=subject, detail=detail)
            continue
        fall = difference_of_shares(inside, outside)
        finding = (
            f"AUROC {in_words(outside)}, here {in_words(inside)}: a fall of {in_words(fall)}, "
            f"n = {outside.n:,}"
        )
        clause = (
            f"on images from elsewhere ({detail}) the AUROC of {name} is {outside.value:.2f}, here"
            f" {inside.value:.2f}"
        )
        if outside.high <= CHANCE:
            why = "it is no better than chance"
            lost = ELSEWHERE.failed(finding, why, subject=subject, clause=clause, detail=detail)
            yield replace(lost, about="elsewhere")
        elif fall.low > external_data.LARGEST_DROP:
            why = "the AUROC falls by more than 0.05"
            yield ELSEWHERE.failed(finding, why, subject=subject, clause=clause, detail=detail)
        elif outside.low > CHANCE and fall.high <= external_data.EXCLUDED_DROP:
            why = "better than chance, and a fall by more than 0.10 is ruled out"
            yield ELSEWHERE.passed(finding, why, subject=subject, detail=detail)
        else:
            why = f"{outside.n:,} images are too few: it may fall by 0.10, or not at all"
            yield ELSEWHERE.not_assessable(why, finding=finding, subject=subject, detail=detail)
