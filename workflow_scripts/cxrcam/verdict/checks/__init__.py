"""All checks of the audit, one a file: nothing is left out in silence.

Each file holds what kind of check it is, its rule (the docstring of `judge`) and its judgement.
Common to the rules:

- "failed" is said only where an interval excludes luck, "passed" only where it excludes the fault;
  between the two lies "not assessable", with the number of images that could not tell;
- where several comparisons are made under one question, intervals are widened for their number;
- a check without its table is "not assessable".
"""

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import REGISTERED, Check, ordered

# Importing a check registers it. Its order on the page is that of its kind, not of this list.
from workflow_scripts.cxrcam.verdict.checks import (  # noqa: F401
    acquisition,
    better_than_floor,
    calibration,
    class_by_column,
    class_by_source,
    expected_counts,
    external_data,
    faithfulness,
    findings,
    given_away,
    labels_of_copies,
    leaks,
    map_scores,
    masked_input,
    mirror_images,
    randomisation,
    repeatability,
    seed_spread,
    shortcuts,
    size_of_test_set,
    slices,
    subgroups,
    suspect_images,
)


def all_checks(tables: AuditTables) -> list[Check]:
    """Every check of the audit, in the order of the page; at least one of every kind.

    Raises
    ------
    ValueError
        If a table lacks a column.
    """
    # A function that judges several kinds is called once.
    judges = dict.fromkeys(REGISTERED.values())
    return ordered([check for judge in judges for check in judge(tables)])
