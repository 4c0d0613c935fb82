"""Only stale outputs rerun, and all stale outputs rerun.

Each case changes one thing in a copy of the finished run and names exactly the jobs that follow.
"""

import ast
import os
import shutil
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.workflow.small_project import RUNS, TASKS, Project, save_xray
from tests.workflow.stale_cases import Case, Plans, assert_plan, planned

ALL_RUNS = {f"{task}/{scheme}/fold-{fold}/seed-0" for task, scheme, fold in RUNS}
ALL_SHARDS = {f"cache 0000{shard}" for shard in range(4)}
REPORT = {"report"}  # shows all of it
REPLACED = "data/small/COVID/images/COVID-3.png"


# --- what follows from what -----------------------------------------------------------------------


def runs_of(task: str = "", scheme: str = "", fold: str = "") -> set[str]:
    """Runs of a task, a scheme or both."""
    return {
        run
        for run in ALL_RUNS
        if (not task or run.startswith(f"{task}/"))
        and (not scheme or f"/{scheme}/" in run)
        and (not fold or f"/fold-{fold}/" in run)
    }


def per_run(runs: Iterable[str], *rules: str) -> set[str]:
    return {f"{rule} {run}" for rule in rules for run in runs}


def figures_of(runs: Iterable[str]) -> set[str]:
    return {"figures {}-{}".format(*run.split("/")[:2]) for run in runs}


def after_predict(runs: Iterable[str]) -> set[str]:
    """The predictions of these runs are made again, and what is made of them."""
    jobs = per_run(runs, "predict_run", "evaluate", "cam", "audit_run")
    jobs |= per_run((run for run in runs if run.endswith("/fold-1/seed-0")), "audit_explanations")
    return jobs | figures_of(runs) | {"tables", "comparisons"} | REPORT


def after_train(runs: Iterable[str]) -> set[str]:
    return per_run(runs, "train") | after_predict(runs)


def after_splits(runs: Iterable[str]) -> set[str]:
    splits = {run.rsplit("/", 1)[0] for run in runs}
    return per_run(splits, "splits", "audit_floors") | after_train(runs) | {"audit_leaks"}


def after_index() -> set[str]:
    of_images = {"index", "masks", "audit_data", "audit_duplicates", "audit_suspects"}
    return of_images | after_splits(ALL_RUNS)


# --- changes --------------------------------------------------------------------------------------


def settings(**changes: object) -> Callable[[Project], None]:
    """Change the configuration."""
    return lambda project: project.change(**changes)


def function(module: str, name: str) -> Callable[[Project], None]:
    """Change the body of a function."""

    def edit(project: Project) -> None:
        file = project.folder / "workflow_scripts" / module
        text = file.read_text(encoding="utf-8")
        body = next(
            node.body
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and node.name == name
        )
        first = next(n for n in body if not (isinstance(n, ast.Expr) and n is body[0]))
        lines = text.splitlines(keepends=True)
        lines.insert(first.lineno - 1, f"{' ' * first.col_offset}_changed = True\n")
        file.write_text("".join(lines), encoding="utf-8")

    return edit


def comments_and_docstrings(project: Project) -> None:
    """Explain every module better: entry scripts, library, rules."""
    modules = list((project.folder / "workflow_scripts").rglob("*.py"))
    assert len(modules) > 30
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert text.startswith('"""'), f"{module.name} has no docstring"
        lines = text.replace('"""', '"""Said in other words. ', 1).splitlines(keepends=True)
        functions = [
            node
            for node in ast.walk(ast.parse("".join(lines)))
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)
        ]
        for node in functions:
            line = node.body[0].lineno - 1
            lines[line] = lines[line].replace('"""', '"""In other words: ', 1)
        module.write_text("# A comment.\n" + "".join(lines) + "\n# Another.\n", encoding="utf-8")
    for rules in (project.folder / "rules").glob("*.smk"):
        rules.write_text(rules.read_text(encoding="utf-8") + "\n# A comment.\n", encoding="utf-8")


def restyle(project: Project) -> None:
    """Change the style of the report."""
    file = project.folder / "workflow_scripts/cxrcam/report/templates/report.css"
    file.write_text(file.read_text(encoding="utf-8") + "p { color: red; }\n", encoding="utf-8")


