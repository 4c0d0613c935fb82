"""Tables for a paper: all digits in the CSV, readable and properly escaped elsewhere."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.drawing.publication_table import (
    MISSING,
    latex_escaped,
    markdown_escaped,
    write_table,
)

NASTY = r"50 % of $a_1^2$ & {b} #1 ~ <c> \ | `d` *e* [f]"


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "class name_1": [NASTY, "Viral Pneumonia", "[COVID]"],
            "accuracy %": [0.95123456789, -0.0001, np.nan],
            "n": [1345, 10192, 3616],
            "seconds & more": [12.5, "not reached", 1234.5],
            "reached": [True, False, True],
        }
    )


def written(frame, folder):
    write_table(frame, folder / "deep" / "table.1_x", "Caption with 95 % & more")
    files = (folder / "deep").iterdir()
    return {file.suffix: file.read_text(encoding="utf-8") for file in files}


def test_three_files_appear_and_nothing_else(frame, tmp_path):
    write_table(frame, tmp_path / "table.1", "Caption")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["table.1.csv", "table.1.md", "table.1.tex"]


def test_the_csv_keeps_all_digits_and_names(frame, tmp_path):
    write_table(frame, tmp_path / "t", "Caption")
    again = pd.read_csv(tmp_path / "t.csv")
    assert list(again.columns) == list(frame.columns)
    np.testing.assert_array_equal(again["accuracy %"], frame["accuracy %"])
    assert again["class name_1"][0] == NASTY


def test_numbers_have_three_decimals_unless_whole_and_texts_stay(frame, tmp_path):
    table = written(frame, tmp_path)[".md"]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in table.splitlines()[4:]]
    assert rows[0][1:3] == ["0.951", "1345"]
    assert rows[1][1:4] == ["0.000", "10192", "not reached"]
    assert rows[2][1] == MISSING
    assert rows[2][3] == "1234.500"
    assert rows[1][-1].startswith("no")


def test_negative_numbers_have_a_true_minus_sign(tmp_path):
    text = written(pd.DataFrame({"x": [-1.5, -2]}), tmp_path)
    assert "−1.500" in text[".md"]
    assert "$-$1.500" in text[".tex"]


def test_every_markdown_row_has_the_same_cells_whatever_is_in_them(frame, tmp_path):
    lines = written(frame, tmp_path)[".md"].splitlines()
    assert lines[0] == "Caption with 95 % & more"
    bars = {line.replace("\\|", "").count("|") for line in lines[2:]}
    assert bars == {len(frame.columns) + 1}
    assert "$" not in lines[4].replace("\\$", "")
    # Numbers stand at the right, also where one of them is missing or a text.
    assert [cell.strip().endswith(":") for cell in lines[3].strip("| ").split("|")] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_latex_uses_booktabs_and_escapes_what_latex_would_read(frame, tmp_path):
    text = written(frame, tmp_path)[".tex"]
    assert r"\begin{tabular}{lrrrl}" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert r"\caption{Caption with 95 \% \& more}" in text
    assert r"\label{tab:table-1-x}" in text
    assert r"class name\_1 & accuracy \% & n & seconds \& more & reached \\" in text
    # In brackets it would be the height of the row above.
    assert "\n{}[COVID]" in text


def test_no_special_character_of_latex_survives_unescaped():
    text = latex_escaped(NASTY + " ≥ ± …")
    for made in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\ldots{}"):
        text = text.replace(made, "")
    for made in (r"\textless{}", r"\textgreater{}", r"\textbar{}", r"$\geq$", r"$\pm$"):
        text = text.replace(made, "")
    for character in "&%$#_{}":
        text = text.replace("\\" + character, "")
    assert not set("&%$#_{}~^<>|\\") & set(text)


def test_pandas_agrees_on_the_escapes_that_it_knows():
    plain = "50 % of $a_1$ & {b} #1 ~ ^ \\"
    expected = pd.DataFrame({"x": [plain]}).style.format(escape="latex").to_latex()
    # pandas ends commands with a blank, and writes blanks behind them as \\space.
    expected = expected.replace(r"\space", "").replace("\n", " ")
    assert latex_escaped(plain).replace("{} ", " ").rstrip("{}") in " ".join(expected.split())


def test_line_breaks_do_not_break_a_row():
    assert latex_escaped("a\nb") == markdown_escaped("a\nb") == "a b"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
def test_latex_compiles_the_table(frame, tmp_path):
    (tmp_path / "all.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\usepackage[T1]{fontenc}\begin{document}"
        + written(frame, tmp_path)[".tex"]
        + r"\end{document}",
        encoding="utf-8",
    )
    subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        check=True,
    )


def test_an_empty_table_has_its_headings(tmp_path):
    text = written(pd.DataFrame({"a": [], "b": []}), tmp_path)
    assert text[".csv"] == "a,b\n"
    assert "a & b" in text[".tex"]
