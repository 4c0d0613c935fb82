"""Damaged tables of public collections: each is read, or refused in one sentence; none crashes."""

import random
import shutil
from pathlib import Path

import pytest

from tests.unit import collection_trees as trees
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError

TREES = {
    "nih_chestxray14": trees.nih,
    "chexpert": trees.chexpert,
    "mimic_cxr_jpg": trees.mimic,
    "vindr_cxr": trees.vindr,
    "rsna_pneumonia": lambda root: trees.rsna(root, with_mapping=True),
    "padchest": trees.padchest,
    "siim_acr": trees.siim,
    "covidx": trees.covidx,
}
TABLES = ("*.csv", "*.csv.gz", "*.csv.zip", "*.txt", "*.json")
BITS = [b"", b"\0", b'"', b",", b"\n", b"nan", b"-5", b"\xff\xfe", b"[", "é".encode(), b"1e999"]
DAMAGES = 60  # a collection


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Content with a piece cut out, another put in, or its end missing."""
    start = chance.randrange(len(content))
    end = chance.choice([start, start + 1, start + chance.randrange(1, 30), len(content)])
    return content[:start] + chance.choice(BITS) + content[end:]


@pytest.mark.parametrize("name", TREES)
def test_a_damaged_table_is_read_or_refused(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    root = tmp_path / "whole"
    TREES[name](root)
    tables = sorted(file for pattern in TABLES for file in root.rglob(pattern))
    refused = 0
    for number in range(DAMAGES):
        copy = tmp_path / str(number)
        shutil.copytree(root, copy)
        file = copy / chance.choice(tables).relative_to(root)
        file.write_bytes(damaged(file.read_bytes(), chance))
        settings = {"kind": "collection", "name": name, "root": str(copy), "views": "all"}
        try:
            images = list_images(settings, Path("phantoms"))
        except DatasetError as error:
            refused += 1
            assert "\n" not in str(error) and str(copy) in str(error)
        else:
            assert images and all(image.label for image in images)
    assert 0 < refused < DAMAGES
