"""New images, asked of the networks of a finished run: nothing else is made again."""

import csv
import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
from PIL import Image

from tests.unit.test_dicom import dicom, dicom_bytes
from tests.workflow.small_project import Project, xray

NAMED = ("--config", "predict_images=new", "--", "predict")
EVIL = "<img src=x onerror=alert(1)>.png"


def jobs(project: Project, *arguments: str) -> list[str]:
    """Rules of the jobs that Snakemake would run, sorted."""
    done = project.snakemake("--dry-run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.search(r"Job stats:\n.*?\n-.*?\n(.*?)\ntotal", done.stdout, re.DOTALL)
    return sorted(line.split()[0] for line in table[1].splitlines()) if table else []


def make_new_images(project: Project) -> None:
    """A new X-ray, the same as DICOM, one of the test part, and what is no X-ray."""
    folder = project.folder / "new"
    (folder / "series").mkdir(parents=True)
    Image.fromarray(xray(77_001)).save(folder / "=1+1.png")
    Image.fromarray(xray(77_002)).save(folder / EVIL)
    pixels = xray(77_001).astype(np.uint16) * 16
    (folder / "series" / "IM0001").write_bytes(dicom_bytes(dicom(pixels)))
    colours = np.random.default_rng(5).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(colours).resize((90, 60)).save(folder / "holiday.jpg")
    nearly = np.full((50, 50), 9, np.uint8)
    nearly[:, 25:] = 10
    Image.fromarray(nearly).save(folder / "blank.png")
    (folder / "letter.png").write_text("Dear colleague", encoding="utf-8")
    predictions = pd.read_parquet(calibrated_file(project))
    known = predictions.loc[predictions["role"] == "test", "image_id"].iloc[0]
    label, name = known.split("/")
    source = project.folder / "data" / "small" / label / "images" / f"{name}.png"
    (folder / "known.png").write_bytes(source.read_bytes())


def calibrated_file(project: Project) -> Path:
    run = "results/small/runs/two_class/holdout/fold-1/seed-0"
    return project.folder / run / "calibrated.parquet"


def test_new_images_are_answered_and_nothing_else_is_made_again(project: Project) -> None:
    # Few images were held back: enough for this coverage, not for 0.9.
    project.change(predict={"coverage": 0.7})
    make_new_images(project)
    before = project.results()
    made = ["predict", "predict_images", "predict_page", "predict_reference"]
    assert jobs(project, *NAMED) == made
    printed = project.run(*NAMED)
    assert "6 of 7 new images could be read; what the networks say" in printed
    after = project.results()
    kept = {file: time for file, time in after.items() if file in before}
    assert kept == before
    (page_file,) = project.folder.glob("results/small/predict/new-*/index.html")
    folder = page_file.parent

    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as handle:
        rows = {row["image"]: row for row in csv.DictReader(handle)}
    # A spreadsheet would have run the first name as a formula.
    readable = {"'=1+1.png", EVIL, "series/IM0001", "holiday.jpg", "blank.png", "known.png"}
    assert set(rows) == readable
    with (folder / "quarantine.csv").open(newline="", encoding="utf-8") as handle:
        (bad,) = csv.DictReader(handle)
    assert bad["image"] == "letter.png"
    assert "not an image" in bad["reason"]
    assert rows["holiday.jpg"]["answer"] == rows["blank.png"]["answer"] == "abstain"
    assert "in colour" in rows["holiday.jpg"]["reason"]
    assert "blank" in rows["blank.png"]["reason"]
    verdict = json.loads((project.folder / "results/small/audit/verdict.json").read_text("utf-8"))
    for row in rows.values():
        assert row["notice"].startswith("Research use only")
        assert row["can_it_be_believed"] == f"{verdict['answer']} {verdict['sentence']}"
        assert row["coverage"] == "0.7"

    # The same picture in another kind of file has the same answer.
    table = pd.read_parquet(folder / "predictions.parquet").set_index("image")
    columns = ["probability_Normal", "probability_COVID"]
    first, second = (
        table.loc[name, columns].to_numpy(float) for name in ("=1+1.png", "series/IM0001")
    )
    assert np.abs(np.nan_to_num(first) - np.nan_to_num(second)).max() < 0.05

    # What the run itself said of one of its test images, and that it is one.
    assert "the very same picture as" in rows["known.png"]["copy_note"]
    assert "not in the training part" in rows["known.png"]["copy_note"]
    stored = pd.read_parquet(calibrated_file(project)).set_index("image_id")
    own = stored.loc[rows["known.png"]["copy_of"]]
    if table.loc["known.png", "set"]:
        calibrated = [own[f"calibrated_{name}"] for name in columns]
        assert np.allclose(table.loc["known.png", columns].to_numpy(float), calibrated, atol=1e-4)

    html = page_file.read_text(encoding="utf-8")
    assert "Research use only" in html
    assert "no validation part" in html
    assert EVIL not in html
    linked = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert linked
    for link in linked:
        assert (folder / unquote(link)).is_file(), link
    assert len(list((folder / "overlays").glob("*.png"))) == 6

    # Done is done; a file that is replaced is asked about again, and only that.
    assert jobs(project, *NAMED) == []
    # The report shows the coverage, as part of the configuration; not who was asked about.
    assert jobs(project) == ["all", "report", "run_config"]
    Image.fromarray(xray(77_003)).save(project.folder / "new" / "=1+1.png")
    assert jobs(project, *NAMED) == ["predict", "predict_images", "predict_page"]

    # A folder without one image: the tables are there, and say so.
    (project.folder / "texts").mkdir()
    (project.folder / "texts" / "a.png").write_text("no image", encoding="utf-8")
    project.run("--config", "predict_images=texts", "--", "predict")
    (page_file,) = project.folder.glob("results/small/predict/texts-*/index.html")
    assert "No file could be read as an image." in page_file.read_text(encoding="utf-8")
    assert pd.read_csv(page_file.parent / "predictions.csv").empty
