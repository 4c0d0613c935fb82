"""Manifests and metadata: read as they are meant, or refused with the row and the way out."""

import io
import os
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from workflow_scripts.cxrcam.data.index_table import IndexingError, read_declared_sources
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.listed import list_data_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files that a table may list, and some that it had better not."""
    folder = tmp_path_factory.mktemp("data") / "tables"
    (folder / "folder").mkdir(parents=True)
    (folder / "x.png").write_bytes(b"x")
    (folder / "y.png").write_bytes(b"y")
    (folder.parent / "x.png").write_bytes(b"another")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "broken.png").symlink_to("nowhere.png")
    (folder / "link.png").symlink_to("x.png")
    return folder


def listed(path: Path) -> list[ImageFile]:
    return list_data_set({"kind": "manifest", "path": str(path)}, Path("phantoms"), 4).images


def assert_readable(message: str) -> None:
    """One sentence or two for a person: nothing that a terminal would obey, no inner workings."""
    assert message.isprintable(), repr(message)
    assert message.endswith("."), message
    for word in ("Traceback", "Error(", "object at 0x", "codec"):
        assert word not in message, message


def check(folder: Path, table: corpus.Table) -> None:
    path = folder / table.file_name
    path.write_bytes(table.content)
    try:
        images = listed(path)
    except DatasetError as error:
        assert_readable(str(error))
        assert table.rows is None, f"{table.name}: {error}"
        assert table.words in str(error), f"{table.name}: {error}"
    else:
        assert table.rows is not None or not table.words, f"{table.name} was accepted"
        found = {(os.path.relpath(image.path, folder), image.label) for image in images}
        if table.rows is not None:
            assert found == set(table.rows), table.name
        for image in images:
            assert image.label and Path(image.path).is_file(), table.name


def test_tables_are_read_as_meant_or_refused(folder, tried) -> None:
    for table in corpus.tables():
        check(folder, table)
        tried("tables: spellings and faults")


def test_tables_with_random_damage_are_read_or_refused(folder, tried) -> None:
    for table in corpus.damaged_tables(400):
        check(folder, table)
        tried("tables: random damage")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["x.png", "y.png", "z.png", ""]), st.text(max_size=12)),
        max_size=3,
    )
)
def test_any_text_in_a_label_comes_back_or_is_refused(folder, rows) -> None:
    frame = pd.DataFrame(rows, columns=["path", "label"])
    stream = io.BytesIO()
    frame.to_csv(stream, index=False, errors="replace")
    (folder / "any.csv").write_bytes(stream.getvalue())
    try:
        images = listed(folder / "any.csv")
    except DatasetError as error:
        assert_readable(str(error))
        return
    assert {(Path(image.path).name, image.label) for image in images} == {
        (path, label.strip()) for path, label in rows if path or label.strip()
    }


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def test_parquet_tables_of_any_types_are_read_as_meant_or_refused(folder, tried) -> None:
    whole = parquet(path=["x.png", "y.png"], label=["A", "B"])
    both = (("x.png", "A"), ("y.png", "B"))
    tables = [
        corpus.Table("plain", whole, both),
        corpus.Table("bytes", parquet(path=[b"x.png", b"y.png"], label=[b"A", b"B"]), both),
        corpus.Table("bytes that are no text", parquet(path=[b"x.png"], label=[b"\xff"]), None, ""),
        corpus.Table(
            "numbers",
            parquet(path=["x.png", "y.png"], label=[1, 2]),
            (("x.png", "1"), ("y.png", "2")),
        ),
        corpus.Table(
            "NaN for a label", parquet(path=["x.png"], label=[float("nan")]), None, "no label"
        ),
        corpus.Table("null for a label", parquet(path=["x.png"], label=pa.nulls(1)), None, "label"),
        corpus.Table("lists", parquet(path=[["x.png"]], label=["A"]), None, "does not exist"),
        corpus.Table("no rows", parquet(path=pa.array([], "string"), label=[]), None, "no image"),
        corpus.Table("no columns", parquet(), None, "no column"),
        corpus.Table(
            "a label with a null byte", parquet(path=["x.png"], label=["A\0"]), None, "control"
        ),
        corpus.Table("a path with one", parquet(path=["x\0.png"], label=["A"]), None, ""),
    ]
    tables += [corpus.Table(f"{n} bytes", whole[:n], None, "") for n in range(0, len(whole), 10)]
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        tables.append(corpus.Table(f"bit {place}", bytes(flipped)))
    for table in tables:
        check(folder, corpus.Table(table.name, table.content, table.rows, table.words, "m.parquet"))
        tried("tables: Parquet")


# --- folders --------------------------------------------------------------------------------------


def test_folders_with_links_are_listed_or_refused(tmp_path, tried) -> None:
    def refusal() -> str:
        tried("folders with links")
        with pytest.raises(DatasetError) as caught:
            list_data_set({"kind": "class_folders", "root": str(tmp_path)}, Path("phantoms"), 4)
        assert_readable(str(caught.value))
        return str(caught.value)

    (tmp_path / "A").mkdir()
    (tmp_path / "A/1.png").write_bytes(b"1")
    link = tmp_path / "A/2.png"
    link.symlink_to("2.png")
    assert "2.png" in refusal() and "leads nowhere" in refusal()
    link.unlink()
    link.symlink_to("gone.png")
    assert "leads nowhere" in refusal()
    link.unlink()
    # A link to itself is no class; a link to a class is one.
    (tmp_path / "B").symlink_to("B")
    (tmp_path / "C").symlink_to("A")
    found = list_data_set({"kind": "class_folders", "root": str(tmp_path)}, Path("phantoms"), 4)
    assert [image.image_id for image in found.images] == ["A/1", "C/1"]
    (tmp_path / "D").mkdir()
    (tmp_path / "D/images").symlink_to(".")
    (tmp_path / "D/1.png").write_bytes(b"1")
    found = list_data_set({"kind": "class_folders", "root": str(tmp_path)}, Path("phantoms"), 4)
    assert [image.image_id for image in found.images] == ["A/1", "C/1", "D/1"]


def test_a_folder_that_may_not_be_read_is_refused_in_one_sentence(tmp_path, monkeypatch) -> None:
    (tmp_path / "A").mkdir()

    def denied(_path: object) -> None:
        raise PermissionError(13, "Permission denied", "A")

    monkeypatch.setattr(os, "scandir", denied)  # root may read everything
    with pytest.raises(DatasetError, match="cannot be read") as caught:
        list_data_set({"kind": "class_folders", "root": str(tmp_path)}, Path("phantoms"), 4)
    assert_readable(str(caught.value))


# --- metadata -------------------------------------------------------------------------------------


def workbook(*rows: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def without_part(content: bytes, part: str) -> bytes:
    """A workbook that lacks one of its parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
    return stream.getvalue()


