"""A job that fails over a damaged result says which one it is."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from workflow_scripts.cxrcam.damaged_files import damaged_file


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results/demo"
    folder.mkdir(parents=True)
    table = pd.DataFrame({"image_id": ["a", "b"], "accuracy": [0.5, 1.0]})
    table.to_parquet(folder / "index.parquet")
    table.to_csv(folder / "metrics.csv", index=False)
    (folder / "verdict.json").write_text(json.dumps({"answer": "No."}))
    save_file({"weight": torch.zeros(3)}, folder / "model.safetensors")
    (folder / "page.html").write_bytes(b"\0")
    return folder


def test_whole_files_and_those_of_unknown_kinds_are_not_damaged(results):
    assert damaged_file(results.iterdir()) is None


@pytest.mark.parametrize(
    "name", ["index.parquet", "metrics.csv", "verdict.json", "model.safetensors"]
)
def test_a_cut_file_is_named_with_the_way_out(results, name):
    file = results / name
    file.write_bytes(b"" if name.endswith("csv") else file.read_bytes()[:-3])
    error = damaged_file(sorted(results.iterdir()))
    assert str(file) in str(error)
    assert "delete it and run the same command again" in str(error)


def test_a_flipped_page_of_a_table_is_damage(results):
    file = results / "index.parquet"
    content = bytearray(file.read_bytes())
    content[4:40] = b"\xff" * 36
    file.write_bytes(content)
    assert "index.parquet" in str(damaged_file([file]))


def test_files_of_the_user_are_left_to_the_jobs_that_read_them(tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"")
    assert damaged_file([file]) is None
