"""Whether the class can be told from what else is known of an image: view, age, sex, scanner."""

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Numbers
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register

KIND = CheckKind(
    name="class by column",
    question="Are the classes alike in view, age, sex and whatever else is known?",
    about="shortcut",
    order=51,
    file="audit/columns.json",
    advice="Take images of all classes that are alike in that column; audit/columns.json says by "
    "what they differ.",
    to_assess="Add columns such as `view`, `age` and `sex` to the table of the images, for more of "
    "them.",
    untested="it is not known from which views, ages, sexes or scanners the images are",
)


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a task and column of the index that is judged.

    Failed if the interval of Cramér's V excludes 0 and the column is "confounded" with the class (a
    pair of classes shares no value) or "associated" (corrected V at least 0.3, as for sources);
    passed if the interval lies below 0.3. See `audit.class_by_column`; for sex and age as
    shortcuts Larrazabal et al. 2020, PNAS 117:12592, for the view DeGrave et al. 2021, Nat Mach
    Intell 3:610.
    """
    checks = []
    for task, columns in (tables.columns or {"": {}}).items():
        judged = {name: one for name, one in columns.items() if one["finding"] != "not judged"}
        if not judged:
            why = "nothing else is known of the images, such as view, age or sex"
            checks.append(KIND.not_assessable(why, subject=task))
        checks += [_of_column(task, name, found) for name, found in judged.items()]
    return checks


def _of_column(task: str, name: str, found: Numbers) -> Check:
    finding = found["finding"]
    words = str(found["verdict"]).removeprefix(f"{finding}: ")
    also = {"subject": task, "detail": name}
    if finding == "not assessable":
        return KIND.not_assessable(words, **also)
    if finding == "not associated":
        return KIND.passed(words, "even the upper bound of Cramér's V is below 0.3", **also)
    known, guessed = (per_cent(found[f"{of}accuracy"]) for of in ("", "majority_"))
    clause = (
        f"{name!r} alone gives the class away: it is right on {known}, where guessing gives"
        f" {guessed}"
    )
    why = f"{finding}; the lower bound of Cramér's V is above 0"
    return KIND.failed(words, why, clause=clause, **also)
