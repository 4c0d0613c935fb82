"""Whether counts and sizes are those of the published data set."""

from workflow_scripts.cxrcam.data.expected import say_what_differs
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import FAILED, PASSED, Check, CheckKind, register

KIND = CheckKind(
    name="expected counts",
    question="Is this the data set that it is said to be?",
    about="limits",
    order=130,
    file="audit/expected.csv",
    advice="Unpack the data set again, or correct its key `expected`; audit/expected.csv says what"
    " differs.",
    to_assess="Say under `expected` of the data set how many images it is said to have.",
)


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check of the data set: failed if one count or size differs."""
    if tables.expected is None or tables.expected.empty:
        return [
            KIND.not_assessable("the configuration does not say what to expect of it (`expected`)")
        ]
    agrees = bool(tables.expected["agrees"].astype(bool).all())
    return [
        KIND.result(
            PASSED if agrees else FAILED,
            say_what_differs(tables.expected),
            "counts and sizes agree" if agrees else "counts or sizes differ",
            clause="the data set is not the one that it is said to be",
        )
    ]
