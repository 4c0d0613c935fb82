"""The study: its runs, the parts that they play, and what it refuses before any job."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.small_project import merged
from workflow_scripts.cxrcam.configuration.findings import with_questions
from workflow_scripts.cxrcam.configuration.resolution import (
    ConfigurationError,
    load_schema,
    resolve_configuration,
)
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.listed import ListedDataSet
from workflow_scripts.cxrcam.paper.published_systems import SYSTEMS
from workflow_scripts.cxrcam.study.listing import first_study_files, list_study
from workflow_scripts.cxrcam.study.study import Study

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "schemas/config.schema.yaml")
SIZES = {"Normal": 500, "COVID": 500, "Viral Pneumonia": 500}


def configuration(*presets: str, **changes: object) -> dict:
    """config.yaml with presets and changes on top, resolved."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for name in presets:
        overlay = yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text(encoding="utf-8"))
        config = merged(config, overlay)
    return resolve_configuration(merged(config, changes), SCHEMA)


def listed(sizes: dict[str, int]) -> ListedDataSet:
    """A data set that is listed, without files."""
    images = [ImageFile(f"{label}/{n}", "", label) for label in sizes for n in range(sizes[label])]
    return ListedDataSet({"kind": "manifest"}, Path("none"), images, ["00000"], ["hash"])


def study_of(*presets: str, external_sizes: dict[str, int] | None = None, **changes) -> Study:
    config = configuration(*presets, **changes)
    sizes = dict.fromkeys(config["external"], external_sizes)
    sets = {name: listed(own or SIZES) for name, own in {config["dataset"]: SIZES, **sizes}.items()}
    return Study(config, sets)


def short(runs) -> list[tuple]:
    return [(run["task"], run["scheme"], run["fold"], run["seed"]) for run in runs]


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_is_a_task_a_scheme_a_fold_and_a_seed_in_the_order_of_the_configuration():
    study = study_of(seeds=[3, 0])
    assert short(study.runs) == [
        *(("two_class", "holdout", 1, seed) for seed in (3, 0)),
        *(("two_class", "random_subsample", k, seed) for k in (1, 2, 3) for seed in (3, 0)),
        *(("three_class", "holdout", 1, seed) for seed in (3, 0)),
    ]
    # The order of the keys too: params are compared by their text, and another one is stale.
    assert list(study.runs[0]) == ["dataset", "task", "scheme", "fold", "seed"]
    assert {run["dataset"] for run in study.runs} == {"demo"}
    assert study.runs_of("three_class", "holdout") == study.runs[-2:]
    assert study.runs_of("three_class", "random_subsample") == []


def test_a_scheme_can_have_seeds_of_its_own():
    study = study_of(seeds=[0], schemes={"holdout": {"seeds": [7, 1]}})
    assert short(study.runs) == [
        ("two_class", "holdout", 1, 7),
        ("two_class", "holdout", 1, 1),
        *(("two_class", "random_subsample", k, 0) for k in (1, 2, 3)),
        ("three_class", "holdout", 1, 7),
        ("three_class", "holdout", 1, 1),
    ]
    # First of the headline is the first of its own seeds, not of the study's.
    assert short(study.headline_folds) == [("two_class", "holdout", 1, 7)]
    assert short(study.probed_runs) == [("two_class", "holdout", 1, 7)]


def test_a_division_is_drawn_once_for_all_seeds_and_for_the_schemes_that_take_it():
    study = study_of("paper")
    assert {run["scheme"] for run in study.runs} > {"holdout_sgd", "honest_cut"}
    drawn = [(d["task"], d["scheme"], d["fold"]) for d in study.divisions]
    assert len(drawn) == len(set(drawn))
    assert [(s, k) for t, s, k in drawn if t == "two_class"] == [
        ("holdout", 1),
        *(("random_subsample", k) for k in (1, 2, 3)),
        *(("random_subsample_450", k) for k in (1, 2, 3)),
        *(("stratified_kfold", k) for k in (1, 2, 3)),
        ("honest", 1),
    ]
    assert study.base_scheme("holdout_sgd") == study.base_scheme("holdout") == "holdout"


# --- parts that runs play -------------------------------------------------------------------------


def test_the_verdict_judges_the_honest_design_of_the_first_task_and_else_the_first_one():
    assert study_of("paper").headline == {"task": "two_class", "scheme": "honest"}
    assert study_of().headline == {"task": "two_class", "scheme": "holdout"}
    assert "nothing in its training saw a test image" in study_of("paper").headline_reason
    assert "as the first design: none has" in study_of().headline_reason
    elsewhere = study_of("paper", schemes={"honest": {"tasks": ["three_class"]}})
    assert elsewhere.headline == {"task": "two_class", "scheme": "holdout"}