def test_metadata_tables_are_read_or_refused(tmp_path, tried) -> None:
    head = ("FILE NAME", "FORMAT", "SIZE", "URL")
    whole = workbook(head, ("A-1", "PNG", "256*256", "https://a.example"))
    with zipfile.ZipFile(io.BytesIO(whole)) as book:
        parts = book.namelist()
    good = {
        "whole": (whole, {"a-1": "https://a.example"}),
        "a formula": (workbook(head, ("A-1", "", "", "=1+1")), {}),
        "empty cells": (workbook(head, (None, None, None, None)), {}),
        "numbers": (workbook(head, (7, 0, 0, 8)), {"7": "8"}),
        "other columns": (workbook(("NAME",), ("A-1",)), {}),
        "nothing": (workbook(), {}),
    }
    file = tmp_path / "A.metadata.xlsx"
    for name, (content, expected) in good.items():
        file.write_bytes(content)
        found = read_declared_sources([file])
        assert found == expected, name
        tried("metadata tables")
    broken = [whole[:n] for n in range(0, len(whole), 10)] + [b"FILE NAME,URL\nA-1,b\n", b""]
    broken += [without_part(whole, part) for part in parts]
    for content in broken:
        file.write_bytes(content)
        tried("metadata tables")
        try:
            assert read_declared_sources([file]) in ({"a-1": "https://a.example"}, {})
        except IndexingError as error:
            assert str(file) in str(error) and "Repair it" in str(error)
