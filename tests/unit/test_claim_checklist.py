"""CLAIM checklist: complete, and never more filled in than the results are."""

import pytest

from workflow_scripts.cxrcam.audit.claim_checklist import (
    BY_AUTHORS,
    BY_PAPER,
    NOT_MADE,
    claim_checklist_markdown,
    claim_items,
    missing_files,
)


def rows(page):
    return [line for line in page.splitlines() if line.startswith("| ")][2:]


def test_there_are_44_items_numbered_without_a_gap():
    items = claim_items()
    assert [item.number for item in items] == list(range(1, 45))
    assert len({item.title for item in items}) == 44
    assert len(rows(claim_checklist_markdown([]))) == 44


@pytest.mark.parametrize(
    ("number", "words", "file"),
    [
        (7, "Sources", "audit/sources.json"),
        (19, "assigned to partitions", "splits/*/*/fold-*.parquet"),
        (20, "disjoint", "audit/leaks.csv"),
        (22, "model in detail", "paper/figure_1.png"),
        (33, "external", "audit/external.csv"),
        (37, "uncertainty", "tables/metrics.csv"),
        (13, "acquired", "audit/columns.json"),
        (38, "Diagnostic performance", "audit/subgroups.csv"),
        (39, "failures", "cam/*/*/fold-*/seed-*/gallery"),
    ],
)
def test_items_stand_under_the_published_numbers_with_their_file(number, words, file):
    item = claim_items()[number - 1]
    assert words in item.title
    assert file in item.files


@pytest.mark.parametrize("number", [4, 5, 11, 14, 36, 44])
def test_what_only_authors_know_is_left_to_them(number):
    assert f"| {BY_AUTHORS} |" in rows(claim_checklist_markdown([]))[number - 1]


def test_the_page_says_that_the_wording_is_ours():
    assert "paraphrased; check them against the published list" in claim_checklist_markdown([])


def test_files_that_were_not_made_are_not_claimed():
    existing = ["tables/metrics.csv", "splits/two_class/holdout/fold-1.parquet"]
    page = claim_checklist_markdown(existing)
    assert f"`audit/external.csv` ({NOT_MADE})" in rows(page)[32]
    assert f"`splits/*/*/fold-*.parquet`, `../run_config.yaml` ({NOT_MADE})" in rows(page)[18]
    assert f"`paper/figure_2.png` ({BY_PAPER})" in rows(page)[8]
    answered = sum(len(missing_files(i, existing)) < len(i.files) for i in claim_items())
    assert 0 < answered < sum(bool(i.files) for i in claim_items())
    assert f"material for {answered} of 44 items" in page
    assert "material for 0 of 44 items" in claim_checklist_markdown([])
