"""One complete run: every promised file is there, and says what its contract says."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from safetensors import safe_open

from tests.unit.html_page import links_within
from tests.workflow.small_project import (
    CLASSES,
    IMAGES_PER_CLASS,
    RUNS,
    TASKS,
    Project,
    small_configuration,
)
from workflow_scripts.cxrcam.contracts import (
    FACTS,
    HISTORY,
    LISTING,
    SPLIT,
    TIMINGS,
    maps_schema,
    predictions_schema,
)
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS
from workflow_scripts.cxrcam.verdict.checks import REGISTERED, findings

SETTINGS = small_configuration()
SIZE = SETTINGS["image"]["size"]
MAP_SIDE = 1  # ResNet18 divides each side by 32
FIGURES = ("history", "confusion", "roc", "precision_recall", "reliability")
every_run = pytest.mark.parametrize(("task", "scheme", "fold"), RUNS)


@pytest.fixture(scope="module")
def results(finished: Project) -> Path:
    return finished.folder / "results" / "small"


def run_folder(task: str, scheme: str, fold: int, kind: str = "runs") -> str:
    return f"{kind}/{task}/{scheme}/fold-{fold}/seed-0"


def read(file: Path) -> pd.DataFrame:
    return pq.read_table(file).to_pandas()


def has_columns(file: Path, contract: pa.Schema) -> None:
    """Check names, types and order of the columns of a Parquet file."""
    found = pq.read_schema(file).remove_metadata()
    assert found.equals(contract.remove_metadata()), f"{file.name}: {found}"


def pictures(folder: Path) -> Iterator[Image.Image]:
    for file in sorted(folder.glob("*.png")):
        with Image.open(file) as picture:
            picture.load()
            yield picture


# --- the tree -------------------------------------------------------------------------------------


def test_every_promised_file_exists(results: Path) -> None:
    promised = {
        "../run_config.yaml",
        "index/images.parquet",
        "index/quarantine.csv",
        "audit/duplicates.parquet",
        "tables/metrics.csv",
        "tables/summary.csv",
        "tables/comparisons.csv",
        "audit/leaks.csv",
        "audit/suspect_images.csv",
        "audit/suspect_images.html",
        "audit/judged_labels.parquet",
        "audit/suspect_labels.csv",
        "audit/suspect_labels.html",
        "audit/sources.json",
        "audit/columns.json",
        "audit/acquisition.json",
        "audit/subgroups.csv",
        "audit/subgroups.png",
        "audit/slices.csv",
        "audit/slices.html",
        f"{run_folder('two_class', 'holdout', 1, 'audit')}/probes.csv",
        "cache/masks.parquet",
        "figures/accuracy.png",
        "figures/accuracy.svg",
        "report/index.html",
        "report/provenance.html",
        "report/base.css",
        "report/report.css",
        "report/rulegraph.svg",
        "report/report.js",
        "report/made.js",
        "report/pictures/01-xray.jpg",
        "report/pictures/large/01-xray.jpg",
        "report/files/audit/duplicates.html",
        "report/files/figures/accuracy.svg",
    }
    for task, scheme, fold in RUNS:
        promised |= {
            f"{run_folder(task, scheme, fold)}/{name}"
            for name in (
                "model.safetensors",
                "history.parquet",
                "timings.parquet",
                "predictions.parquet",
                "features.parquet",
                "metrics.json",
                "calibrated.parquet",
            )
        }
        promised |= {
            f"{run_folder(task, scheme, fold, 'audit')}/{name}"
            for name in ("covered.parquet", "maps.json", "masked.csv")
        }
        if fold == 1:
            promised.add(f"{run_folder(task, scheme, fold, 'audit')}/map_tests.json")
        promised.add(f"audit/{task}/{scheme}/fold-{fold}/floors.parquet")
        promised.add(f"splits/{task}/{scheme}/fold-{fold}.parquet")
        promised.add(f"{run_folder(task, scheme, fold, 'cam')}/maps.parquet")
        promised |= {
            f"figures/{figure}-{task}-{scheme}.{kind}"
            for figure in FIGURES
            for kind in ("png", "svg")
        }
    empty = {name for name in promised if not (results / name).is_file()}
    assert empty == set()
    assert all((results / name).stat().st_size > 0 for name in promised)


def test_nothing_half_written_is_left(finished: Project) -> None:
    # Snakemake itself leaves a time stamp in folders that are outputs.
    files = {Path(name).name for name in finished.results()} - {".snakemake_timestamp"}
    assert {name for name in files if ".part" in name or name.startswith(".")} == set()


def test_what_the_workflow_measures_of_files_is_no_column_of_the_data(finished: Project) -> None:
    columns = finished.folder / "results/small/audit/columns.json"
    assert json.loads(columns.read_text(encoding="utf-8")) == {task: {} for task in TASKS}


def test_every_job_has_a_log_and_a_benchmark(finished: Project) -> None:
    header, *rows = finished.snakemake("--summary").stdout.splitlines()
    columns = header.split("\t")
    jobs = [dict(zip(columns, row.split("\t"), strict=True)) for row in rows]
    assert len(jobs) > 60
    for job in jobs:
        log = job["log-file(s)"]
        assert log.startswith("results/logs/"), f"{job['rule']} has no log"
        assert (finished.folder / log).is_file(), f"{job['rule']} wrote no log"
        assert "Unexpected" not in (finished.folder / log).read_text(encoding="utf-8")
        if job["rule"] != "run_config":  # milliseconds of writing one file
            benchmark = log.replace("results/logs", "results/benchmarks").replace(".log", ".tsv")
            text = (finished.folder / benchmark).read_text(encoding="utf-8")
            assert text.startswith("s\t"), f"{job['rule']} has no benchmark"


def test_two_jobs_never_share_a_log(finished: Project) -> None:
    header, *rows = finished.snakemake("--summary").stdout.splitlines()
    log, rule = header.split("\t").index("log-file(s)"), header.split("\t").index("rule")
    rules: dict[str, set[str]] = {}
    for row in rows:
        rules.setdefault(row.split("\t")[log], set()).add(row.split("\t")[rule])
    assert {name for name, of in rules.items() if len(of) > 1} == set()


def test_the_headline_is_printed(finished: Project) -> None:
    printed = (finished.folder / "printed.txt").read_text(encoding="utf-8")
    assert "Test accuracy, all runs of a design together (95 % interval)" in printed
    for task in TASKS:
        assert f"  {task}" in printed


def test_a_run_without_a_terminal_is_plain_lines_and_its_results_stand_last(
    finished: Project,
) -> None:
    printed = (finished.folder / "printed.txt").read_text(encoding="utf-8")
    assert not re.search(r"[^\n -~–]", printed), "control characters"
    assert "Reason:" not in printed and "SNAKEMAKE" not in printed and "Select jobs" not in printed
    page = "All results on one page: results/small/report/index.html\n"
    results, said = printed.split(page)
    assert said.startswith("Using workflow specific profile"), "something stands below the results"
    assert results.startswith("\nThe whole log: .snakemake/log/")
    lines = said.splitlines()
    jobs = [line for line in lines if re.match(r"\[\d+ of \d+ done[,\]]", line)]
    epochs = [line for line in lines if ": epoch 1.00 of 1, " in line]
    assert len(epochs) == len(RUNS)
    assert len({line.split("] ")[1] for line in jobs}) == len(jobs), "a job is named twice"
    (total,) = re.findall(r"^(\d+) jobs to do\.$", said, re.MULTILINE)
    assert len(jobs) == int(total) and f"All {total} jobs done in " in said
    assert "too few to tell copies from strangers" in said, "the warning of a job is missing"
    assert len(lines) < len(jobs) + len(epochs) + 12


def test_the_resolved_configuration_stands_beside_the_results(results: Path) -> None:
    used = yaml.safe_load((results.parent / "run_config.yaml").read_text(encoding="utf-8"))
    # What an overlay removed stays as null, so that the file can be given as --configfile again.
    assert [name for name, entry in used["datasets"].items() if entry] == ["small"]
    assert used["datasets"]["demo"] is None
    assert used["train"]["learning_rate"] == SETTINGS["train"]["learning_rate"]
    assert used["train"]["momentum"] == 0.9  # a default that no file mentions for this run
    assert used["schemes"]["random_subsample"]["repeats"] == 2


def test_the_folder_of_the_report_can_be_mailed(results: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(results / "report", tmp_path / "report")
    links, lost = links_within(folder)
    assert (links > 100, lost) == (True, [])
    page = (folder / "index.html").read_text(encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    (said,) = re.findall(r"all that its pages show \(([0-9.]+) MB\)", page)
    # Its own pages are written after it was measured.
    assert abs(float(said) - size / 1e6) < 0.3
    assert "was trained for 1 epoch (Adam, learning rate 0.01" in re.sub(r"\s+", " ", page)
    made = (folder / "made.js").read_text(encoding="utf-8")
    assert "Command: snakemake --configfile overlay.yaml" in made


def test_what_networks_start_from_is_said_wherever_results_are(
    finished: Project, results: Path
) -> None:
    sentence = "Networks start from random weights."
    for text in (
        results.parent / "run_config.yaml",
        results / "audit/verdict.md",
        results / "report/index.html",
        finished.folder / "printed.txt",
    ):
        assert text.read_text(encoding="utf-8").count(sentence) >= 1, text


def test_random_weights_that_nobody_asked_for_are_said_with_the_way_out(
    fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(fresh.folder / "no cache"))
    fresh.change(model={"weights": "auto"})
    printed = fresh.run("results/run_config.yaml")
    text = (fresh.folder / "results/run_config.yaml").read_text(encoding="utf-8")
    assert "# Networks start from RANDOM weights. The ImageNet weights of resnet18" in text
    assert "--forcerun weights" in text
    assert "Training starts from random weights." in printed


# --- contracts ------------------------------------------------------------------------------------


def test_the_index_has_a_row_an_image(results: Path) -> None:
    index = read(results / "index/images.parquet")
    assert tuple(index.columns) == INDEX_COLUMNS
    assert index["image_id"].is_unique
    assert index["image_id"].is_monotonic_increasing
    assert index["label"].value_counts().to_dict() == dict.fromkeys(CLASSES, IMAGES_PER_CLASS)
    assert index["mask_path"].notna().sum() == 2 * len(CLASSES)
    assert set(index["image_id"].str.split("/").str[0]) == set(CLASSES)
    assert index["pixel_sha256"].map(len).eq(64).all()
    assert index["pixel_sha256"].is_unique


def test_nothing_was_quarantined(results: Path) -> None:
    with (results / "index/quarantine.csv").open(encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle)
    assert header == ["image_id", "path", "label", "reason"]
    assert rows == []


def test_listing_facts_and_cache_keep_their_contracts(results: Path) -> None:
    has_columns(results / "index/listing.parquet", LISTING)
    shards = sorted((results / "cache").glob("shard-*.parquet"))
    assert len(shards) == 4
    cached: list[str] = []
    for shard in shards:
        pixels = ("pixels", pa.binary(SIZE**2))
        has_columns(shard, pa.schema([("image_id", pa.string()), pixels]))
        has_columns(results / "index/facts" / shard.name, FACTS)
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"size"] == str(SIZE).encode()
        assert {b"resampling", b"mean", b"std", b"content_fingerprint"} <= metadata.keys()
        cached += pq.read_table(shard)["image_id"].to_pylist()
    assert sorted(cached) == read(results / "index/images.parquet")["image_id"].tolist()


@every_run
def test_a_split_divides_its_images(results: Path, task: str, scheme: str, fold: int) -> None:
    file = results / f"splits/{task}/{scheme}/fold-{fold}.parquet"
    has_columns(file, SPLIT)
    split = read(file)
    assert split["image_id"].is_unique
    assert set(split["label"]) == set(TASKS[task])
    assert set(split["role"]) == {"train", "test"}
    n, test = (10, 3) if scheme == "holdout" else (8, 2)
    for label in TASKS[task]:
        roles = split.loc[split["label"] == label, "role"].value_counts()
        assert roles.to_dict() == {"train": n - test, "test": test}


def test_repeats_draw_different_images(results: Path) -> None:
    first, second = (
        set(read(results / f"splits/three_class/random_subsample/fold-{k}.parquet")["image_id"])
        for k in (1, 2)
    )
    assert first != second


@every_run
def test_predictions_are_of_exactly_the_unseen_images(
    results: Path, task: str, scheme: str, fold: int
) -> None:
    classes = TASKS[task]
    file = results / run_folder(task, scheme, fold) / "predictions.parquet"
    has_columns(file, predictions_schema(classes))
    split = read(results / f"splits/{task}/{scheme}/fold-{fold}.parquet")
    predictions = read(file)
    unseen = split[split["role"] != "train"]
    assert predictions["image_id"].tolist() == unseen["image_id"].tolist()
    assert predictions["label"].tolist() == unseen["label"].tolist()
    probabilities = predictions[[f"probability_{name}" for name in classes]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@every_run
def test_a_map_adds_up_to_its_logit(results: Path, task: str, scheme: str, fold: int) -> None:
    classes = TASKS[task]
    file = results / run_folder(task, scheme, fold, "cam") / "maps.parquet"
    has_columns(file, maps_schema(classes, MAP_SIDE, MAP_SIDE))
    maps = read(file)
    run = results / run_folder(task, scheme, fold)
    predictions = read(run / "predictions.parquet")
    assert maps["image_id"].tolist() == predictions["image_id"].tolist()
    with safe_open(run / "model.safetensors", framework="numpy") as model:
        bias = model.get_tensor("fc.bias")
    for k, name in enumerate(classes):
        mean = [np.frombuffer(raw, dtype=np.float32).mean() for raw in maps[f"map_{name}"]]
        np.testing.assert_allclose(
            np.array(mean) + bias[k], predictions[f"logit_{name}"], rtol=1e-3, atol=1e-3
        )


@every_run
def test_a_history_tells_the_training(results: Path, task: str, scheme: str, fold: int) -> None:
    file = results / run_folder(task, scheme, fold) / "history.parquet"
    has_columns(file, HISTORY)
    history = read(file)
    assert history["epoch"].max() == 1.0
    assert set(history["role"]) == {"train", "test"}
    assert np.isfinite(history["loss"]).all()
    assert history["accuracy"].between(0, 1).all()
    clock = file.with_name("timings.parquet")
    has_columns(clock, TIMINGS)
    timings = read(clock)
    assert timings["iteration"].tolist() == history["iteration"].unique().tolist()
    assert (timings["wall_seconds"] >= timings["seconds"]).all()


def test_a_model_says_what_it_is(results: Path) -> None:
    file = results / run_folder("three_class", "holdout", 1) / "model.safetensors"
    with safe_open(file, framework="numpy") as model:
        card = json.loads(model.metadata()["cxrcam"])
        assert model.get_tensor("fc.weight").shape == (3, 512)
    assert card["classes"] == TASKS["three_class"]
    assert card["architecture"] == "resnet18"
    assert card["image_size"] == SIZE
    assert card["weights_origin"] == "random"
    assert card["configuration_hash"]
    assert card["data_fingerprint"]


# --- numbers and pictures -------------------------------------------------------------------------


def test_the_table_repeats_what_the_predictions_say(results: Path) -> None:
    table = pd.read_csv(results / "tables/metrics.csv")
    assert len(table) == len(RUNS)
    for task, scheme, fold in RUNS:
        classes = TASKS[task]
        predictions = read(results / run_folder(task, scheme, fold) / "predictions.parquet")
        columns = [f"probability_{name}" for name in classes]
        predicted = predictions[columns].to_numpy().argmax(axis=1)
        correct = np.array(classes)[predicted] == predictions["label"]
        chosen = table["task"].eq(task) & table["scheme"].eq(scheme) & table["fold"].eq(fold)
        (row,) = table[chosen].to_dict("records")
        assert row["accuracy"] == pytest.approx(correct.mean())
        assert row["n_test_images"] == len(predictions)


def test_the_summary_has_a_row_a_design(results: Path) -> None:
    summary = pd.read_csv(results / "tables/summary.csv")
    designs = set(zip(summary["task"], summary["scheme"], strict=True))
    assert designs == {(task, scheme) for task, scheme, _ in RUNS}
    low, value, high = (summary[f"pooled_accuracy{end}"] for end in ("_low", "", "_high"))
    assert (low <= value).all()
    assert (value <= high).all()
    assert (low < high).all(), "no headline without its interval"


def test_the_verdict_has_every_check_of_every_task(results: Path) -> None:
    assert len(REGISTERED) > 15
    verdict = json.loads((results / "audit/verdict.json").read_text(encoding="utf-8"))
    found = {check["name"].split(":")[0] for check in verdict["checks"]}
    of_findings = {name for name, judge in REGISTERED.items() if judge is findings.judge}
    assert found == set(REGISTERED) - of_findings
    for name in ("the data give it away", "acquisition", "better than a blind classifier"):
        subjects = {c["subject"].split(",")[0] for c in verdict["checks"] if name in c["name"]}
        assert subjects == set(TASKS), name
    page = (results / "audit/verdict.md").read_text(encoding="utf-8")
    assert all(f"| {check['name']}. " in page for check in verdict["checks"])


def test_every_figure_opens(results: Path) -> None:
    drawn = list(pictures(results / "figures"))
    assert len(drawn) >= 1 + len(FIGURES) * 4
    # A figure in which nothing was drawn has one colour.
    assert all(len(set(picture.convert("L").resize((64, 64)).tobytes())) > 2 for picture in drawn)


@every_run
def test_every_overlay_opens(results: Path, task: str, scheme: str, fold: int) -> None:
    folder = results / run_folder(task, scheme, fold, "cam")
    drawn = list(pictures(folder / "overlays"))
    assert len(drawn) == SETTINGS["cam"]["overlays"]
    assert all(min(picture.size) >= 299 for picture in drawn)
    galleries = {file.stem for file in (folder / "gallery").glob("*.png")}
    assert galleries == set(TASKS[task])
    assert len(list(pictures(folder / "gallery"))) == len(galleries)


# --- running again --------------------------------------------------------------------------------


def test_training_again_gives_the_same_bytes(project: Project) -> None:
    run = f"results/small/{run_folder('two_class', 'holdout', 1)}"
    target = project.folder / run / "model.safetensors"
    before = target.read_bytes()
    target.unlink()
    project.run(f"{run}/model.safetensors")
    assert target.read_bytes() == before


def test_only_the_stale_files_are_written_again(project: Project) -> None:
    before = project.results()
    project.change(cam={"opacity": 0.2})
    redrawn = f"results/small/{run_folder('two_class', 'holdout', 1, 'cam')}"
    project.run(f"{redrawn}/overlays")
    after = project.results()
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed, "nothing was redrawn"
    for name in changed:
        path = name.replace("results/logs/", "results/").replace("results/benchmarks/", "results/")
        assert path.startswith(redrawn)
        assert not name.endswith("maps.parquet")
