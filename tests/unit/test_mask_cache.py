"""Masks, packed once and unpacked in any size."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, masks_of, pack_masks, write_masks
from workflow_scripts.cxrcam.images.lesion_regions import LesionRegions


def save(path: Path, mask: np.ndarray) -> str:
    Image.fromarray((mask * 255).astype(np.uint8)).save(path)
    return str(path)


def test_masks_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.random((2, MASK_SIDE, MASK_SIDE)) < 0.3
    files = [save(tmp_path / f"{k}.png", mask) for k, mask in enumerate(truth)]
    ids = ["b", "a", "none", "only lesion"]
    paths = {"lung": [*files, None, None], "lesion": [None, None, None, files[1]]}
    table, unreadable = pack_masks(ids, paths, 10**6, threads=2)
    assert unreadable == [] and table.num_rows == 3
    write_masks(tmp_path / "masks.parquet", [table])
    has, lungs = masks_of(tmp_path / "masks.parquet", ["a", "none", "b", "only lesion"], "lung")
    assert has.tolist() == [True, False, True, False]
    assert (lungs[0] == truth[1]).all() and (lungs[2] == truth[0]).all()
    assert not lungs[1].any()
    has, lesions = masks_of(tmp_path / "masks.parquet", ["only lesion"], "lesion")
    assert has.all() and (lesions[0] == truth[1]).all()


@pytest.mark.parametrize("inside", [True, False])
def test_a_lung_mask_of_one_grey_counts_as_missing_and_a_lesion_mask_does_not(tmp_path, inside):
    file = save(tmp_path / "a.png", np.full((MASK_SIDE, MASK_SIDE), inside))
    table, unreadable = pack_masks(["a"], {"lung": [file], "lesion": [file]}, 10**6, 1)
    assert unreadable == [f"{file}: The lung mask is one grey throughout."]
    assert table["lung"].to_pylist() == [None]
    assert table["lesion"].null_count == 0


def test_masks_are_enlarged_without_shifting(tmp_path):
    half = np.zeros((MASK_SIDE, MASK_SIDE), dtype=bool)
    half[:, : MASK_SIDE // 2] = True
    table, _ = pack_masks(
        ["a"], {"lung": [save(tmp_path / "a.png", half)], "lesion": [None]}, 10**6, 1
    )
    write_masks(tmp_path / "masks.parquet", [table])
    _, masks = masks_of(tmp_path / "masks.parquet", ["a"], "lung", size=224)
    assert masks[0, :, :112].all() and not masks[0, :, 112:].any()


def test_only_the_parts_are_read_that_may_hold_the_images(tmp_path, monkeypatch):
    truth = np.random.default_rng(1).random((6, MASK_SIDE, MASK_SIDE)) < 0.3
    names = [f"image {k}" for k in range(6)]
    tables = [
        pack_masks(
            names[k : k + 2],
            {
                "lung": [save(tmp_path / f"{n}.png", truth[n]) for n in (k, k + 1)],
                "lesion": [None] * 2,
            },
            *(10**6, 1),
        )[0]
        for k in (0, 2, 4)
    ]
    file = tmp_path / "masks.parquet"
    assert write_masks(file, iter(tables)) == 6
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, number, **given: read.append(number) or plain(self, number, **given),
    )
    has, masks = masks_of(file, names[:1:-1], "lung")
    assert has.all() and (masks == truth[:1:-1]).all()
    assert read == [1, 2]


def test_lesions_that_a_table_tells_are_drawn(tmp_path):
    told = '{"frame": [1024, 1024], "boxes": [["Mass", 512, 0, 512, 512]]}'
    lesions = [LesionRegions(told, 64, 64), LesionRegions("nonsense", 64, 64), None]
    table, unreadable = pack_masks(
        ["a", "b", "c"], {"lung": [None] * 3, "lesion": lesions}, 10**7, threads=2
    )
    assert len(unreadable) == 1 and unreadable[0].startswith("b: The lesions 'nonsense'")
    write_masks(tmp_path / "masks.parquet", [table])
    has, masks = masks_of(tmp_path / "masks.parquet", ["a", "b", "c"], "lesion", size=64)
    assert has.tolist() == [True, False, False]
    assert masks[0, :32, 32:].all() and masks[0].sum() == 32 * 32


def test_an_unreadable_mask_counts_as_missing_and_is_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = str(tmp_path / "bad.png")
    table, unreadable = pack_masks(["a"], {"lung": [bad], "lesion": [None]}, 10**6, 1)
    assert table.num_rows == 0
    assert len(unreadable) == 1 and "bad.png" in unreadable[0]
