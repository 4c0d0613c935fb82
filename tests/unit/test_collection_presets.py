"""Each public collection has a name in the schema, a preset and a line in the documents."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from workflow_scripts.cxrcam.configuration.resolution import load_schema, resolve_configuration
from workflow_scripts.cxrcam.data.listing.collections.listing import COLLECTIONS
from workflow_scripts.cxrcam.data.listing.findings_text import NO_FINDING

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "schemas" / "config.schema.yaml")
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
CLASSES = {
    "rsna_pneumonia": {"Normal", "Lung Opacity", "No Lung Opacity, Not Normal"},
    "siim_acr": {NO_FINDING, "Pneumothorax"},
    "covidx": {"negative", "positive"},
    "chest_xray_pneumonia": {"NORMAL", "PNEUMONIA"},
}


def preset(name: str) -> dict:
    return yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text(encoding="utf-8"))


def test_the_schema_names_the_collections_that_there_are():
    text = (ROOT / "schemas/config.schema.yaml").read_text(encoding="utf-8")
    collection = yaml.safe_load(text)["$defs"]["collection"]
    assert collection["properties"]["name"]["enum"] == [*COLLECTIONS]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_preset_names_labels_that_its_collection_has(name):
    tasks = [task for task in preset(name)["tasks"].values() if task]
    for task in tasks:
        if "findings" in task:
            assert {*task["findings"]["labels"]} <= {*COLLECTIONS[name].findings}
        else:
            assert {*task["classes"]} <= CLASSES[name]
    assert tasks


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_preset_is_a_configuration(name):
    overlay = preset(name)
    tasks, schemes = ({**CONFIG[key], **overlay.get(key, {})} for key in ("tasks", "schemes"))
    merged = {**CONFIG, **overlay, "tasks": tasks, "schemes": schemes}
    merged |= {key: {**CONFIG[key], **overlay.get(key, {})} for key in ("model", "train")}
    config = resolve_configuration(merged, SCHEMA)
    data_set = config["datasets"][config["dataset"]]
    assert (data_set["kind"], data_set["name"]) == ("collection", name)
    assert config["schemes"]["honest"]["grouped"] is True


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_collection_is_documented(name):
    lines = (ROOT / "docs/collections.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(f"| `{name}`")], name
    documentation = import_module(
        f"workflow_scripts.cxrcam.data.listing.collections.{name}"
    ).__doc__
    assert all(word in documentation for word in ("From: ", "Licence: ", "Size: "))