def test_of_the_headline_the_first_seed_of_all_folds_is_shown():
    folds = {"kind": "stratified_kfold", "folds": 3}
    study = study_of(schemes={"holdout": None, "random_subsample": None, "k": folds}, seeds=[5, 1])
    assert short(study.headline_folds) == [("two_class", "k", fold, 5) for fold in (1, 2, 3)]
    assert study.headline_run == study.headline_folds[0]
    assert list(study.headline_run) == ["fold", "seed", "task", "scheme"]


def test_maps_are_tested_on_the_first_fold_and_seed_of_each_design():
    study = study_of("paper", seeds=[2, 0])
    assert [(run["task"], run["scheme"]) for run in study.explained_runs] == [
        (design["task"], design["scheme"]) for design in study.designs
    ]
    assert {(run["fold"], run["seed"]) for run in study.explained_runs} == {(1, 2)}


def test_probes_and_groups_of_mistakes_are_of_the_headline_s_first_seed():
    study = study_of("paper", seeds=[2, 0])
    assert short(study.probed_runs) == short(study.sliced_runs) == [("two_class", "honest", 1, 2)]
    asked = {"findings": {"labels": ["Effusion", "Mass"]}}
    tasks = {"chest": asked, "two_class": None, "three_class": None}
    config = with_questions(configuration(tasks=tasks, schemes={"random_subsample": None}))
    study = Study(config, {config["dataset"]: listed(SIZES)})
    assert study.sliced_runs == [], "of findings nothing says when they are called"
    assert {run["task"] for run in study.probed_runs} == {"chest"}


def test_labels_are_set_beside_networks_of_the_headline_or_else_of_the_first_scheme():
    seldom = {"kind": "holdout", "tasks": ["three_class"]}
    study = study_of("paper", seeds=[0, 1], schemes={"honest": {"tasks": ["two_class"]}})
    assert short(study.label_runs) == [
        *(("two_class", "honest", 1, seed) for seed in (0, 1)),
        *(("three_class", "holdout", 1, seed) for seed in (0, 1)),
    ]
    only = {"holdout": None, "random_subsample": None, "seldom": seldom}
    (run,) = study_of(schemes=only, seeds=[0]).label_runs
    assert (run["task"], run["scheme"]) == ("three_class", "seldom"), "of a task without a scheme"


def test_pictures_are_of_the_complete_set_where_it_is_run():
    once = {"kind": "predefined"}
    study = study_of(
        dataset="mine",
        schemes={
            **{"random_subsample": None, "holdout": None, "published": once},
            "complete": {"kind": "holdout", "tasks": ["three_class"]},
        },
    )
    assert {task: run["scheme"] for task, run in study.main_runs.items()} == {
        **{"two_class": "published", "three_class": "complete"}
    }
    assert study.widest_task == "three_class"
    assert short(study.main_runs.values())[0] == ("two_class", "published", 1, 0)


def test_a_task_that_no_scheme_runs_has_no_pictures():
    study = study_of(schemes={"holdout": {"tasks": ["two_class"]}})
    assert list(study.main_runs) == ["two_class"] and study.widest_task == "two_class"


def test_networks_are_compared_on_the_divisions_of_the_complete_set_with_its_recipe():
    study = study_of("paper", "networks", "masked")
    assert {run["scheme"] for run in study.network_runs} == {
        *("holdout", "mobilenet_v2", "squeezenet", "inception_v3", "resnet101"),
        *("densenet121", "vgg19", "densenet201"),
    }
    assert len(study.network_runs) == 8 * 2 * 3  # networks, tasks, seeds


@pytest.mark.parametrize(
    ("chosen", "answers"),
    [
        ({}, ("two_class", "honest")),
        ({"task": "three_class"}, ("three_class", "honest")),
        ({"scheme": "holdout"}, ("two_class", "holdout")),
        ({"scheme": "only_three"}, ("three_class", "only_three")),
        ({"task": "three_class", "scheme": "holdout"}, ("three_class", "holdout")),
    ],
)
def test_new_images_are_answered_by_the_chosen_design(chosen, answers):
    only = {"kind": "same_splits", "of": "honest", "tasks": ["three_class"]}
    study = study_of("paper", schemes={"only_three": only}, predict=chosen)
    assert (study.answering["task"], study.answering["scheme"]) == answers
    assert study.answering_runs == study.runs_of(*answers) != []


