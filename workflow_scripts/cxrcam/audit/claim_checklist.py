"""The CLAIM 2024 checklist, filled in as far as the results answer it.

CLAIM is the Checklist for Artificial Intelligence in Medical Imaging (Tejani, Klontzas, Gatti et
al. 2024, Radiology: Artificial Intelligence 6:e240300). **The items below are paraphrased in our
own short words, from memory of the published list: check numbers and wording against the published
checklist before submitting anything.**

A file that holds an answer is not the answer: the authors still have to write the sentence.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

BY_AUTHORS: Final = "to be written by the authors"
NOT_MADE: Final = "not made in this run"
BY_PAPER: Final = "made by `snakemake paper`"

CONFIGURATION: Final = "../run_config.yaml"
_SPLITS = "splits/*/*/fold-*.parquet"
_MODEL = "runs/*/*/fold-*/seed-*/model.safetensors"
_METRICS = "tables/metrics.csv"


class ClaimItem(NamedTuple):
    """One item of the checklist.

    Attributes
    ----------
    number : int
        1 to 44.
    section : str
    title : str
        Paraphrased.
    files : tuple of str
        Where the results answer it, relative to ``results/<dataset>/``; ``*`` stands for a name.
        Empty: the authors must write it.
    note : str
        What is found there, or what the authors should not forget.
    """

    number: int
    section: str
    title: str
    files: tuple[str, ...]
    note: str


_ITEMS: Final[dict[str, tuple[tuple[str, tuple[str, ...], str], ...]]] = {
    "Title and abstract": (
        ("Named as a study of AI, with the kind of technique", (), "a convolutional network"),
        ("Structured summary", (), "give the interval and n with every number"),
    ),
    "Introduction": (
        ("Background, intended use and role of the AI", (), ""),
        ("Aims and hypotheses", (), ""),
    ),
    "Methods: design": (
        ("Prospective or retrospective", (), "public collections are retrospective"),
        ("Goal of the study", (), ""),
    ),
    "Methods: data": (
        (
            "Sources of the data",
            ("audit/sources.json", "index/images.parquet"),
            "images of each class and source, and whether class and source can be told apart",
        ),
        (
            "Who and what was included and excluded",
            ("index/quarantine.csv", "audit/expected.csv"),
            "unreadable images with the reason; why patients were chosen is for the authors",
        ),
        (
            "Preprocessing",
            (CONFIGURATION, "paper/figure_2.png"),
            "size, resampling, normalisation, augmentation",
        ),
        ("Selection of subsets", (CONFIGURATION, _SPLITS), "role of every image; `unused` is one"),
        ("De-identification", (), ""),
        (
            "Missing data",
            ("index/images.parquet", "audit/verdict.md"),
            "empty columns (patient, source, mask) and what could not be assessed for lack of them",
        ),
        (
            "How the images were acquired",
            ("audit/acquisition.json", "audit/columns.json", "index/images.parquet"),
            "sizes, modes and traces of processing; devices and views where the table names them",
        ),
    ),
    "Methods: reference standard": (
        ("How the reference standard is defined", (), "the labels come with the data set"),
        ("Why this reference standard", (), ""),
        (
            "Source of the annotations",
            ("audit/duplicates.parquet",),
            "copies that carry two labels; who annotated is for the authors",
        ),
        ("Annotation of the test set", (), ""),
        ("Variation within and between readers", (), ""),
    ),
    "Methods: partitions": (
        (
            "How data were assigned to partitions",
            (_SPLITS, CONFIGURATION),
            "role of every image; schemes, shares and seeds",
        ),
        (
            "Level at which partitions are disjoint",
            ("audit/leaks.csv", _SPLITS),
            "group of every image (patient, cluster of copies), and what crosses all the same",
        ),
        (
            "Sample size",
            (_METRICS, "audit/verdict.md"),
            "test images and width of the intervals reached; the size intended is for the authors",
        ),
    ),
    "Methods: model": (
        (
            "The model in detail",
            ("paper/figure_1.png", _MODEL),
            "every layer; the header of the weights holds the architecture",
        ),
        ("Software", (CONFIGURATION, _MODEL), "versions stand in the environment files as well"),
        ("Initial parameters", (CONFIGURATION, _MODEL), "random or pretrained, from which file"),
    ),
    "Methods: training": (
        (
            "Training in detail",
            (CONFIGURATION, "runs/*/*/fold-*/seed-*/history.parquet"),
            "hyper-parameters, augmentation, loss and accuracy over time",
        ),
        ("Choice of the final model", (CONFIGURATION,), "`train.keep`, `train.patience`"),
        ("Ensembles", (CONFIGURATION,), "none: each run stands alone"),
    ),
    "Methods: evaluation": (
        ("Measures of performance", (_METRICS, "runs/*/*/fold-*/seed-*/metrics.json"), ""),
        (
            "Statistics and uncertainty",
            (_METRICS, "tables/summary.csv"),
            "Wilson intervals, bootstrap by group, spread over folds and seeds",
        ),
        (
            "Robustness",
            ("audit/floors.csv", "audit/masked_inputs.csv", "audit/verdict.md"),
            "classifiers without lungs on the same images, covered images, seeds",
        ),
        (
            "Explainability",
            (
                "cam/*/*/fold-*/seed-*/gallery",
                "audit/*/*/fold-*/seed-*/maps.json",
                "audit/*/*/fold-*/seed-*/map_tests.json",
            ),
            "maps of the evidence, and whether they pass the tests",
        ),
        ("Evaluation on internal data", (_METRICS, "figures/roc-*.png"), ""),
        ("Evaluation on external data", ("audit/external.csv",), "if any was given"),
        ("Registration as a trial", (), "if it is one"),
    ),
    "Results: data": (
        (
            "Numbers included and excluded, as a flow chart",
            ("index/images.parquet", "index/quarantine.csv", _SPLITS),
            "the numbers; patients only where the data set names them",
        ),
        ("Demographic and clinical traits of each partition", (), "not in the images"),
    ),
    "Results: performance": (
        (
            "Performance with uncertainty",
            (_METRICS, "tables/summary.csv", "figures/accuracy.png"),
            "beside each network the best classifier that cannot see the lungs",
        ),
        (
            "Diagnostic performance and its precision",
            (
                "runs/*/*/fold-*/seed-*/metrics.json",
                "figures/confusion-*.png",
                "figures/reliability-*.png",
                "audit/subgroups.csv",
            ),
            "sensitivity, specificity, predictive values with intervals; calibration; subgroups",
        ),
        (
            "Analysis of failures",
            (
                "cam/*/*/fold-*/seed-*/overlays",
                "cam/*/*/fold-*/seed-*/gallery",
                "runs/*/*/fold-*/seed-*/predictions.parquet",
            ),
            "every mistake; mistakes are drawn first",
        ),
    ),
    "Discussion": (
        ("Limitations", ("audit/verdict.md",), "begin with the failed and the untested checks"),
        (
            "Implications for practice",
            (),
            "a passed audit is no leave to use a network on patients",
        ),
    ),
    "Other information": (
        (
            "Protocol and further technical detail",
            (CONFIGURATION,),
            "the settings of this very run",
        ),
        (
            "Software, model and data available",
            (_MODEL, CONFIGURATION),
            "say where, under a licence",
        ),
        ("Funding and its role", (), ""),
    ),
}


def claim_items() -> list[ClaimItem]:
    """The 44 items of the checklist, paraphrased, in their order."""
    flat = [(section, item) for section, items in _ITEMS.items() for item in items]
    return [
        ClaimItem(number, section, title, files, note)
        for number, (section, (title, files, note)) in enumerate(flat, start=1)
    ]


def missing_files(item: ClaimItem, existing: Collection[str]) -> list[str]:
    """Patterns of an item that no file or folder matches.

    Parameters
    ----------
    item : ClaimItem
    existing : collection of str
        Paths relative to ``results/<dataset>/``, with forward slashes, of files and folders;
        ``../run_config.yaml`` is one of them.
    """
    return [
        pattern
        for pattern in item.files
        if not any(fnmatchcase(path, pattern) for path in existing)
    ]


def claim_checklist_markdown(existing: Collection[str]) -> str:
    """The checklist as a Markdown table: a heading, a warning and one row an item.

    Files that are not made (see `missing_files`) are said to be missing, those of the paper with
    what makes them; an item of which none is made is not claimed to be answered.
    """
    items = claim_items()
    answered = sum(len(missing_files(item, existing)) < len(item.files) for item in items)
    lines = [
        "# CLAIM 2024, pre-filled",
        "",
        "Items are paraphrased; check them against the published list (Tejani et al. 2024,"
        " Radiology: Artificial Intelligence 6:e240300). Files are relative to the folder of the"
        " data set; `*` stands for task, scheme, fold or seed.",
        "",
        f"The results hold material for {answered} of {len(items)} items.",
        "",
        "| No. | Section | Item | Where the answer stands | What is there, what to add |",
        "| ---: | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {item.number} | {item.section} | {item.title} | {_where(item, existing)} |"
        f" {item.note or '-'} |"
        for item in items
    ]
    return "\n".join(lines) + "\n"


def _where(item: ClaimItem, existing: Collection[str]) -> str:
    missing = missing_files(item, existing)
    files = [
        f"`{file}` ({BY_PAPER if file.startswith('paper/') else NOT_MADE})"
        if file in missing
        else f"`{file}`"
        for file in item.files
    ]
    return ", ".join(files) or BY_AUTHORS
