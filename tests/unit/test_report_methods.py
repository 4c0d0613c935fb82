"""What the report says of how it came about: methods, circumstances, and the rules of the study."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from tests.unit.report_example import EVIL, example_metrics, example_verdict, make_report
from workflow_scripts.cxrcam.networks.weights.recorded_start import METADATA_KEY
from workflow_scripts.cxrcam.report.headline import headline_bars
from workflow_scripts.cxrcam.report.methods import Headline, methods, network_in_words, read_card
from workflow_scripts.cxrcam.report.page import made_script
from workflow_scripts.cxrcam.report.provenance import command_in_words, library_versions, making
from workflow_scripts.cxrcam.report.rule_graph import RULES, arrows, rule_graph

CARD = {
    **{"architecture": "resnet18", "last_stage": 3, "image_size": 256, "input_size": 224},
    "training": {
        **{"optimizer": "adam", "learning_rate": 0.0007, "schedule": "one_cycle", "epochs": 4},
        **{"batch_size": 16, "weight_decay": 0.0, "horizontal_flip": 0.5},
        **{"precision": "float32", "device": "cpu"},
    },
}


def headline(**changes: object) -> Headline:
    split = pd.DataFrame(
        {
            "label": ["A"] * 60 + ["B"] * 40 + ["A"] * 7,
            "role": ["train"] * 70 + ["test"] * 30 + ["unused"] * 7,
        }
    )
    fields: dict[str, object] = {
        **{"dataset": "mine", "task": "a & b", "card": CARD, "split": split},
        "start": {"kind": "imagenet", "origin": "resnet18.pth sha256:5c"},
        "division": {"kind": "holdout", "test_fraction": 0.3, "grouped": True},
        "runs": example_metrics().assign(macro_auroc=[0.9, 0.8, 0.7]),
        "is_drawn": False,
    }
    return Headline(**fields | changes)  # type: ignore[arg-type]


def paragraph(of: Headline, **changes: object) -> str:
    verdict = example_verdict() | changes
    return " ".join(methods(of, verdict, headline_bars(of.runs, verdict["headline"])))


def test_the_methods_paragraph_has_every_number_of_the_study() -> None:
    text = paragraph(headline())
    for words in (
        # Images that no network saw are not counted.
        "For the task a & b, 100 chest X-rays of the data set mine (60 A, 40 B) were divided once",
        "(3 folds; in the first 70 images for training, 30 images for testing)",
        "kept on one side",
        "resized to 256 × 256 pixels",
        "resnet18 up to stage 3, 224 × 224 pixels, started from ImageNet weights (resnet18.pth)",
        "4 epochs (Adam, learning rate 0.0007, one-cycle schedule, batches of 16, weight decay 0, "
        "horizontal flips with probability 0.5, float32 on CPUs, seed 0)",
        "On n = 36 test images of 3 runs, 67 % (50 to 80 %) of its answers were right, "
        "AUROC 0.800 (mean of the runs)",
        "on the same images: border 75 % (59 to 86 %), majority 50 %",
        "Of 3 checks of the audit 1 failed and 1 could not be made",
        "believed: 67 % right (50–80, n = 36): not believable for",
        f"torch {dict(library_versions())['torch']}",
    ):
        assert words in text


def test_drawn_images_are_not_called_x_rays() -> None:
    assert "100 drawn images of the data set mine" in paragraph(headline(is_drawn=True))


@pytest.mark.parametrize(
    ("division", "words"),
    [
        ({"kind": "random_subsample", "images_per_class": 75}, "drawn at random, 75 a class"),
        ({"kind": "stratified_kfold", "folds": 3}, "for cross-validation"),
        ({"kind": "leave_one_out", "by": "scanner"}, "so that one scanner after the other"),
        ({"kind": "predefined"}, "as the data set says"),
    ],
)
def test_each_kind_of_division_is_told(division: dict[str, object], words: str) -> None:
    text = paragraph(headline(division=division))
    assert words in text
    assert "may lie on both sides" in text


def test_methods_of_several_findings_tell_each_one() -> None:
    finding = {"finding": "Effusion", "auroc": 0.81, "floor_auroc": 0.62}
    text = paragraph(headline(), findings=[finding])
    assert "AUROC on 36 test images: Effusion 0.81 (best floor 0.62)." in text


def test_without_a_number_the_methods_tell_of_none() -> None:
    text = paragraph(headline(), headline=None)
    assert "test images of" not in text and "Software: CXR-CAM" in text


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"kind": "random", "origin": "random"}, "random weights"),
        ({"kind": "file", "origin": "mine.pth sha256:0"}, "the weights of mine.pth"),
    ],
)
def test_a_network_is_told_with_what_it_starts_from(start: dict[str, str], words: str) -> None:
    whole = CARD | {"last_stage": None}
    assert network_in_words(whole, start) == f"resnet18, 224 × 224 pixels, started from {words}"


def test_the_card_of_a_network_is_read_without_its_weights(tmp_path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"w": np.zeros(3, np.float32)}, file, metadata={METADATA_KEY: json.dumps(CARD)})
    assert read_card(file) == CARD


def test_the_command_is_told_without_what_is_secret() -> None:
    told = command_in_words(["--cores", "2", "--config", "a=b c", "--storage-s3-secret-key", "xyz"])
    assert told == "snakemake --cores 2 --config 'a=b c' --storage-s3-secret-key ..."
    assert "xyz" not in command_in_words(["--storage-s3-access-key=xyz"])


def test_date_machine_and_command_stand_on_the_page_and_in_its_script() -> None:
    made = making("snakemake --cores 2")
    assert [name for name, _ in made] == ["Written", "Machine", "Command", "Commit of the code"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", made[0][1])
    assert dict(made)["Command"] == "snakemake --cores 2"
    assert dict(making(None))["Command"] == "not known"
    text = made_script([("Machine", 'a "b"\n</script>')])
    assert text.endswith('"Machine: a \\"b\\"\\n</script>.";\n')


def test_the_page_shows_the_methods_as_text(tmp_path) -> None:
    page = make_report(tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "X-rays of &lt;script&gt;" in page and "Network: resnet18, started from" in page
    provenance = (tmp_path / "d/report/provenance.html").read_text(encoding="utf-8")
    assert "Written: 2026-01-01 00:00 UTC" in provenance
    assert EVIL not in provenance


# --- rules ----------------------------------------------------------------------------------------


def test_rules_stand_in_the_order_of_the_flow() -> None:
    names = list(RULES)
    for rule, uses in RULES.items():
        assert all(names.index(use) < names.index(rule) for use in uses), rule


def test_where_a_rule_is_left_out_others_take_what_it_would_take() -> None:
    with_findings, without = arrows(), arrows(["finding", "finding_split", "findings"])
    assert with_findings["evaluate"] == ["finding", "audit_floors"]
    assert without["evaluate"] == ["predict_run", "audit_floors"]
    assert without["audit_floors"] == ["splits"]
    # The splits come through `train` as well.
    assert without["predict_run"] == ["masks", "train"]


def test_the_picture_has_a_box_a_rule_and_an_arrow_a_use_and_no_box_lies_on_another() -> None:
    left_out = ["phantoms", "external_overlap", "external_predict", "external_table"]
    root = ET.fromstring(rule_graph(left_out))
    svg = "{http://www.w3.org/2000/svg}"
    names = [text.text for text in root.iter(f"{svg}text")]
    assert sorted(map(str, names)) == sorted(RULES.keys() - set(left_out))
    drawn = [path for path in root.iter(f"{svg}path") if path.get("marker-end")]
    assert len(drawn) == sum(map(len, arrows(left_out).values()))
    boxes = [(float(r.attrib["x"]), float(r.attrib["y"])) for r in root.iter(f"{svg}rect")]
    rows: dict[float, list[float]] = {}
    for x, y in boxes:
        rows.setdefault(y, []).append(x)
    for row in rows.values():
        assert (np.diff(sorted(row)) > 124).all()