def test_a_task_without_the_headlines_scheme_is_answered_by_its_first_design():
    study = study_of("paper", schemes={"honest": {"tasks": ["two_class"]}, "honest_cut": None})
    assert study.headline["scheme"] == "honest"
    asked = study_of(
        "paper",
        schemes={"honest": {"tasks": ["two_class"]}, "honest_cut": None},
        predict={"task": "three_class"},
    )
    assert asked.answering == {"task": "three_class", "scheme": "holdout"}


def test_networks_of_covered_images_are_named_with_the_scheme_of_the_same_images():
    assert study_of("paper", "masked").covered_designs == {
        part: {"of": "holdout", "input": part}
        for part in ("lungs_out", "lungs_only", "centre_black", "border_only")
    }
    assert study_of("honest", "covered").covered_designs == {
        part: {"of": "honest", "input": part} for part in ("centre_black", "border_only")
    }
    assert study_of("paper").covered_designs == {}


def test_every_run_on_whole_images_is_tested_on_every_external_data_set():
    study = study_of(
        "masked",
        external=["demo_marker", "mine"],
        external_sizes={"Normal": 5, "COVID": 5},
    )
    whole = [run for run in study.runs if run["scheme"] in ("holdout", "random_subsample")]
    assert [{key: test[key] for key in whole[0]} for test in study.external_tests] == 2 * whole
    assert [test["data_set"] for test in study.external_tests[:: len(whole)]] == [
        "demo_marker",
        "mine",
    ]
    missing = {test["task"]: test["missing"] for test in study.external_tests}
    assert missing == {"two_class": [], "three_class": ["Viral Pneumonia"]}
    assert study_of().external_tests == []


# --- settings of designs --------------------------------------------------------------------------


def test_what_networks_start_from_is_told_scheme_by_scheme():
    study = study_of(
        schemes={
            "holdout": {"model": {"weights": "random"}},
            "random_subsample": {"model": {"architecture": "vgg19", "last_stage": 4}},
        }
    )
    assert study.starts == {"holdout": "random", "random_subsample": "auto"}
    assert study.models["random_subsample"]["architecture"] == "vgg19"
    assert study.models["holdout"]["architecture"] == "resnet18"
    # A recipe that a training cannot get does not make its model stale.
    assert list(study.recipes("two_class", "holdout")) == ["random"]
    assert list(study.recipes("two_class", "random_subsample")) == ["pretrained", "random"]


def test_runs_that_freeze_the_same_layers_of_the_same_weights_share_features():
    study = study_of(
        train={"freeze_until": "layer3"},
        model={"weights": "imagenet"},
        schemes={
            "free": {"kind": "same_splits", "of": "holdout", "train": {"freeze_until": None}},
            "less": {"kind": "same_splits", "of": "holdout", "train": {"freeze_until": "layer2"}},
            "parts": {"kind": "same_splits", "of": "holdout", "model": {"decompose": 2}},
        },
    )
    layers = study.frozen_layers("two_class", "holdout")
    assert layers is not None and layers[0].startswith("resnet18-layer3-")
    assert layers == study.frozen_layers("three_class", "random_subsample")
    assert layers == study.frozen_layers("two_class", "parts"), "sub-classes are of the last layer"
    assert study.frozen_layers("two_class", "free") is None
    assert [settings["freeze_until"] for settings in study.frozen.values()] == ["layer3", "layer2"]
    assert (
        study.frozen[layers[0]] == layers[1] == study.models["holdout"] | {"freeze_until": "layer3"}
    )


def test_designs_whose_classes_have_other_shares_in_training_are_known():
    study = study_of(
        schemes={
            "weighted": {
                **{"kind": "same_splits", "of": "holdout", "tasks": ["two_class"]},
                "train": {"class_weights": {"Normal": 1, "COVID": 2}},
            },
            "drawn": {"kind": "same_splits", "of": "holdout", "train": {"sampling": "balanced"}},
        },
    )
    assert study.reweighted == [
        ("two_class", "weighted", "class weights"),
        ("two_class", "drawn", "as many images of each class"),
        ("three_class", "drawn", "as many images of each class"),
    ]
    assert study.reweighting("two_class", "holdout") == ""


