"""Whether class and source can be told apart."""

from dataclasses import replace

from workflow_scripts.cxrcam.configuration.mend_names import BALANCE_SOURCES
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Numbers
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register

KIND = CheckKind(
    name="class by source",
    question="Does every source hold every class?",
    about="shortcut",
    order=50,
    file="audit/sources.json",
    advice="Add images of every class from every source; where each source holds all classes, set "
    "`train: {sampling: balanced_within_sources}`.",
    to_assess="Add the column `source` to the table of the images, or describe them as a `union` "
    "of their data sets.",
    mend=BALANCE_SOURCES,
    untested="it is not known which hospital each image comes from",
)


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a task.

    Failed if "confounded" (a pair of classes shares no source: whatever tells hospitals apart
    tells the classes apart) or "associated" (corrected Cramér's V at least 0.3); see
    `audit.class_by_source` and Garcia Santa Cruz et al. 2021, Med Image Anal 74:102225.
    """
    if not tables.sources:
        return [KIND.not_assessable("sources were not looked at")]
    return [_of_task(task, sources) for task, sources in tables.sources.items()]


def _of_task(task: str, sources: Numbers) -> Check:
    finding, verdict = sources["finding"], str(sources["verdict"])
    words = verdict.removeprefix(f"{finding}: ")
    if finding == "not assessable":
        return KIND.not_assessable(words, subject=task)
    problem = sources.get("grouped_split_problem")
    also = f"; {problem}" if problem else ""
    if finding == "not associated":
        return KIND.passed(words, f"not associated{also}", subject=task)
    if finding == "confounded":
        one, other = sources["unshared_pairs"][0]
        clause = f"no source holds images of both {one} and {other}"
    else:
        known, guessed = (per_cent(sources[f"{k}_accuracy"]) for k in ("source_only", "majority"))
        clause = (
            f"the hospital alone gives the class away: it is right on {known}, where guessing"
            f" gives {guessed}"
        )
    failed = KIND.failed(words, f"{finding}{also}", subject=task, clause=clause)
    # Sampling cannot balance what a source does not have.
    return failed if finding == "associated" else replace(failed, mend="")