def unrelated_files(project: Project) -> None:
    """What is neither code, nor configuration, nor image."""
    (project.folder / "README.md").write_text("Something new.\n", encoding="utf-8")
    (project.folder / "results" / "small" / "my_notes.txt").write_text("", encoding="utf-8")
    (project.folder / "data" / "small" / "README.md.txt").write_text("", encoding="utf-8")
    (project.folder / "data" / "small" / "Normal" / "images" / ".DS_Store").write_bytes(b"")


def new_time(project: Project) -> None:
    """Touch every file of the code, as a fresh checkout does."""
    for file in (project.folder / "workflow_scripts").rglob("*.py"):
        os.utime(file)


def replace_image(project: Project) -> None:
    save_xray(project.folder / REPLACED, 77)


def replace_by_equal_size(project: Project) -> None:
    """Same name and number of bytes, other content: only the time tells."""
    file = project.folder / REPLACED
    changed = bytearray(file.read_bytes())
    changed[-20] ^= 1
    file.write_bytes(changed)


def remove_image(project: Project) -> None:
    (project.folder / REPLACED).unlink()


def add_image(project: Project) -> None:
    save_xray(project.folder / "data/small/COVID/images/COVID-11.png", 88)


def replace_mask(project: Project) -> None:
    """Same name and number of bytes, other content: only the time tells."""
    file = project.folder / "data/small/COVID/masks/COVID-1.png"
    file.write_bytes(file.read_bytes())


def lose(pattern: str) -> Callable[[Project], None]:
    """Delete one output."""

    def remove(project: Project) -> None:
        for file in project.folder.glob(pattern):
            shutil.rmtree(file) if file.is_dir() else file.unlink()

    return remove


def nothing(_project: Project) -> None:
    """Leave everything as it is."""


# --- claims ---------------------------------------------------------------------------------------


def new_runs(*runs: str) -> set[str]:
    """Jobs of runs that did not exist before, splits included."""
    return after_splits(runs)


CONFIG = {"run_config"} | REPORT  # which shows the configuration
OVER_RUNS = {"tables", "comparisons", "audit_leaks"}  # one job each, over all runs or splits
LR = {"learning_rate": 0.002}
SWAPPED = {"learning_rate": 0.001, "weight_decay": 0.01}
TWO_FOLD = {"kind": "stratified_kfold", "folds": 2}
BORDER = {"kind": "same_splits", "of": "holdout", "input": "border_only"}