def test_the_largest_batch_is_the_users_or_the_most_that_a_recipe_may_ask_for():
    study = study_of(recipes={"random": {"batch_size": 48}})
    assert study.largest_batch("two_class", "holdout") == 48
    sure = study_of(recipes={"random": {"batch_size": 48}}, model={"weights": "imagenet"})
    assert sure.largest_batch("two_class", "holdout") == 16
    chosen = study_of(schemes={"holdout": {"train": {"batch_size": 5}}})
    assert chosen.largest_batch("two_class", "holdout") == 5


def test_more_repeats_another_recipe_and_other_tasks_leave_a_division_as_it_is():
    before = study_of("paper")
    after = study_of(
        "paper",
        schemes={
            "random_subsample": {"repeats": 9, "train": {"epochs": 2}, "tasks": ["two_class"]}
        },
    )
    settings = before.split_settings("random_subsample")
    assert settings == after.split_settings("random_subsample")
    assert settings == before.split_settings("random_subsample_sgd")
    fewer = study_of("paper", schemes={"random_subsample": {"images_per_class": 200}})
    assert settings != fewer.split_settings("random_subsample")


def test_a_division_knows_the_test_images_that_it_must_not_draw():
    study = study_of("paper")
    assert study.shared_test_settings("random_subsample") == study.split_settings("holdout")
    assert study.shared_test_settings("random_subsample_sgd") == study.split_settings("holdout")
    assert study.shared_test_settings("honest") == {}
    assert study.is_grouped("honest_cut") and not study.is_grouped("holdout_sgd")


def test_lung_masks_are_needed_by_networks_that_see_lungs_only_or_all_else():
    study = study_of("masked")
    schemes = study.config["schemes"]
    assert [s for s in schemes if study.needs_lung_masks(s)] == ["lungs_out", "lungs_only"]
    assert [s for s in schemes if not study.is_covered(s)] == ["holdout", "random_subsample"]


# --- before any job -------------------------------------------------------------------------------


def test_the_data_set_is_listed_first_and_those_that_are_only_tested_on_after_it():
    study = list_study(configuration(external=["demo_marker"]))
    assert list(study.data_sets) == ["demo", "demo_marker"]
    assert (study.n_images("demo"), study.n_images("demo_marker")) == (450, 300)
    assert study.data_sets["demo"].phantom_root == Path("results/demo/phantoms")


@pytest.mark.parametrize("little", [(), ("related-laptop",)])
def test_every_published_system_is_run_on_the_papers_division_and_on_the_honest_one(
    little: tuple[str, ...],
) -> None:
    study = study_of("paper", "related", *little)
    divisions: dict[str, set[str]] = {}
    for run in study.related_runs:
        of_system = divisions.setdefault(study.system_of(run["scheme"]) or "", set())
        of_system.add(study.division_in_words(run["scheme"]))
    assert divisions.keys() == SYSTEMS.keys()
    both = {"the paper's division", "honest division"}
    folds = {"apostolopoulos": "10-fold", "chowdhury": "5-fold"}
    for name, found in divisions.items():
        own = {f"{folds[name]} cross-validation"} if name in folds else set()
        assert found == both | own, name


def test_published_systems_take_no_part_in_the_papers_own_comparisons() -> None:
    with_systems, alone = study_of("paper", "related"), study_of("paper")
    assert with_systems.parts == alone.parts
    assert with_systems.network_runs == alone.network_runs
    assert with_systems.headline == alone.headline


def complaint(*presets: str, **changes: object) -> str:
    config = configuration(*presets, **changes)
    with pytest.raises(ConfigurationError) as caught:
        list_study(config)
    return str(caught.value)


def test_a_file_of_weights_that_is_not_there_is_named():
    said = complaint(schemes={"holdout": {"model": {"weights": "nowhere/w.pth"}}})
    assert "the file 'nowhere/w.pth' does not exist" in said and "Correct the path" in said


def test_an_external_data_set_without_the_classes_of_any_task_is_refused(tmp_path):
    (tmp_path / "Other").mkdir()
    (tmp_path / "Other/a.png").touch()
    other = {"kind": "class_folders", "root": str(tmp_path)}
    said = complaint(datasets={"other": other}, external=["other"])
    assert str(tmp_path) in said


def test_too_few_images_and_missing_lung_masks_are_refused(tmp_path):
    for label in ("Normal", "COVID", "Viral Pneumonia"):
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.png").touch()
    own = {"datasets": {"own": {"kind": "class_folders", "root": str(tmp_path)}}, "dataset": "own"}
    assert "random_subsample" in complaint(**own)
    assert "lungs_only" in complaint("masked", **own, schemes={"random_subsample": None})


