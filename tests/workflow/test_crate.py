"""The crate of a real run: what it names is there, and nothing tells where it was made."""

import hashlib
import json
from pathlib import Path
from urllib.parse import unquote

from rocrate.rocrate import ROCrate

from tests.workflow.small_project import Project


def test_a_finished_run_becomes_a_crate_that_names_what_lies_in_it(project: Project) -> None:
    printed = project.run("crate")
    assert "Made by crate:\n  results/small/ro-crate-metadata.json\n" in printed
    root = project.folder / "results" / "small"
    crate = ROCrate(root)
    assert crate.mainEntity.id == "workflow/Snakefile"
    results = {unquote(entity.id): entity for entity in crate.get("#run")["result"]}
    assert {"tables/summary.csv", "audit/verdict.md", "report/index.html"} <= results.keys()
    for name, entity in results.items():
        assert (root / name).exists()
        if not name.endswith("/"):
            digest = hashlib.sha256((root / name).read_bytes()).hexdigest()
            assert entity["sha256"] == digest, name
    text = (root / "ro-crate-metadata.json").read_text(encoding="utf-8")
    held = [text, (root / "workflow/config.yaml").read_text(encoding="utf-8")]
    assert not any(str(project.folder) in one or str(Path.home()) in one for one in held)
    values = {entity["name"]: entity["value"] for entity in crate.get("#run")["object"]}
    assert json.loads(values["datasets"])["small"]["root"] == "small"
    assert values["images"].startswith("30 images, ")
