"""Names from the data reach tables, pages, figures and files as names, and nothing runs them."""

import csv
import io
import re
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import smooth_noise
from tests.fuzz import corpus
from tests.shards import write_shard
from tests.unit.test_verdict import check
from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.data.listing.listed import list_data_set
from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.figures.confusion import confusion_figure
from workflow_scripts.cxrcam.files import LONGEST_NAME, file_name
from workflow_scripts.cxrcam.maps.captioned_overlay import captioned_overlay
from workflow_scripts.cxrcam.markdown import markdown_text
from workflow_scripts.cxrcam.paper.scorecard import REPRODUCED, Claim, scorecard_markdown
from workflow_scripts.cxrcam.spreadsheets import write_csv
from workflow_scripts.cxrcam.verdict.check import Headline
from workflow_scripts.cxrcam.verdict.page import verdict_markdown

FORMULAS = [name for name in corpus.NAMES if name[0] in "=+@-" and name not in {"-1"}]
STUDY = {"kind": "class_folders"}


def study(folder: Path) -> list[ImageFile]:
    return list_data_set({**STUDY, "root": str(folder)}, Path("phantoms"), 8).images


# --- through the workflow's own steps -------------------------------------------------------------


def test_files_of_any_name_keep_it_from_listing_to_pixels(tmp_path, tried) -> None:
    folder = tmp_path / "data set" / "A"
    folder.mkdir(parents=True)
    for number, name in enumerate(corpus.NAMES):
        if not name.startswith("."):  # hidden
            Image.fromarray(smooth_noise(number)).save(folder / f"{name}.png")
            tried("names: files")
    images = study(folder.parent)
    wanted = {f"A/{name}" for name in corpus.NAMES if not name.startswith(".")}
    assert {image.image_id for image in images} == wanted
    files = [(image.image_id, Path(image.path)) for image in images]
    facts, readable, pixels = decode_images(files, 16, "bilinear", 10_000, threads=2)
    assert readable == [image.image_id for image in images]
    shards = [tmp_path / "shard.parquet"]
    write_shard(shards[0], readable, pixels, {})
    backwards = readable[::-1]
    assert np.array_equal(read_pixels(shards, backwards, 16), pixels[::-1])
    assert facts["image_id"].to_pylist() == readable


def test_files_that_differ_by_case_only_are_two_images(tmp_path, tried) -> None:
    (tmp_path / "A").mkdir()
    for number, name in enumerate(("x.png", "X.png", "x.PNG")):
        Image.fromarray(smooth_noise(number)).save(tmp_path / "A" / name, "PNG")
        tried("names: files")
    if len(list((tmp_path / "A").iterdir())) < 3:
        pytest.skip("this file system does not tell upper from lower case")
    ids = [image.image_id for image in study(tmp_path)]
    assert len(set(ids)) == 3


def test_manifests_reach_any_path_and_never_another_file(tmp_path, tried) -> None:
    data = tmp_path / "tables"
    for number, name in enumerate(corpus.NAMES):
        if name != name.strip() or "\r" in name:
            continue
        (data / name).mkdir(parents=True, exist_ok=True)
        path = f"{name}/../{name}/{name[:100]}.png"
        Image.fromarray(smooth_noise(number)).save(data / path, "PNG")
        stream = io.StringIO(newline="")
        csv.writer(stream).writerows([("path", "label"), (path, "A")])
        (data / "m.csv").write_bytes(stream.getvalue().encode())
        (image,) = list_images({"kind": "manifest", "path": str(data / "m.csv")}, Path("phantoms"))
        assert Path(image.path).samefile(data / path)
        tried("names: paths in manifests")


def test_one_file_under_two_labels_is_found(tmp_path, tried) -> None:
    for label in ("A", "B"):
        (tmp_path / label).mkdir()
        for number in range(3):
            picture = smooth_noise(10 * (label == "B") + number, 64, 64)
            Image.fromarray(picture).save(tmp_path / label / f"{number}.png")
    (tmp_path / "B" / "link.png").symlink_to(tmp_path / "A" / "0.png")
    (tmp_path / "B" / "hard.png").hardlink_to(tmp_path / "A" / "1.png")
    tried("names: one file, two labels", 2)
    files = [(image.image_id, Path(image.path)) for image in study(tmp_path)]
    facts, names, pixels = decode_images(files, 16, "bilinear", 10_000, threads=1)
    write_shard(tmp_path / "shard.parquet", names, pixels, {})
    pq.write_table(facts, tmp_path / "facts.parquet")
    images = stored_fingerprints([tmp_path / "facts.parquet"])
    pairs = find_duplicates(images, [tmp_path / "shard.parquet"])
    found = {frozenset(pair) for pair in zip(pairs["image_id_a"], pairs["image_id_b"], strict=True)}
    assert {frozenset(("A/0", "B/link")), frozenset(("A/1", "B/hard"))} <= found


# --- files ----------------------------------------------------------------------------------------


@given(st.text(min_size=1) | st.sampled_from(corpus.NAMES) | st.sampled_from(["..", "../x", "/x"]))
@settings(max_examples=200)
def test_a_file_name_is_one_name_of_plain_characters(text) -> None:
    name = file_name(text)
    assert 0 < len(name) <= LONGEST_NAME
    assert re.fullmatch(r"[\w.~ ()+,=@%-]+", name, re.ASCII)
    assert "/" not in name and f"{name}.png" not in {".", ".."}