def test_parts_must_hold_images_of_every_class(tmp_path):
    for name in ("train/Normal", "train/COVID", "val/COVID", "test/Normal"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").touch()
    changes = {
        "datasets": {"own": {"kind": "class_folders", "root": str(tmp_path)}},
        "dataset": "own",
        "tasks": {"three_class": None},
        "schemes": {"random_subsample": None, "holdout": None, "given": {"kind": "predefined"}},
    }
    said = complaint(**changes)
    for words in ("schemes.given.kind", "class 'COVID' is in the part test", "folders train and"):
        assert words in said
    (tmp_path / "test/COVID").mkdir()
    (tmp_path / "test/COVID/1.png").touch()
    assert short(list_study(configuration(**changes)).runs) == [("two_class", "given", 1, 0)]


def test_a_manifest_with_other_words_for_its_parts_is_refused_by_the_word(tmp_path):
    rows = ["path,label,split", "0.png,Normal,train", "1.png,COVID,train", "2.png,COVID,holdout"]
    for number in range(3):
        (tmp_path / f"{number}.png").touch()
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    said = complaint(
        datasets={"own": {"kind": "manifest", "path": str(tmp_path / "list.csv")}},
        dataset="own",
        tasks={"three_class": None},
        schemes={"random_subsample": None, "holdout": None, "given": {"kind": "predefined"}},
    )
    assert "class 'Normal' is in the part test" in said and "holds 'holdout'" in said


def test_new_images_are_not_given_to_networks_that_need_their_lung_masks():
    lungs = {"kind": "same_splits", "of": "holdout", "input": "lungs_only", "tasks": ["two_class"]}
    changes = {
        "schemes": {"random_subsample": None, "holdout": {"tasks": ["three_class"]}, "lungs": lungs}
    }
    assert list_study(configuration(**changes)).answering["scheme"] == "lungs"
    said = complaint(**changes, predict_images="new")
    assert "the networks of lungs need a lung mask of every image" in said


def test_reading_the_workflow_imports_nothing_heavy():
    code = (
        "import sys; import workflow_scripts.cxrcam.study.study; "
        "import workflow_scripts.cxrcam.study.resources; "
        "print(sorted({'numpy', 'pandas', 'torch', 'pyarrow', 'snakemake'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.parametrize(
    ("names", "may"),
    [
        (["a.png", "b.JPG"], False),
        *((["a.png", name], True) for name in ("b.dcm", "1.2.840.113", "scan", "a.dcm.gz")),
    ],
)
def test_a_key_for_patients_is_made_where_a_file_may_be_dicom(names, may):
    images = [ImageFile(image_id=name, path=f"x/{name}", label="A") for name in names]
    data_set = ListedDataSet({"kind": "class_folders"}, Path("phantoms"), images, ["00000"], [""])
    assert data_set.may_hold_dicom is may


def test_a_new_label_is_known_where_a_class_or_a_finding_is_called_so():
    asked = {"findings": {"labels": ["Effusion", "Mass"]}}
    config = with_questions(configuration(tasks={"three_class": None, "chest": asked}))
    study = Study(config, {config["dataset"]: listed(SIZES)})
    # "no Effusion" is what a task calls its answer, and no label of an image.
    assert study.asked_labels == ({"Normal", "COVID"}, {"Effusion", "Mass"})


def test_a_label_that_nobody_knows_is_refused_before_any_job(tmp_path):
    table = tmp_path / "new.csv"
    table.write_text("image_id,label\nNormal/Normal-1,Covid19\n", encoding="utf-8")
    config = configuration()
    config["datasets"][config["dataset"]]["relabel"] = str(table)
    with pytest.raises(DatasetError, match=r"Row 2 .*'Covid19', which no image and no task has"):
        list_study(config)
    table.write_text("image_id,label\nNormal/Normal-1,COVID\n", encoding="utf-8")
    assert list_study(config).data_sets[config["dataset"]].decisions.relabelled == 1


def test_of_the_study_to_compare_with_its_external_table_is_read_where_there_is_one(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert set(map(str, first_study_files(None).values())) == {"[]"}
    files = first_study_files("first")
    assert files["first_metrics"] == "results/first/tables/metrics.csv"
    assert files["first_external"] == []
    table = tmp_path / "results/first/audit/external.csv"
    table.parent.mkdir(parents=True)
    table.touch()
    assert first_study_files("first")["first_external"] == "results/first/audit/external.csv"
