"""Checks of the data: copies, leaks, sources, traces of acquisition, expected counts.

Each function takes a table of the audit, or None, and returns checks; what cannot be judged is
"not assessable" and says why. The rule of each status stands in the docstring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.leaks import ANY_DUPLICATE, PATIENT
from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.data.expected import say_what_differs
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE, TEST, VALIDATION
from workflow_scripts.cxrcam.verdict.check import FAILED, PASSED, Check, CheckKind, per_cent
from workflow_scripts.cxrcam.verdict.pooling import designs, first_reason

KNOWN_PATIENTS: Final = 0.95
"""Share of test images whose patient must be known before "no patient leaks" can be said."""

ACQUISITION: Final = CheckKind(
    "acquisition",
    "Are the classes alike in how the images were made?",
    "shortcut",
    40,
    "audit/acquisition.json",
    "traces of how the images were made were not compared",
)
SOURCES: Final = CheckKind(
    "class by source",
    "Does every source hold every class?",
    "shortcut",
    50,
    "audit/sources.json",
    "nobody knows which hospital an image comes from",
)
COPIES: Final = CheckKind(
    "copies across the split",
    "Is no test image a copy of a training image?",
    "inflation",
    70,
    "audit/leaks.csv",
    "copies between training and test images were not looked for",
)
PATIENTS: Final = CheckKind(
    "patients across the split",
    "Is no patient both in training and in test?",
    "inflation",
    71,
    "audit/leaks.csv",
    "it is not known whether training and test images share patients",
)
LABELS: Final = CheckKind(
    "labels of copies",
    "Do copies of one picture carry one label?",
    "limits",
    80,
    "audit/duplicates.parquet",
)
EXPECTED: Final = CheckKind(
    "expected counts",
    "Is this the data set that it is said to be?",
    "limits",
    130,
    "audit/expected.csv",
)


def check_duplicates(pairs: pd.DataFrame | None, n_images: int | None = None) -> list[Check]:
    """Whether copies of one picture carry one label.

    Failed if a single pair has two labels: one of them must be wrong. Copies themselves are no
    failure, they are counted; whether they cross a split is `check_leaks`.

    Parameters
    ----------
    pairs : DataFrame or None
        As from `duplicates.find_duplicates`, with ``label_a`` and ``label_b`` (missing where the
        label is unknown). None: nobody looked.
    n_images : int, optional
        Images that were searched.
    """
    if pairs is None:
        return [LABELS.not_assessable("nobody looked for duplicates")]
    among = "" if n_images is None else f" among {n_images:,} images"
    # Two exposures of one patient are two pictures, and may rightly bear two labels.
    pairs = pairs[pairs["kind"] != OTHER_EXPOSURE]
    if pairs.empty:
        return [LABELS.result(PASSED, f"no picture occurs twice{among}", "there are no copies")]
    finding = _clusters_in_words(pairs) + among
    if not {"label_a", "label_b"} <= set(pairs.columns):
        return [LABELS.not_assessable("the labels of the copies are not known", finding=finding)]
    labelled = pairs[pairs["label_a"].notna() & pairs["label_b"].notna()]
    conflicts = labelled[labelled["label_a"].astype(str) != labelled["label_b"].astype(str)]
    if len(conflicts):
        one = conflicts.iloc[0]
        why = (
            f"{len(conflicts)} of {len(labelled)} pairs carry two labels, the first:"
            f" {one['image_id_a']} ({one['label_a']}) and {one['image_id_b']} ({one['label_b']})"
        )
        clause = f"the same picture carries two labels in {len(conflicts)} pairs"
        return [LABELS.result(FAILED, finding, why, clause=clause)]
    if labelled.empty:
        return [LABELS.not_assessable("no pair has two known labels", finding=finding)]
    why = f"no conflict in {len(labelled)} pair(s) with known labels"
    return [LABELS.result(PASSED, finding, why)]


def _clusters_in_words(pairs: pd.DataFrame) -> str:
    ends = pairs[["image_id_a", "image_id_b"]].to_numpy(dtype=object)
    codes, names = pd.factorize(ends.ravel())
    clusters = cluster_labels(len(names), codes.reshape(-1, 2).astype(np.int64))
    kinds = ", ".join(f"{n} {kind}" for kind, n in pairs["kind"].value_counts().items())
    return (
        f"{len(np.unique(clusters))} cluster(s) of {len(names)} images that show one picture"
        f" (pairs: {kinds})"
    )


def check_leaks(leaks: pd.DataFrame | None) -> list[Check]:
    """Whether test images have a copy, or their own patient, in training; two checks a design.

    Failed if one test image leaks, in any fold: under ``grouped: true`` that is a fault of the
    split, otherwise a choice that flatters the result (Roberts et al. 2021; Kaufman et al. 2012,
    ACM TKDD 6:15). Passed if all were looked at and none leaks. For patients "passed" needs the
    patient of 95 % of the test images.

    Parameters
    ----------
    leaks : DataFrame or None
        Fields of `leaks.LeakRow` with ``task``, ``scheme``, ``fold``, ``grouped``. Validation rows
        are told, not judged.
    """
    if leaks is None or leaks.empty:
        why = "nobody counted what crosses the splits"
        return [COPIES.not_assessable(why), PATIENTS.not_assessable(why)]
    needed = ("fold", "grouped", "role", "kind", "n_images", "n_leaked")
    return [
        _leak(kind, name, subject, rows)
        for subject, rows in designs(leaks, needed)
        for kind, name in ((COPIES, ANY_DUPLICATE), (PATIENTS, PATIENT))
    ]


def _leak(kind: CheckKind, name: str, subject: str, rows: pd.DataFrame) -> Check:
    test = rows[(rows["role"] == TEST) & (rows["kind"] == name)]
    known = test[test["n_leaked"].notna()]
    unknown = test[test["n_leaked"].isna()]
    reason = first_reason(unknown, f"there is no row {name!r} for test images")
    reason = reason.removeprefix("not assessable: ")
    if known.empty:
        return kind.not_assessable(reason, subject=subject)
    n, leaked = int(known["n_images"].sum()), int(known["n_leaked"].sum())
    what = "a copy in training" if name == ANY_DUPLICATE else "their patient in training"
    finding = f"{leaked:,} of {n:,} test images ({per_cent(leaked / max(1, n))}) have {what}"
    checked = rows[(rows["role"] == VALIDATION) & (rows["kind"] == name)].dropna(
        subset=["n_leaked"]
    )
    if len(checked) and checked["n_images"].sum():
        finding += (
            f"; of the validation images {int(checked['n_leaked'].sum()):,} of"
            f" {int(checked['n_images'].sum()):,}"
        )
    grouped = bool(rows["grouped"].astype(bool).all())
    if leaked:
        why = (
            "the split is grouped and must not let any through: this is a fault"
            if grouped
            else "the split is not grouped; `grouped: true` keeps copies and patients together"
        )
        return kind.result(FAILED, finding, why, subject=subject, clause=finding.split(";")[0])
    if len(unknown):
        why = f"none in {len(known)} folds, but {reason} in {len(unknown)}"
        return kind.not_assessable(why, finding=finding, subject=subject)
    everyone = rows[(rows["role"] == TEST) & (rows["kind"] == ANY_DUPLICATE)]["n_images"].sum()
    if name == PATIENT and n < KNOWN_PATIENTS * everyone:
        why = f"the patient is known of {n:,} of {int(everyone):,} test images only"
        return kind.not_assessable(why, finding=finding, subject=subject)
    return kind.result(PASSED, finding, f"none in {len(known)} fold(s)", subject=subject)


def check_sources(sources: Mapping[str, Any] | None, subject: str = "") -> list[Check]:
    """Whether class and source can be told apart.

    Failed if "confounded" (a pair of classes shares no source: whatever tells hospitals apart
    tells the classes apart) or "associated" (corrected Cramér's V at least 0.3); see
    `class_by_source` and Garcia Santa Cruz et al. 2021, Med Image Anal 74:102225.

    Parameters
    ----------
    sources : mapping or None
        Fields of `class_by_source.ClassBySource`.
    subject : str, optional
        Task.
    """
    if sources is None:
        return [SOURCES.not_assessable("nobody looked at the sources", subject=subject)]
    finding, verdict = sources["finding"], str(sources["verdict"])
    words = verdict.removeprefix(f"{finding}: ")
    if finding == "not assessable":
        return [SOURCES.not_assessable(words, subject=subject)]
    problem = sources.get("grouped_split_problem")
    also = f"; {problem}" if problem else ""
    if finding == "not associated":
        return [SOURCES.result(PASSED, words, f"not associated{also}", subject=subject)]
    if finding == "confounded":
        one, other = sources["unshared_pairs"][0]
        clause = f"no source holds images of both {one} and {other}"
    else:
        known, guessed = (per_cent(sources[f"{k}_accuracy"]) for k in ("source_only", "majority"))
        clause = (
            f"one who knows only the hospital is right on {known} of the images, where guessing"
            f" gives {guessed}"
        )
    return [SOURCES.result(FAILED, words, f"{finding}{also}", subject=subject, clause=clause)]


def check_acquisition(
    traces: Mapping[str, Mapping[str, Any]] | None, subject: str = ""
) -> list[Check]:
    """Whether traces of how the images were made tell the classes apart; one check a trace.

    Failed if the lower bound of the cross-validated AUROC lies above the threshold of the trace;
    the thresholds and the false alarms that they were chosen on stand in `acquisition`. What a
    disease cannot change (sizes, modes, the edge or the corners of the image) deserves the strict
    one, `acquisition.FACT_THRESHOLD`.

    Parameters
    ----------
    traces : mapping of str to mapping, or None
        Fields of `acquisition.TraceSeparability` by name of the trace.
    subject : str, optional
        Task.
    """
    if not traces:
        return [ACQUISITION.not_assessable("no trace was compared", subject=subject)]
    checks = []
    for name, trace in traces.items():
        if trace["fails"] is None:
            reason = str(trace.get("reason") or "no reason was given")
            checks.append(ACQUISITION.not_assessable(reason, subject=subject, detail=name))
            continue
        finding = (
            f"AUROC {trace['auroc']:.2f} ({trace['low']:.2f} to {trace['high']:.2f},"
            f" n = {trace['n']:,})"
        )
        above = "above" if trace["fails"] else "not above"
        checks.append(
            ACQUISITION.result(
                FAILED if trace["fails"] else PASSED,
                finding,
                f"the lower bound is {above} {trace['threshold']:.2f}; chance is 0.50",
                subject=subject,
                clause=f"the classes can be told apart by {trace['trace']} alone"
                f" (AUROC {trace['auroc']:.2f}, chance 0.50)",
                detail=name,
            )
        )
    return checks


def check_expected(comparison: pd.DataFrame | None) -> list[Check]:
    """Whether counts and sizes are those of the published data set.

    Failed if one differs.

    Parameters
    ----------
    comparison : DataFrame or None
        As from `expected.compare_with_expected`.
    """
    if comparison is None or comparison.empty:
        return [EXPECTED.not_assessable("nothing is expected of this data set (`expected:`)")]
    difference = say_what_differs(comparison)
    agrees = bool(comparison["agrees"].astype(bool).all())
    return [
        EXPECTED.result(
            PASSED if agrees else FAILED,
            difference,
            "counts and sizes agree" if agrees else "counts or sizes differ",
            clause="the data set is not the one that it is said to be",
        )
    ]
