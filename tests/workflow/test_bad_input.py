"""Bad input ends the run before any job starts, with a sentence that says what to do."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.workflow.small_project import Project, make_class_folders, merged, small_configuration

MANIFEST = {"kind": "manifest", "path": "data/manifest.csv"}


@dataclass(frozen=True)
class Fault:
    """One fault and the words that its message must have: what is wrong, where, what to do."""

    name: str
    make: Callable[[Project], None]
    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()


def settings(**changes: object) -> Callable[[Project], None]:
    """Overlay these settings."""
    return lambda project: project.change(**changes)


def overlay(text: str) -> Callable[[Project], None]:
    """Write the overlay as it stands here."""
    return lambda project: _write(project.folder / "overlay.yaml", text)


def manifest(text: str) -> Callable[[Project], None]:
    """Train on the images of this table."""

    def make(project: Project) -> None:
        _write(project.folder / "data" / "manifest.csv", text)
        project.change(dataset="listed", datasets={"listed": MANIFEST})

    return make


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def nothing(_project: Project) -> None:
    """Leave all as it is: the fault stands on the command line."""


def empty_class(project: Project) -> None:
    (project.folder / "data" / "small" / "Tuberculosis" / "images").mkdir(parents=True)
    project.change(tasks={"two_class": {"classes": ["Normal", "Tuberculosis"]}})


def no_images_at_all(project: Project) -> None:
    shutil.rmtree(project.folder / "data" / "small")
    (project.folder / "data" / "small" / "COVID").mkdir(parents=True)


def file_for_root(project: Project) -> None:
    _write(project.folder / "data" / "archive.zip", "")
    project.change(datasets={"small": {"root": "data/archive.zip"}})


def external_of_other_classes(project: Project) -> None:
    text = "path,label\n" + ROW.replace(",Normal", ",effusion")
    _write(project.folder / "data" / "manifest.csv", text)
    project.change(external=["elsewhere"], datasets={"elsewhere": MANIFEST})


ROW = "small/Normal/images/Normal-1.png,Normal\n"

FAULTS = [
    # Keys and values.
    Fault(
        "a misspelt key",
        settings(train={"learnig_rate": 0.1}),
        ("'learnig_rate'", "'train'", "Did you mean 'learning_rate'?"),
    ),
    Fault(
        "a misspelt key at the top level",
        settings(modle={"weights": "random"}),
        ("'modle'", "top level", "Did you mean 'model'?"),
    ),
    Fault(
        "a key in the wrong place",
        settings(schemes={"holdout": {"epochs": 3}}),
        ("'epochs'", "belongs under 'schemes.holdout.train'"),
    ),
    Fault("a value out of range", settings(image={"size": 16}), ("image.size is 16", "from 32")),
    Fault(
        "a number that YAML reads as text",
        overlay("train: {learning_rate: 1e-3}\n"),
        ("train.learning_rate", "'1e-3'", "write 0.001 or 1.0e-3"),
    ),
    Fault(
        "an unknown choice",
        settings(train={"optimizer": "adamw"}),
        ("train.optimizer is 'adamw'", "adam, sgd", "Did you mean 'adam'?"),
    ),
    Fault(
        "one key twice",
        overlay("train:\n  epochs: 1\n  batch_size: 8\n  epochs: 2\n"),
        ("overlay.yaml", "train.epochs", "line 4", "line 2"),
    ),
    Fault("a tab in YAML", overlay("train:\n\tepochs: 1\n"), ("not valid JSON or YAML", "tab")),
    Fault(
        "no task left",
        settings(tasks={"two_class": None, "three_class": None}),
        ("tasks has no entry left",),
    ),
    Fault(
        "a name that cannot be a folder",
        settings(tasks={"two class": {"classes": ["Normal", "COVID"]}}),
        ("'two class'", "letters, digits and underscores", "two_class"),
    ),
    Fault(
        "parts that leave nothing to train on",
        settings(schemes={"holdout": {"test_fraction": 0.6, "validation_fraction": 0.4}}),
        ("schemes.holdout", "test_fraction"),
    ),
    # The command line.
    Fault(
        "an unknown data set",
        nothing,
        ("dataset is 'smal'", "Did you mean 'small'?"),
        ("--config", "dataset=smal"),
    ),
    Fault(
        "a misspelt key after --config",
        nothing,
        ("'datset'", "Did you mean 'dataset'?"),
        ("--config", "datset=small"),
    ),
    Fault(
        "a lower key after --config",
        nothing,
        ("'epochs'", "belongs under 'train'", "--configfile"),
        ("--config", "epochs=2"),
    ),
    # The data.
    Fault(
        "a missing root",
        settings(datasets={"small": {"root": "data/nowhere"}}),
        ("'data/nowhere' does not exist", "looked from", "set `root`"),
    ),
    Fault("a file where a folder is meant", file_for_root, ("'data/archive.zip'", "set `root`")),
    Fault(
        "a class folder without images",
        empty_class,
        ("tasks.two_class.classes", "'Tuberculosis'", "data/small"),
    ),
    Fault("no image at all", no_images_at_all, ("No image found in data/small", "COVID")),
    Fault(
        "a class that the data lack",
        settings(tasks={"two_class": {"classes": ["Normal", "Covid"]}}),
        ("tasks.two_class.classes", "'Covid'", "Did you mean 'COVID'?", "COVID (10)"),
    ),
    Fault(
        "a sub-sample larger than the data",
        settings(schemes={"random_subsample": {"images_per_class": 11}}),
        ("images_per_class is 11", "10 images", "at most 10"),
    ),
    Fault(
        "more folds than images",
        settings(schemes={"folds": {"kind": "stratified_kfold", "folds": 11}}),
        ("schemes.folds.folds is 11", "at most 10"),
    ),
    Fault(
        "a test part without an image",
        settings(schemes={"holdout": {"test_fraction": 0.01}}),
        ("schemes.holdout.test_fraction", "raise it to"),
    ),
    Fault(
        "a missing manifest",
        settings(dataset="listed", datasets={"listed": MANIFEST}),
        ("'data/manifest.csv' does not exist", "path and label"),
    ),
    Fault(
        "a row of a manifest without its file",
        manifest("path,label\n" + ROW + "small/Normal/images/gone.png,Normal\n"),
        ("Row 3 of data/manifest.csv", "gone.png", "relative to the manifest's folder"),
    ),
    Fault(
        "a manifest without a column",
        manifest("file,label\n" + ROW),
        ("no column path", "It has: file, label"),
    ),
    Fault(
        "a manifest that lists an image twice",
        manifest("path,label\n" + ROW + ROW.replace(",Normal", ",COVID")),
        ("Row 3", "first in row 2", "Keep one"),
    ),
    Fault(
        "an external data set without a class of any task",
        external_of_other_classes,
        (
            "external names 'elsewhere'",
            "two_class needs 'Normal', 'COVID'; three",
            "Classes found: effusion (1)",
        ),
    ),
    Fault(
        "weights that do not exist",
        settings(model={"weights": "nowhere.safetensors"}),
        ("model.weights", "'nowhere.safetensors' does not exist"),
    ),
    # New images.
    Fault(
        "a folder of new images that is not there",
        nothing,
        ("'data/nowhere' (predict_images) does not exist", "looked from"),
        ("--config", "predict_images=data/nowhere", "--", "predict"),
    ),
    Fault(
        "a folder of new images without a file",
        lambda project: (project.folder / "data" / "empty").mkdir(),
        ("'data/empty' (predict_images) holds no file",),
        ("--config", "predict_images=data/empty", "--", "predict"),
    ),
    Fault(
        "a glob that matches nothing",
        nothing,
        ("'data/*.dcm' (predict_images) matches no file", "quotes"),
        ("--config", "predict_images=data/*.dcm", "--", "predict"),
    ),
    Fault(
        "predictions of nothing",
        nothing,
        ("it names no image yet", "--config predict_images=FOLDER"),
        ("--", "predict"),
    ),
    Fault(
        "a scheme for new images that is not trained",
        settings(predict={"scheme": "holdot"}),
        ("predict.scheme is 'holdot'", "Did you mean 'holdout'?"),
    ),
]


@pytest.fixture(scope="module")
def messages(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, "Future[tuple[str, bool]]"]]:
    """What Snakemake says of each fault, and whether anything was written; two at a time."""
    folder = tmp_path_factory.mktemp("faults")
    images = folder / "images"
    make_class_folders(images)
    numbers = count()

    def refuse(fault: Fault) -> tuple[str, bool]:
        project = Project.create(folder / str(next(numbers)))
        shutil.copytree(images, project.folder / "data" / "small")
        fault.make(project)
        # A real run, not a dry one: were the fault not noticed, results would appear.
        done = project.snakemake("--cores", "1", "--until", "run_config", *fault.arguments)
        assert done.returncode == 1, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr, (project.folder / "results").exists()

    with ThreadPoolExecutor(2) as pool:
        yield {fault.name: pool.submit(refuse, fault) for fault in FAULTS}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_bad_input_is_refused_in_words(
    fault: Fault, messages: dict[str, "Future[tuple[str, bool]]"]
) -> None:
    text, written = messages[fault.name].result()
    assert "Traceback" not in text
    assert not written, "a job ran"
    # Snakemake may break a line where it likes.
    message = " ".join(text.split())
    for words in fault.words:
        assert words in message


def test_the_same_input_without_a_fault_is_accepted(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "cxrcam", merged(small_configuration(), {}))
    make_class_folders(project.folder / "data" / "small")
    assert "run_config" in project.plan()
