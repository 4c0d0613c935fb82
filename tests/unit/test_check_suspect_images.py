"""Suspect images: more than sound X-rays would give fail."""

import pandas as pd
import pytest

from tests.unit.audit_tables_example import one
from workflow_scripts.cxrcam.audit.suspect_images import COLUMNS
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import suspect_images


def judged(n_suspects: int, n_images: int = 2000, rows: int = 1):
    """So many images that stand out, each for as many reasons as `rows` says."""
    suspects = [
        (f"COVID/{k}", "COVID", ("upside down", "dark")[row], 0.5, 0.2)
        for row in range(rows)
        for k in range(n_suspects)
    ]
    return one(
        suspect_images.judge(
            AuditTables(
                suspects=pd.DataFrame(suspects, columns=COLUMNS),
                images=pd.DataFrame(index=range(n_images)),
            )
        )
    )


@pytest.mark.parametrize(
    ("n_suspects", "n_images", "status"),
    [
        (0, 2000, "passed"),
        (20, 2000, "passed"),
        (24, 2000, "not assessable"),
        (40, 2000, "failed"),
        (0, 10, "passed"),
        (1, 20, "not assessable"),
    ],
)
def test_more_than_sound_images_would_fail(n_suspects, n_images, status):
    assert judged(n_suspects, n_images).status == status


def test_a_failure_says_how_many_why_and_of_which_class():
    check = judged(60, rows=2)
    assert check.finding == (
        "60 of 2,000 images stand out (60 upside down, 60 dark); by class: 60 COVID"
    )
    assert check.clause == "60 of 2,000 images do not look like the X-rays beside them"
    assert "2.3 to 3.8 % (95 %)" in check.why
    assert judged(0).finding == "0 of 2,000 images stand out"


def test_where_nobody_looked_nothing_is_said():
    assert one(suspect_images.judge(AuditTables())).status == "not assessable"
