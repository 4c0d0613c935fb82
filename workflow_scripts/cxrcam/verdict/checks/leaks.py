"""Whether test images have a copy, or their own patient, in training."""

from dataclasses import replace

import pandas as pd

from workflow_scripts.cxrcam.audit.leaks import ANY_DUPLICATE, PATIENT
from workflow_scripts.cxrcam.configuration.mend_names import WITHOUT_TWINS
from workflow_scripts.cxrcam.terms import TEST, VALIDATION
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.pooling import designs, first_reason

REPORT = "Report this fault of the tool, with audit/leaks.csv and the configuration."
"""Advice where nothing that a user set is to blame."""

KNOWN_PATIENTS = 0.95
"""Share of test images whose patient must be known before "no patient leaks" can be said."""

COPIES = CheckKind(
    name="copies across the split",
    question="Are the test images free of copies of training images?",
    about="inflation",
    order=70,
    file="audit/leaks.csv",
    advice="Set `grouped: true` in the scheme: it keeps copies on one side.",
    to_assess="Look into the log of audit_leaks: copies could not be counted.",
    mend=WITHOUT_TWINS,
    untested="copies between training and test images were not looked for",
)
PATIENTS = CheckKind(
    name="patients across the split",
    question="Are the patients of the test images new to the network?",
    about="inflation",
    order=71,
    file="audit/leaks.csv",
    advice="Set `grouped: true` in the scheme: it keeps patients on one side.",
    to_assess="Add the column `patient` to the table of the images, for at least 95 % of them.",
    mend=WITHOUT_TWINS,
    untested="it is not known whether patients are in both training and test images",
)


@register(COPIES, PATIENTS)
def judge(tables: AuditTables) -> list[Check]:
    """Two checks a design.

    Failed if one test image leaks, in any fold: under ``grouped: true`` that is a fault of the
    split, otherwise a choice that flatters the result (Roberts et al. 2021; Kaufman et al. 2012,
    ACM TKDD 6:15). Passed if all were looked at and none leaks. For patients "passed" needs the
    patient of 95 % of the test images. Validation images are told, not judged.
    """
    if tables.leaks is None or tables.leaks.empty:
        why = "copies and patients across the split were not counted"
        return [COPIES.not_assessable(why), PATIENTS.not_assessable(why)]
    needed = ("fold", "grouped", "role", "kind", "n_images", "n_leaked")
    return [
        _leak(kind, name, subject, rows)
        for subject, rows in designs(tables.leaks, needed)
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
    checked = rows[(rows["role"] == VALIDATION) & (rows["kind"] == name) & rows["n_leaked"].notna()]
    if checked["n_images"].sum():
        of_checked, n_checked = int(checked["n_leaked"].sum()), int(checked["n_images"].sum())
        finding += f"; of the validation images {of_checked:,} of {n_checked:,}"
    if leaked:
        why = "the split is not grouped; `grouped: true` keeps copies and patients together"
        is_fault = rows["grouped"].astype(bool).all()
        if is_fault:
            why = "the split is grouped and should have kept them apart: a fault of the program"
        failed = kind.failed(finding, why, subject=subject, clause=finding.split(";")[0])
        return replace(failed, advice=REPORT, mend="") if is_fault else failed
    if len(unknown):
        why = f"none in {len(known)} folds, but {reason} in {len(unknown)}"
        return kind.not_assessable(why, finding=finding, subject=subject)
    everyone = rows[(rows["role"] == TEST) & (rows["kind"] == ANY_DUPLICATE)]["n_images"].sum()
    if name == PATIENT and n < KNOWN_PATIENTS * everyone:
        why = f"the patient is known of {n:,} of {int(everyone):,} test images only"
        return kind.not_assessable(why, finding=finding, subject=subject)
    return kind.passed(finding, "none in any fold", subject=subject)
