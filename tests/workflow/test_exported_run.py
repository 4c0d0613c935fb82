"""`snakemake export`: the network that the verdict speaks of, without training anything anew."""

import csv
import json

import yaml

from tests.workflow.small_project import Project

FOLDER = "results/small/export/two_class/holdout/fold-1/seed-0"
FILES = {
    *("README.md", "model-float16.onnx", "model.json", "model.onnx", "model.pt2"),
    *("parity.csv", "parity.json"),
}


def test_export_writes_the_headline_network_and_makes_nothing_else_anew(
    finished: Project, exported: Project
) -> None:
    before, project = finished.results(), exported
    printed = (project.folder / "printed.txt").read_text(encoding="utf-8")
    after = project.results()
    stale = {name for name in before if after.get(name) != before[name]}
    assert stale == set(), "exporting makes other results anew"

    said = printed.partition("Made by export:\n")[2]
    assert f"  {FOLDER}/README.md\n" in said and "  results/small/export/datasheet.md\n" in said

    folder = project.folder / FOLDER
    assert {file.name for file in folder.iterdir()} == FILES
    parity = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    n = parity["n_test_images"]
    assert 0 < n == parity["files"]["model.onnx"]["difference"]["n"]
    for name in ("model.onnx", "model.pt2"):
        difference = parity["files"][name]["difference"]
        # One epoch leaves a network of large numbers, of which float32 keeps seven digits.
        assert difference["logits"] < 1e-4 * max(1.0, difference["largest_logit"])
        assert difference["maps"] < 1e-4 * max(1.0, difference["largest_map"])
    loss = parity["files"]["model.onnx"]["loss"]
    assert loss["same_answer"] == 1.0 and loss["probabilities"] < 1e-3
    with (folder / "parity.csv").open(newline="", encoding="utf-8") as handle:
        assert [row["file"] for row in csv.DictReader(handle)] == list(parity["files"])

    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert facts["classes"] == ["Normal", "COVID"]
    assert (facts["image_size"], facts["map_kind"], facts["scheme"]) == (32, "exact", "holdout")
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(head)["model-index"][0]["name"] == "small-two_class-holdout-fold-1-seed-0"
    verdict = json.loads(
        (project.folder / "results/small/audit/verdict.json").read_text(encoding="utf-8")
    )
    assert verdict["sentence"][:40] in body
    sheet = (project.folder / "results/small/export/datasheet.md").read_text(encoding="utf-8")
    assert "30 chest X-rays" in sheet and "COVID 10" in sheet

    again = project.snakemake("--dry-run", "export")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_default_run_exports_nothing(finished: Project) -> None:
    assert finished.results("*.onnx") == {}
