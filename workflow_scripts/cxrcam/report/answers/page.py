"""The page of new images: what the networks say of each, and whether that can be believed."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.arrays import Int64Array
from workflow_scripts.cxrcam.configuration.class_balance import shares_sentence
from workflow_scripts.cxrcam.maps.placement import log_odds
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.metrics.conformal import fewest_images
from workflow_scripts.cxrcam.networks.weights.starting_weights import start_sentence
from workflow_scripts.cxrcam.new_images.answers import ABSTAIN
from workflow_scripts.cxrcam.new_images.reference import Reference, Share
from workflow_scripts.cxrcam.report.answers.pictures import (
    AnswerCard,
    Drawing,
    write_answer_pictures,
)
from workflow_scripts.cxrcam.report.cells import NONE, Cell, Link, Table, number_cell
from workflow_scripts.cxrcam.report.templating import page_environment, trained_notice
from workflow_scripts.cxrcam.terms import VALIDATION
from workflow_scripts.cxrcam.verdict.check import is_judged


@dataclass(frozen=True)
class AnswersPage:
    """All that the page shows.

    Attributes
    ----------
    dataset, asked : str
        Data set of the networks, and what `predict_images` named.
    reference : Reference
    verdict : mapping
        audit/verdict.json.
    verdict_link : Link
        Each check of it.
    answers : DataFrame
        As from `new_images.copies.with_copies`: images that could be read.
    quarantine : DataFrame
        `image` and `reason` of the others.
    cards : sequence of AnswerCard
    files : sequence of Link
    reweighting : str
        See `class_balance.reweighting`.
    """

    dataset: str
    asked: str
    reference: Reference
    verdict: Mapping[str, Any]
    verdict_link: Link
    answers: pd.DataFrame
    quarantine: pd.DataFrame
    cards: Sequence[AnswerCard]
    files: Sequence[Link]
    reweighting: str = ""


def probability_text(row: Mapping[Any, Any], name: str) -> str:
    """Probability of a class, with the spread over the networks where there are several."""
    value, spread = row[f"probability_{name}"], row[f"spread_{name}"]
    if math.isnan(value):
        return NONE
    return f"{value:.3f}" if math.isnan(spread) else f"{value:.3f} ± {spread:.3f}"


def said_of(row: Mapping[Any, Any], reference: Reference) -> str:
    """One line on an image: never a class without its set and coverage."""
    if row["answer"] == ABSTAIN:
        return f"abstains: {row['reason']}"
    return (
        f"{row['answer']}, {probability_text(row, row['answer'])}; possible at "
        f"{100 * reference.coverage:g} % coverage: {row['set']}"
    )


def draw_answers(
    answers: pd.DataFrame,
    paths: Sequence[bytes],
    likeliest: Int64Array,
    maps_file: Path,
    reference: Reference,
    folder: Path,
    drawing: Drawing,
    threads: int,
) -> list[AnswerCard]:
    """Draw images with the evidence for their likeliest class.

    `answers` are the first ones of `new_images.copies.with_copies`; files and positions of classes
    may be of more. The others are as in `answer_pictures.write_answer_pictures`.
    """
    which = likeliest[: len(answers)]
    maps = read_evidence_maps(maps_file, answers["image"].tolist(), reference.classes)
    rows = [
        {
            **{key: row[key] for key in ("image", "answer", "is_input", "is_drawn")},
            "abstained": row["answer"] == ABSTAIN,
            "said": said_of(row, reference),
            "notes": [row["copy_note"]] if row["copy_note"] else [],
            "explained": reference.classes[k],
        }
        for row, k in zip(answers.to_dict("records"), which, strict=True)
    ]
    files = [Path(os.fsdecode(path)) for path in paths[: len(answers)]]
    return write_answer_pictures(rows, files, maps.of_class(which), folder, drawing, threads)


def answers_table(answers: pd.DataFrame, reference: Reference) -> Table:
    """One row an image that could be read.

    Parameters
    ----------
    answers : DataFrame
        As from `new_images.copies.with_copies`.
    reference : Reference
    """
    several = len(reference.members) > 1
    columns = [
        *(
            "Image",
            f"Answer (classes that are possible at {100 * reference.coverage:g} % coverage)",
        ),
        *(f"Probability of {name}{' (± spread)' if several else ''}" for name in reference.classes),
        "Remarks",
    ]
    rows = []
    for row in answers.to_dict("records"):
        drawn = "drawn image" if row["is_drawn"] else ""
        rows.append(
            [
                Cell(row["image"]),
                Cell(_answer_with_set(row)),
                *(
                    Cell(probability_text(row, name), number_cell(row[f"probability_{name}"]).order)
                    for name in reference.classes
                ),
                Cell("; ".join(filter(None, (row["reason"], row["copy_note"], drawn))) or NONE),
            ]
        )
    return Table("What the networks say of each image", columns, rows)


def _answer_with_set(row: Mapping[Any, Any]) -> str:
    answer = "abstains" if row["answer"] == ABSTAIN else row["answer"]
    return f"{answer} (possible: {row['set']})" if row["set"] else answer


def quarantine_table(quarantine: pd.DataFrame) -> Table:
    """One row a file that could not be read."""
    rows = [[Cell(row["image"]), Cell(row["reason"])] for row in quarantine.to_dict("records")]
    return Table("Files that could not be read as an image", ("File", "Reason"), rows)


def share_text(share: Share) -> str:
    """A share with its interval and number."""
    if not share.n:
        return "no image"
    return (
        f"{100 * share.count / share.n:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f} %, "
        f"{share.count:,} of {share.n:,})"
    )


def how_it_was_measured(reference: Reference) -> list[str]:
    """Sentences on the sets, the probabilities and the abstentions, for whoever doubts them."""
    n_folds = len(reference.n_calibration)
    n = sum(reference.n_calibration)
    part = "validation" if reference.calibrated_on == VALIDATION else "test"
    guarantee = (
        f"{100 * reference.coverage:g} % of images like those"
        if n_folds == 1
        else f"{max(0.0, 200 * reference.coverage - 100):g} % of images like those (as a rule near "
        f"{100 * reference.coverage:g} %: {n_folds} folds answer together)"
    )
    sentences = [
        f"The set of possible classes was calibrated on {n:,} {part} images. It is made to hold "
        f"the truth for at least {guarantee} of the data set, in the same mix of classes. For "
        "images from another hospital, or where a disease is rarer, nothing is promised.",
    ]
    if not reference.enough:
        sentences = [
            f"There are {n} {part} images to calibrate on, and {100 * reference.coverage:g} % "
            f"coverage needs {fewest_images(reference.coverage)}: every set has all classes, and "
            "the networks abstain. Lower predict.coverage, or hold back more images.",
        ]
    if reference.covered is not None:
        sentences.append(
            "On test images, whose class is known, the set held the truth for "
            f"{share_text(reference.covered)}."
        )
    else:
        sentences.append(
            "The design has no validation part (validation_fraction of its scheme), so test images "
            "took its place: no network was trained on them, but coverage could not be measured."
        )
    sentences.append(
        f"Of the test images, the set was empty or had all classes for "
        f"{share_text(reference.undecided)}, and {share_text(reference.unlike)} would have been "
        "called unlike the training data, wrongly. Of those that were answered, the likeliest "
        f"class was right for {share_text(reference.right)}."
    )
    reasons = {member.temperature_reason for member in reference.members}
    if all(member.temperature == 1.0 for member in reference.members):
        sentences.append(
            "Probabilities are those of the networks, not calibrated "
            f"({'; '.join(sorted(reason for reason in reasons if reason))}): they may be too sure."
        )
    else:
        fitted = [member.temperature for member in reference.members]
        between = f"{min(fitted):.2f}" + (
            f" to {max(fitted):.2f}" if max(fitted) > min(fitted) else ""
        )
        sentences.append(
            f"Probabilities are calibrated on the validation part (temperature {between})."
        )
    return sentences


def believed(verdict: Mapping[str, Any]) -> str:
    """The audit's short answer and its sentence."""
    return f"{verdict['answer']} {verdict['sentence']}"