CASES = [
    # Nothing is stale.
    Case("a second run", nothing, set()),
    Case("an unrelated file", unrelated_files, set()),
    Case("comments and docstrings everywhere", comments_and_docstrings, set()),
    Case("new times of all code files", new_time, set()),
    Case("another number of cores", nothing, set(), ("--cores", "7")),
    Case("no GPU to hand out", nothing, set(), ("--resources", "gpu=0")),
    Case("another device", settings(compute={"device": "cpu"}), CONFIG),
    Case("another number of threads", settings(compute={"threads": 3}), CONFIG),
    Case("another number of GPUs", settings(train={"gpus": 2}), CONFIG),
    Case(
        "several GPUs with batch statistics of their own",
        settings(train={"gpus": 2, "sync_batch_norm": False}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "a task that is left out",
        settings(tasks={"three_class": None}),
        CONFIG | OVER_RUNS | {"audit_data"},
    ),
    Case("small groups that are shown", settings(audit={"small_groups": True}), CONFIG),
    Case("a scheme that is left out", settings(schemes={"holdout": None}), CONFIG | OVER_RUNS),
    # Code.
    Case(
        "code of the maps",
        function("cxrcam/networks/cam.py", "class_activation_maps"),
        after_predict(ALL_RUNS),
    ),
    Case(
        "code of the forward pass",
        function("cxrcam/networks/prediction.py", "predict"),
        after_predict(ALL_RUNS),
    ),
    Case(
        "code of the training",
        function("cxrcam/networks/training/loop.py", "train"),
        after_train(ALL_RUNS),
    ),
    Case(
        "code of the networks",
        function("cxrcam/networks/models.py", "build_classifier"),
        after_train(ALL_RUNS),
    ),
    Case(
        "code of the splits",
        function("cxrcam/data/splits.py", "assign_roles"),
        # Floors over the whole data set are dealt into folds by the same module.
        after_splits(ALL_RUNS) | {"audit_data"},
    ),
    Case(
        "code of the duplicates",
        function("cxrcam/duplicates/search.py", "find_duplicates"),
        after_index(),
    ),
    Case(
        "code of the decoder",
        function("cxrcam/images/files.py", "read_grey"),
        ALL_SHARDS | after_index(),
    ),
    Case(
        "code of the metrics",
        function("cxrcam/metrics/classification.py", "classification_metrics"),
        # No network is trained or run again. Curves show the intervals that stand in the metrics.
        per_run(ALL_RUNS, "evaluate") | figures_of(ALL_RUNS) | {"tables"} | REPORT,
    ),
    Case(
        "code of the overlays",
        function("cxrcam/maps/overlays.py", "overlay"),
        # The figure of copies has the same grid of pictures.
        per_run(ALL_RUNS, "cam") | {"audit_duplicates"} | REPORT,
    ),
    Case(
        "code of an entry script",
        function("figures.py", "gathered"),
        figures_of(ALL_RUNS) | REPORT,
    ),
    Case(
        "code of what stands out",
        function("cxrcam/audit/suspect_images.py", "grey_traits"),
        {"audit_suspects"} | REPORT,
    ),
    Case("code of the report", function("cxrcam/report/tables.py", "runs_table"), REPORT),
    Case(
        "code of the subgroups", function("cxrcam/metrics/subgroups.py", "subgroup_table"), REPORT
    ),
    Case("code of the slices", function("cxrcam/audit/slices.py", "worst_slice"), REPORT),
    Case("code of the probes", function("cxrcam/audit/probes.py", "shift_number"), REPORT),
    Case("the look of the report", restyle, REPORT),
    Case(
        "code of the floors",
        function("cxrcam/floors/floors.py", "floor_predictions"),
        per_run({run.rsplit("/", 1)[0] for run in ALL_RUNS}, "audit_floors")
        | per_run(ALL_RUNS, "evaluate")
        | figures_of(ALL_RUNS)
        | {"tables", "audit_data"}
        | REPORT,
    ),
    Case(
        "code of the masked inputs",
        function("cxrcam/images/covering.py", "covered_pixels"),
        # A network can be trained on them.
        after_train(ALL_RUNS),
    ),
    Case(
        "code of the map scores",
        function("cxrcam/map_tests/scores.py", "energy_share"),
        per_run(ALL_RUNS, "audit_run") | per_run(runs_of(fold="1"), "audit_explanations") | REPORT,
    ),
    Case(
        "more images to test maps on",
        settings(audit={"explanation_images": 5}),
        CONFIG | per_run(runs_of(fold="1"), "audit_explanations"),
    ),
    Case(
        "other ways to make a map",
        settings(audit={"map_methods": ["layer_cam"]}),
        CONFIG,
    ),
    Case(
        "networks trained on covered images",
        settings(schemes={"border": BORDER}),
        # Divided, and with the floors, of the scheme whose splits they take.
        CONFIG
        | per_run({f"{task}/border/fold-1" for task in TASKS}, "splits")
        | after_train({f"{task}/border/fold-1/seed-0" for task in TASKS}),
    ),
    Case(
        "code of phantoms that are not drawn",
        function("cxrcam/phantom/dataset.py", "write_phantom_dataset"),
        set(),
    ),
    Case("code of the mends", function("cxrcam/configuration/mends.py", "mended"), set()),
    Case("code that only writes messages", function("cxrcam/logs.py", "start_log"), set()),
    Case(
        "how many bad images are allowed",
        settings(image={"max_quarantined_share": 0.5}),
        CONFIG,
    ),
    Case(
        "code that only reads the configuration",
        function("cxrcam/configuration/resolution.py", "fold_count"),
        set(),
    ),
    Case(
        "code that only checks the configuration",
        function("cxrcam/configuration/checks.py", "check_masks"),
        set(),
    ),
    # Settings of training.
    Case("a setting of training", settings(train=LR), CONFIG | after_train(ALL_RUNS)),
    Case("two values that change places", settings(train=SWAPPED), CONFIG | after_train(ALL_RUNS)),
    Case(
        "a setting of one task",
        settings(tasks={"two_class": {"train": LR}}),
        CONFIG | after_train(runs_of("two_class")),
    ),
    Case(
        "a setting of one scheme",
        settings(schemes={"holdout": {"train": LR}}),
        CONFIG | after_train(runs_of(scheme="holdout")),
    ),
    Case(
        "a setting that a task repeats as it is",
        settings(tasks={"two_class": {"train": {"learning_rate": 0.01}}}),
        CONFIG,
    ),
    Case(
        "other weights to start from",
        settings(model={"weights": "imagenet"}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "a recipe for weights that no network starts from",
        settings(recipes={"pretrained": {"batch_size": 4}}),
        CONFIG,
    ),
    Case(
        "a recipe of which nothing is used, as all is set",
        settings(recipes={"random": {"epochs": 3, "last_stage": 1}}),
        CONFIG,
    ),
    Case(
        "the recipe of a setting that is auto",
        settings(train={"batch_size": "auto"}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "another stage to end behind",
        settings(model={"last_stage": 3}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "a finer map",
        settings(model={"map_stride": 16}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "classes of one scheme learnt as sub-classes",
        settings(schemes={"holdout": {"model": {"decompose": 2}}}),
        CONFIG | after_train(runs_of(scheme="holdout")),
    ),
    Case(
        "images of one scheme turned",
        settings(schemes={"holdout": {"train": {"augment": {"rotation": 5}}}}),
        CONFIG | after_train(runs_of(scheme="holdout")),
    ),
    Case(
        "weights of the classes of one task",
        settings(tasks={"two_class": {"train": {"class_weights": {"Normal": 1, "COVID": 2}}}}),
        CONFIG | after_train(runs_of("two_class")),
    ),
    Case(
        "balanced epochs",
        settings(train={"sampling": "balanced"}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "epochs balanced within sources",
        settings(train={"sampling": "balanced_within_sources"}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "another precision",
        settings(compute={"precision": "bfloat16"}),
        CONFIG | after_train(ALL_RUNS),
    ),
    Case(
        "another number of epochs",
        settings(train={"epochs": 2}),
        CONFIG | after_train(runs_of(scheme="holdout")),
    ),
    # Design of the experiment.
    Case(
        "one repeat more",
        settings(schemes={"random_subsample": {"repeats": 3}}),
        CONFIG | new_runs(*(f"{task}/random_subsample/fold-3/seed-0" for task in TASKS)),
    ),
    Case(
        "one seed more",
        settings(seeds=[0, 1]),
        CONFIG | after_train({run.replace("seed-0", "seed-1") for run in ALL_RUNS}),
    ),
    Case(
        "one scheme more",
        settings(schemes={"two_fold": TWO_FOLD}),
        CONFIG
        | new_runs(*(f"{task}/two_fold/fold-{fold}/seed-0" for task in TASKS for fold in (1, 2))),
    ),
    Case(
        "another test fraction",
        settings(schemes={"holdout": {"test_fraction": 0.4}}),
        CONFIG | after_splits(runs_of(scheme="holdout")),
    ),
    Case(
        "another seed of a division",
        settings(schemes={"random_subsample": {"seed": 5}}),
        CONFIG | after_splits(runs_of(scheme="random_subsample")),
    ),
    Case(
        "classes in another order",
        settings(tasks={"two_class": {"classes": ["COVID", "Normal"]}}),
        CONFIG | after_splits(runs_of("two_class")) | {"audit_data"},
    ),
    # Images.
    Case("another image size", settings(image={"size": 64}), CONFIG | ALL_SHARDS | after_index()),
    Case(
        "black corners", settings(image={"blank": "corners"}), CONFIG | ALL_SHARDS | after_index()
    ),
    Case(
        "other DICOM files", settings(image={"accept": "any"}), CONFIG | ALL_SHARDS | after_index()
    ),
    Case("one image replaced", replace_image, {"listing", "cache 00002"} | after_index()),
    Case(
        "an image replaced by one of its size",
        replace_by_equal_size,
        {"listing", "cache 00002"} | after_index(),
    ),
    Case("one image removed", remove_image, {"listing", "cache 00002"} | after_index()),
    Case("one image added", add_image, {"listing", "cache 00001"} | after_index()),
    Case("one mask replaced", replace_mask, {"masks"} | after_predict(ALL_RUNS)),
    # Drawing.
    Case("another opacity", settings(cam={"opacity": 0.3}), CONFIG | per_run(ALL_RUNS, "cam")),
    Case("more overlays", settings(cam={"overlays": 5}), CONFIG | per_run(ALL_RUNS, "cam")),
    # Lost outputs.
    Case(
        "a lost figure",
        lose("results/small/figures/roc-two_class-holdout.png"),
        {"figures two_class-holdout"} | REPORT,
    ),
    Case("a lost table", lose("results/small/tables/summary.csv"), {"tables"} | REPORT),
    *(
        Case(f"a lost {file}", lose(f"results/small/{file}"), jobs | REPORT)
        for jobs, files in (
            (set(), ("verdict.json", "claim_2024.md", "masked_inputs.csv")),
            (set(), ("calibration.csv", "repeatability.json")),
            (set(), ("subgroups.csv", "subgroups.png")),
            (set(), ("slices.csv", "slices.html")),
            (set(), ("two_class/holdout/fold-1/seed-0/probes.csv",)),
            (
                {"audit_data"},
                (
                    *("floors.csv", "acquisition.json", "columns.json", "sources.json"),
                    "judged_labels.parquet",
                ),
            ),
            ({"audit_leaks"}, ("leaks.csv",)),
            ({"audit_suspects"}, ("suspect_images.csv", "suspect_images.html")),
            (set(), ("suspect_labels.csv", "suspect_labels.html")),
            (
                {"audit_duplicates"},
                tuple(f"duplicates.{kind}" for kind in ("csv", "html", "png", "txt")),
            ),
        )
        for file in (f"audit/{name}" for name in files)
    ),
    *(
        Case(f"a lost {file} of the report", lose(f"results/small/report/{file}"), REPORT)
        for file in (
            *("index.html", "provenance.html", "rulegraph.svg"),
            *("base.css", "report.css", "report.js", "made.js"),
        )
    ),
    Case(
        "a lost figure for print",
        lose("results/small/figures/roc-two_class-holdout.svg"),
        {"figures two_class-holdout"} | REPORT,
    ),
    Case(
        "a lost overview for print", lose("results/small/figures/accuracy.svg"), {"tables"} | REPORT
    ),
    Case(
        "a lost model",
        lose("results/small/runs/two_class/holdout/fold-1/seed-0/model.safetensors"),
        after_train(runs_of("two_class", "holdout")),
    ),
    Case(
        "lost pictures",
        lose("results/small/cam/two_class/holdout/fold-1/seed-0/overlays"),
        per_run(runs_of("two_class", "holdout"), "cam") | REPORT,
    ),
    Case(
        "lost tests of maps",
        lose("results/small/audit/two_class/holdout/fold-1/seed-0/map_tests.json"),
        per_run(runs_of("two_class", "holdout", "1"), "audit_explanations") | REPORT,
    ),
    Case(
        "a lost model and what was made of it",
        lose("results/small/*/two_class/holdout/fold-1/seed-0/*"),
        after_train(runs_of("two_class", "holdout")),
    ),
]


@pytest.fixture(scope="module")
def plans(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    with planned(finished, CASES, tmp_path_factory.mktemp("cases"), Project.plan) as plans:
        yield plans


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
def test_reruns_exactly_what_is_stale(case: Case, plans: Plans) -> None:
    assert_plan(case, plans)


def test_a_picture_lost_in_a_folder_is_said_with_the_way_to_make_it_again(project: Project) -> None:
    folder = "results/small/cam/two_class/holdout/fold-1/seed-0/gallery"
    assert "has lost or gained files" not in project.snakemake("-n").stdout
    next((project.folder / folder).glob("*.png")).unlink()
    assert f"{folder} has lost or gained files since it was made" in project.snakemake("-n").stdout
    shutil.rmtree(project.folder / folder)
    assert "cam two_class/holdout/fold-1/seed-0" in project.plan()
