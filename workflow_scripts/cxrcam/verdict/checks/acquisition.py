"""Whether traces of how the images were made tell the classes apart."""

from collections.abc import Mapping
from typing import Final

from workflow_scripts.cxrcam.configuration.mend_names import BLANK_CORNERS
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Numbers
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register

KIND = CheckKind(
    name="acquisition",
    question="Are the classes alike in how the images were made?",
    about="shortcut",
    order=40,
    file="audit/acquisition.json",
    advice="Train on images of all classes from the same hospitals and machines; "
    "audit/acquisition.json says by what they differ.",
    to_assess="Give the original files, at least 30 images of each class.",
    untested="it was not tested whether the classes differ in how their images were made",
)

MOST_KINDS: Final = 3
"""Of what the classes differ by, so many are named; all stand in the file."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a task and trace.

    Failed if the lower bound of the cross-validated AUROC lies above the threshold of the trace;
    the thresholds and the false alarms that they were chosen on stand in `audit.acquisition`. What
    a disease cannot change (sizes, modes, the edge or the corners of the image) deserves the strict
    one, `acquisition.FACT_THRESHOLD`.
    """
    checks = []
    for task, traces in (tables.acquisition or {"": {}}).items():
        if not traces:
            checks.append(
                KIND.not_assessable(
                    "no trace of how the images were made was compared", subject=task
                )
            )
        checks += [_of_trace(task, name, trace) for name, trace in traces.items()]
    return checks


def _of_trace(task: str, name: str, trace: Numbers) -> Check:
    by_class = _in_words(trace.get("counts") or {})
    if trace["fails"] is None:
        reason = str(trace.get("reason") or "no reason was given")
        return KIND.not_assessable(reason, finding=by_class or "-", subject=task, detail=name)
    auroc = f"AUROC {trace['auroc']:.2f}"
    finding = f"{auroc} ({trace['low']:.2f} to {trace['high']:.2f}, n = {trace['n']:,})"
    finding += f"; {by_class}" if by_class else ""
    result, exceeds = (KIND.failed, "exceeds") if trace["fails"] else (KIND.passed, "is within")
    why = f"the lower bound {exceeds} the limit of {trace['threshold']:.2f}; chance is 0.50"
    clause = f"the classes can be told apart without the lungs, by {trace['trace']} ({auroc})"
    # That of the corners, where letters have an edge of their own.
    mend = BLANK_CORNERS if name == "spectrum" else ""
    return result(finding, why, subject=task, clause=clause, detail=name, mend=mend)


def _in_words(counts: Mapping[str, Mapping[str, int]]) -> str:
    """What the classes differ by most, of `acquisition.dicom_counts`."""
    images = counts.get("images", {})
    spreads = {}
    for kind, of_class in counts.items():
        shares = [n / images[name] for name, n in of_class.items()]
        spreads[kind] = max(shares) - min(shares)
    most = sorted((kind for kind in counts if spreads[kind] > 0), key=lambda kind: -spreads[kind])
    named = [
        f"{kind}: " + ", ".join(f"{n:,} of {images[c]:,} {c}" for c, n in counts[kind].items())
        for kind in most[:MOST_KINDS]
    ]
    return "; ".join(named)