def verdict_sentences(page: AnswersPage) -> list[str]:
    """The audit's sentence, and a warning where it judges another design than answers here."""
    headline = page.verdict["headline"]
    sentences = [believed(page.verdict)]
    own = (page.reference.task, page.reference.scheme)
    if headline is not None and not is_judged(headline, *own):
        sentences.append(
            f"That answer is about {headline['task']}, {headline['scheme']}; the networks that "
            f"answer here are those of {own[0]}, {own[1]}."
        )
    return sentences


def render_answers(page: AnswersPage) -> str:
    """The page.

    Returns
    -------
    str
        HTML. Links and pictures are relative to the page, and nothing is loaded from a network.
    """
    reference = page.reference
    return (
        page_environment()
        .get_template("predictions.html")
        .render(
            page=page,
            reference=reference,
            table=answers_table(page.answers, reference),
            quarantine=quarantine_table(page.quarantine),
            n_answered=int((page.answers["answer"] != ABSTAIN).sum()),
            scale=log_odds(reference.heat_scale, len(reference.classes)),
            sentences=verdict_sentences(page),
            measured=[
                *filter(None, (*how_it_was_measured(reference), shares_sentence(page.reweighting)))
            ],
            start=start_sentence(page.verdict["starts"][reference.scheme]),
            notice=trained_notice(reference.is_drawn),
        )
    )
