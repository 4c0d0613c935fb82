"""Reasons in the terminal: short, and nothing lost but names of files."""

import logging

import pytest

from workflow_scripts.cxrcam.console import changed_params, shorten_reasons, shortened_reason

SINCE = "since last execution"
CODE = "code of train.py"


def files(n: int, kind: str = "png") -> str:
    return ", ".join(f"results/{k}.{kind}" for k in range(n))


@pytest.mark.parametrize(
    "title",
    [
        "Missing output files",
        "Incomplete output files",
        "Updated input files",
        "Input files updated by another job",
    ],
)
def test_long_lists_of_files_are_cut(title: str):
    assert shortened_reason(f"{title}: {files(3)}") == f"{title}: {files(3)}"
    assert shortened_reason(f"{title}: {files(120)}") == f"{title}: {files(3)} and 117 more"


def test_every_other_reason_stays_as_it_is():
    rest = f"Code has changed {SINCE}; Params have changed {SINCE}: a, b, c, d"
    lists = f"Missing output files: {files(5)}; Updated input files: {files(9, 'csv')}"
    assert shortened_reason(f"{lists}; {rest}") == (
        f"Missing output files: {files(3)} and 2 more; "
        f"Updated input files: {files(3, 'csv')} and 6 more; {rest}"
    )
    assert shortened_reason("Forced execution") == "Forced execution"


def test_records_without_a_reason_pass():
    record = logging.makeLogRecord({"msg": "Finished jobid: 7"})
    assert shorten_reasons(record)
    assert record.getMessage() == "Finished jobid: 7"


def test_a_job_is_told_in_a_line_or_two():
    record = logging.makeLogRecord({"reason": f"Input files updated by another job: {files(200)}"})
    assert shorten_reasons(record)
    assert len(record.reason) < 120


def params(before: str, now: str) -> str:
    """As Snakemake words it: a space at the end."""
    union = "Union of exclusive params before and now across all output"
    return f"Params have changed {SINCE}: {union}: before: {before} now: {now} "


def test_params_are_told_by_what_differs():
    before = f"{{'epochs': 6, 'flip': 0.5, 'adam': {{'betas': [0.9, 0.99]}}}},'{CODE}: {'a' * 16}'"
    now = f"'{CODE}: {'b' * 16}',{{'flip': 0.5, 'epochs': 7, 'adam': {{'betas': [0.9, 0.9]}}}}"
    told = (
        f"Params have changed {SINCE}: "
        f"epochs: 6 → 7, adam.betas: [0.9, 0.99] → [0.9, 0.9], {CODE} or a library's version"
    )
    assert shortened_reason(params(before, now)) == told
    environment = f"Software environment definition has changed {SINCE}"
    several = f"Missing output files: {files(5)}; {params(before, now)}; {environment}"
    assert shortened_reason(several) == (
        f"Missing output files: {files(3)} and 2 more; {told}; {environment}"
    )


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ([], [{"a": 1}], ["nothing → {'a': 1}"]),
        ([{"a": 1}], [], ["{'a': 1} → nothing"]),
        (
            [{"a": 1, "b": {}}],
            [{"b": {"c": 2}}],
            ["b.c: nothing → 2", "a: 1 → nothing", "b: {} → nothing"],
        ),
        ([{"b": {"c": 2}}], [{"b": 5}], ["b: nothing → 5", "b.c: 2 → nothing"]),
        # Two mappings: each beside the one whose entries it shares.
        (
            [{"a": 1, "b": 2}, {"x": 1, "y": 2}],
            [{"x": 1, "y": 3}, {"a": 5, "b": 2}],
            ["y: 2 → 3", "a: 1 → 5"],
        ),
        (["0123456789abcdef"], ["fedcba9876543210"], ["files behind it"]),
        (["0123456789abcdef"], [], ["files behind it"]),
        (
            [{"code": f"{CODE}: {'0' * 16}", "n": 1}],
            [{"code": f"{CODE}: {'1' * 16}", "n": 1}],
            [CODE],
        ),
        (["bfloat16"], ["float32"], ["'bfloat16' → 'float32'"]),
        ([0.5], [True, "x" * 90], ["0.5 → True", f"nothing → '{'x' * 56}..."]),
        ([["a"]], [["a", "b"]], ["['a'] → ['a', 'b']"]),
    ],
)
def test_what_differs_between_params(old: list, new: list, changes: list[str]):
    assert changed_params(old, new) == changes


@pytest.mark.parametrize(
    ("before", "now"), [("<function f>", "1"), ("{'a': nan}", "{'a': 1}"), ("[" * 9000, "1")]
)
def test_params_that_are_no_literals_stay_as_they_are(before: str, now: str):
    assert shortened_reason(params(before, now)) == params(before, now)


def test_values_may_look_like_the_words_around_them():
    reason = params("{'a': 'x now: y; z'}", "{'a': 'before: '}")
    assert shortened_reason(reason).endswith("a: 'x now: y; z' → 'before: '")


def test_nothing_before_or_now():
    assert shortened_reason(params("<nothing exclusive>", "3")).endswith(": nothing → 3")
    assert shortened_reason(params("3", "<nothing exclusive>")).endswith(": 3 → nothing")


def test_many_settings_are_cut():
    old, new = ({f"s{k}": (k, side) for k in range(20)} for side in (0, 1))
    told = shortened_reason(params(repr(old), repr(new)))
    assert told.endswith("s5: (5, 0) → (5, 1) and 14 more")