def test_long_names_stay_different() -> None:
    names = {file_name("肺" * 70 + end) for end in ("", "a", "b")}
    assert len(names) == 3


def test_a_shell_that_is_given_a_path_runs_nothing(tmp_path, tried) -> None:
    """No rule uses the shell; who pastes a path of ours into one is safe, quoted or not."""
    for rules in (Path(__file__).parents[2] / "rules").glob("*.smk"):
        assert not re.search(r"^\s*shell:", rules.read_text(encoding="utf-8"), re.MULTILINE)
    for name in corpus.NAMES:
        tried("names: shell")
        given_to_shell = file_name(name).replace(" ", "").replace("(", "").replace(")", "")
        assert shlex.split(f"echo {given_to_shell}") == ["echo", given_to_shell]
    line = "; ".join(f"echo {shlex.quote(file_name(name))}" for name in corpus.NAMES)
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == [file_name(name) for name in corpus.NAMES]
    assert list(tmp_path.iterdir()) == []


# --- tables ---------------------------------------------------------------------------------------


def test_csv_keeps_every_name_and_no_spreadsheet_runs_one(tmp_path, tried) -> None:
    frame = pd.DataFrame({"image_id": corpus.NAMES, "value": np.linspace(-1, 1, len(corpus.NAMES))})
    write_csv(tmp_path / "t.csv", frame)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row, name, value in zip(rows, frame["image_id"], frame["value"], strict=True):
        tried("names: CSV")
        assert row["image_id"] == ("'" if name in FORMULAS else "") + name.replace("\r", "\n")
        assert float(row["value"]) == value
    assert len(FORMULAS) >= 5


@pytest.mark.parametrize("text", ["-", "+", "-1", "-0.5", "1.5", "+49", "−3", "a=b", ""])
def test_csv_leaves_numbers_and_dashes_as_they_are(tmp_path, text) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"a": [text], "b": ["x"]}))
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as handle:
        assert list(csv.reader(handle))[1] == [text, "x"]


def test_paper_tables_hold_names_as_text_in_every_format(tmp_path, tried) -> None:
    frame = pd.DataFrame({"class": corpus.NAMES, "accuracy": 0.5})
    write_table(frame, tmp_path / "t", "Caption <b> \\input{x} $x$")
    tried("names: LaTeX and Markdown", 2 * len(corpus.NAMES))
    markdown, latex = ((tmp_path / f"t.{kind}").read_text("utf-8") for kind in ("md", "tex"))
    assert "\\input{" not in latex
    assert not re.search(r"(?<!\\)[#%&]", latex.split("\\midrule")[1].replace(" & 0.500", ""))
    assert len(latex.split("\\midrule")[1].split("\\bottomrule")[0].strip().splitlines()) == len(
        frame
    )
    assert not re.search(r"(?<!\\)<", markdown)
    assert len(markdown.strip().splitlines()) == len(frame) + 4


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", corpus.NAMES)
def test_pages_show_names_as_text(name, tried) -> None:
    tried("names: verdict and scorecard")
    found = check("failed", clause=f"{name} is told by its corners", subject="", name=name)
    headline = Headline("two_class", "holdout", name, 0.9, 0.8, 0.95, 90)
    claim = Claim("Table 1", f"{name} is found", "-", f"{name}: 90 %", REPRODUCED, f"Of {name}.")
    for page in (
        verdict_markdown([found], headline, f"Data set {name}"),
        scorecard_markdown([claim], f"Data set {name}", [f"Of {name}"]),
    ):
        outside_code = re.sub("`[^`\n]*`", "", page)
        assert not re.search(r"(?<!\\)<", outside_code)
        assert not re.search(r"(?<!\\)\]\(", outside_code)
        rows = [line for line in page.splitlines() if line.startswith("|")]
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert len(bars) == 1, "a name adds a column"


def test_markdown_keeps_code_and_underscores() -> None:
    assert markdown_text("set `seeds: [0, 1]` in two_class") == "set `seeds: [0, 1]` in two_class"
    assert markdown_text("<b>\n[x](y) $a$ |") == r"&lt;b> \[x\](y) \$a\$ \|"


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*Glyph.*:UserWarning")
@pytest.mark.parametrize(
    "name", ["$x_1$ and $y^2$", "<script>alert(1)<", "\\frac{", "$", "a&b]]>--"]
)
def test_figures_print_names_literally(tmp_path, name, tried) -> None:
    tried("names: figures")
    matrix = np.array([[5, 1], [2, 7]])
    figure = confusion_figure(matrix, ["Normal", name], title=name)
    (path,) = save_figure(figure, tmp_path / "f", kinds=["svg"])
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # well-formed
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert "<script" not in text


def test_overlays_print_any_name(tried) -> None:
    grey = np.zeros((64, 64), np.uint8)
    none = {"lung_mask": None, "lesion_mask": None}
    shown = {"grey": grey, "evidence": np.float32(grey), **none}
    for name in corpus.NAMES:
        tried("names: overlays")
        picture = captioned_overlay(
            shown,
            image_id=name,
            label=name,
            predicted=name,
            probability=0.5,
            scale_max=1.0,
            method=None,
            opacity=0.5,
            against=False,
        )
        assert picture.size[0] > 64
