"""The data sheet of a data set: what the results tell of it, and who must write the rest.

The questions follow Gebru et al., "Datasheets for Datasets", Communications of the ACM 64(12),
2021, pages 86-92. **They are paraphrased in our own short words.**
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.export.pages import render_page
from workflow_scripts.cxrcam.terms import LESION_REGIONS

COLLECTORS: Final = "those who collected the images"
HOSPITALS: Final = "the hospitals that they come from"
PUBLISHERS: Final = "whoever publishes the data set"
STUDY: Final = "the authors of this study"

DRAWN: Final = "phantom"
"""Kind of a data set that this project draws: it knows all of it."""

_NO_PATIENTS: Final = "No person is shown: the images are drawn by a program."


@dataclass(frozen=True)
class Answer:
    """One question of the sheet.

    Attributes
    ----------
    question : str
    known : str
        What the results tell; empty where they tell nothing.
    missing_from : str
        Who must write what they do not tell; empty where nothing is missing.
    """

    question: str
    known: str = ""
    missing_from: str = ""


@dataclass(frozen=True)
class Datasheet:
    """What the workflow found out about a data set.

    Attributes
    ----------
    dataset : str
    kind : {"class_folders", "collection", "manifest", "phantom", "union"}
    images : DataFrame
        The index.
    n_quarantined : int
        Images that could not be read.
    pairs : DataFrame
        Copies, columns of `contracts.DUPLICATES`.
    n_conflicts : int
        Pairs of copies that bear different labels.
    sources, acquisition : mapping
        audit/sources.json and audit/acquisition.json, by task.
    image_settings : mapping
        `size`, `resampling` and `blank`.
    tasks : mapping of str to sequence of str
        Classes of each task.
    n_excluded, n_relabelled : int
        Images that a reader left out, and gave another label.
    """

    dataset: str
    kind: str
    images: pd.DataFrame
    n_quarantined: int
    pairs: pd.DataFrame
    n_conflicts: int
    sources: Mapping[str, Any]
    acquisition: Mapping[str, Any]
    image_settings: Mapping[str, Any]
    tasks: Mapping[str, Sequence[str]]
    n_excluded: int = 0
    n_relabelled: int = 0

    @property
    def sections(self) -> list[tuple[str, list[Answer]]]:
        """All questions with their answers, by section."""
        return [
            ("Motivation", self._motivation()),
            ("Composition", self._composition()),
            ("Collection", self._collection()),
            ("Preparation, cleaning and labels", self._preparation()),
            ("Uses", self._uses()),
            ("Distribution", self._distribution()),
            ("Maintenance", self._maintenance()),
        ]

    @property
    def _is_drawn(self) -> bool:
        return self.kind == DRAWN

    def _unless_drawn(self, question: str, drawn: str, missing_from: str) -> Answer:
        """An answer that is known of drawn images only."""
        return Answer(question, drawn) if self._is_drawn else Answer(question, "", missing_from)

    def _motivation(self) -> list[Answer]:
        drawn = (
            "To try the workflow without patients: chest radiographs drawn by its own code, whose "
            "lungs and lesions are known."
        )
        return [
            self._unless_drawn("Why was it made?", drawn, COLLECTORS),
            self._unless_drawn("Who made it?", "The program of this project.", COLLECTORS),
            self._unless_drawn("Who paid for it?", "Nobody.", COLLECTORS),
        ]

    def _composition(self) -> list[Answer]:
        images = self.images
        n = len(images)
        what = "drawn chest radiographs" if self._is_drawn else "chest X-rays"
        by_class = "; ".join(f"{k} {v:,}" for k, v in images["label"].value_counts().items())
        sides = images[["width", "height"]]
        one_size = len(sides.drop_duplicates()) == 1
        low, high = sides.min(), sides.max()
        size = f"{low['width']} × {low['height']}"
        size += "" if one_size else f" to {high['width']} × {high['height']}"
        modes = ", ".join(f"{k} ({v:,})" for k, v in images["mode"].value_counts().items())
        outlined = images["lesion_mask_path"].notna()
        if LESION_REGIONS in images:
            outlined |= images[LESION_REGIONS].fillna("") != ""
        known = "; ".join(
            f"{fact} of {there.sum():,}"
            for there, fact in (
                (images["patient"].notna(), "the patient"),
                (images["source"].notna(), "the source"),
                (images["mask_path"].notna(), "the lungs' outline"),
                (outlined, "the lesions' outline"),
                (images["split"].notna(), "a published division"),
            )
        )
        copies = len({*self.pairs["image_id_a"], *self.pairs["image_id_b"]})
        return [
            Answer(
                "What is in it, and how much?",
                f"{n:,} {what} that can be read: {by_class}. The version that was used is "
                f"told by its pixels: SHA-256 {self.fingerprint()} (of the sorted checksums of all "
                "decoded images).",
            ),
            self._unless_drawn(
                "Is it all there is, or a sample? How was that drawn?",
                "All of it; more can be drawn.",
                COLLECTORS,
            ),
            Answer(
                "What does each image consist of?",
                f"A picture of {size} pixels (width × height), of mode {modes}.",
            ),
            Answer(
                "Is there a label?",
                f"One class an image. The tasks tell apart: {self._tasks_in_words()}.",
                ""
                if self._is_drawn
                else f"{COLLECTORS} (what the label means, who gave it, by which test)",
            ),
            Answer("Is anything missing?", f"Known, of {n:,} images: {known}."),
            Answer(
                "Do images belong together?",
                f"{images['group'].nunique():,} groups (images of one patient, where patients are "
                f"known, and near-duplicates); {copies:,} images have an exact or near copy, in "
                f"{len(self.pairs):,} pairs (`audit/duplicates.html`).",
            ),
            Answer(
                "Is there a recommended division?",
                "Yes, in the column split of its table."
                if images["split"].notna().any()
                else "None came with it.",
            ),
            Answer(
                "Which errors and redundancies are known?",
                f"{self.n_quarantined:,} images could not be read (`index/quarantine.csv`); "
                f"{self.n_conflicts:,} pairs of copies bear different labels "
                "(`audit/duplicates.csv`); copies are counted above.",
            ),
            self._unless_drawn(
                "Does it tell of persons: age, sex, groups, anything by which they are recognised?",
                _NO_PATIENTS,
                f"{COLLECTORS}; X-rays are health data, and text burnt into pixels was not looked "
                "for",
            ),
        ]

    def _tasks_in_words(self) -> str:
        return "; ".join(f"{name}: {', '.join(classes)}" for name, classes in self.tasks.items())

    def fingerprint(self) -> str:
        """SHA-256 of the sorted checksums of the decoded images: which version this is."""
        checksums = sorted(self.images["pixel_sha256"])
        return hashlib.sha256("\n".join(checksums).encode()).hexdigest()

    def _collection(self) -> list[Answer]:
        sources = self.images["source"].value_counts()
        listed = "; ".join(f"{name} {n:,}" for name, n in sources.items())
        drawn = "Drawn by `workflow_scripts/cxrcam/phantom`, from a seed."
        return [
            Answer(
                "Where do the images come from?",
                f"Declared sources: {listed}." if listed else "No source is declared.",
                "" if self._is_drawn else COLLECTORS,
            ),
            self._unless_drawn(
                "How were they acquired: devices, views, settings?", drawn, HOSPITALS
            ),
            self._unless_drawn("Over which time?", "At once.", COLLECTORS),
            self._unless_drawn("Was there an ethical review?", _NO_PATIENTS, COLLECTORS),
            self._unless_drawn(
                "Did the persons know and consent, and can they withdraw?", _NO_PATIENTS, HOSPITALS
            ),
        ]

    def _preparation(self) -> list[Answer]:
        size, resampling = self.image_settings["size"], self.image_settings["resampling"]
        cut = ", but for black corners" if self.image_settings["blank"] == "corners" else ""
        return [
            Answer(
                "What was done to the images here?",
                f"Read as 8-bit grey and stretched to {size} × {size} pixels ({resampling}); "
                f"nothing was cropped or equalised{cut}. Images that could not be read were left "
                "out, copies were kept and held on one side of grouped divisions. A reader left "
                f"out {self.n_excluded:,} images and gave {self.n_relabelled:,} another label.",
            ),
            Answer(
                "Are the raw images kept?", "Yes: the workflow changes no file of the data set."
            ),
            self._unless_drawn(
                "What was done to them before?",
                "Traits that the configuration names under `confounders`, if any, were tied to the "
                "label on purpose.",
                COLLECTORS,
            ),
            Answer(
                "What do traces of acquisition and processing tell of the class?",
                " ".join(
                    f"{task}: {'; '.join(trace['verdict'] for trace in traces.values())}."
                    for task, traces in self.acquisition.items()
                ),
            ),
        ]

    def _uses(self) -> list[Answer]:
        return [
            Answer(
                "What was it used for?",
                f"Here: to train and test classifiers ({self._tasks_in_words()}).",
                STUDY + " (other uses)",
            ),
            Answer(
                "What about it could mislead those who use it?",
                "Class by source: "
                + " ".join(f"{task}: {found['verdict']}." for task, found in self.sources.items())
                + " All checks: `audit/verdict.md`.",
            ),
            Answer(
                "What should it not be used for?",
                "For diagnosis, or to show that a network would work in a hospital that it does "
                "not come from.",
            ),
        ]

    def _distribution(self) -> list[Answer]:
        return [
            Answer(
                "Is it given to others? How?",
                "Not by the workflow. Results hold names, labels and pictures of images: whoever "
                "shares them shares parts of the data set.",
                PUBLISHERS,
            ),
            Answer("Under which licence?", "", PUBLISHERS),
            Answer("Do others restrict its use?", "", PUBLISHERS),
        ]

    def _maintenance(self) -> list[Answer]:
        return [
            Answer("Who looks after it, and how can they be reached?", "", PUBLISHERS),
            Answer("Will it be corrected? Are older versions kept?", "", PUBLISHERS),
            Answer(
                "How is a change noticed?",
                "By the checksum above, and by that of each image in `index/images.parquet`.",
            ),
        ]


def datasheet(sheet: Datasheet) -> str:
    """The sheet as Markdown."""
    return render_page("datasheet.md", sheet=sheet)
