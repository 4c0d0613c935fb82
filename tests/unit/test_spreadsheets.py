"""Tables as files: the suffix decides, and nothing half written stays."""

import pandas as pd
import pytest

from workflow_scripts.cxrcam.spreadsheets import write_csv, write_frame

FRAME = pd.DataFrame({"image": ["a", "=b"], "n": [1, 2]}, index=[7, 9])


def test_a_table_comes_back_without_its_index_as_its_suffix_says(tmp_path):
    write_frame(tmp_path / "new" / "a.csv", FRAME)
    assert (tmp_path / "new" / "a.csv").read_bytes() == b"image,n\na,1\n=b,2\n"
    write_frame(str(tmp_path / "a.parquet"), FRAME)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "a.parquet"), FRAME.reset_index(drop=True)
    )


def test_another_suffix_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xlsx' ends neither in \.csv nor in \.parquet"):
        write_frame(tmp_path / "a.xlsx", FRAME)
    assert list(tmp_path.iterdir()) == []


def test_a_table_for_people_holds_no_formula(tmp_path):
    write_csv(tmp_path / "a.csv", FRAME)
    assert (tmp_path / "a.csv").read_bytes() == b"image,n\na,1\n'=b,2\n"
