"""A small page of new images whose names hold what could break a page, and what it is made of."""

from dataclasses import replace

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.duplicates.likeness import Likeness, Thresholds
from workflow_scripts.cxrcam.new_images.answers import ABSTAIN, answers
from workflow_scripts.cxrcam.new_images.copies import closest_copies, with_copies
from workflow_scripts.cxrcam.new_images.reference import Member, Reference, Share
from workflow_scripts.cxrcam.report.answers.page import AnswersPage, render_answers, said_of
from workflow_scripts.cxrcam.report.answers.pictures import AnswerCard
from workflow_scripts.cxrcam.report.cells import Link

CLASSES = ["Normal", "COVID"]
SENTENCE = "The network's 93 % cannot be taken as recognition of COVID."
EVIL = '<script>alert("x")</script>.png'


def share(count: int, n: int) -> Share:
    return Share.of(np.arange(n) < count)


def reference(**changes: object) -> Reference:
    known = Reference(
        task="two_class",
        scheme="holdout",
        classes=CLASSES,
        members=[Member(1, 0, 2.0, None), Member(1, 1, 1.0, None)],
        coverage=0.9,
        calibrated_on="validation",
        n_calibration=[40],
        enough=True,
        thresholds=Thresholds(0.6, 0.05),
        n_training=200,
        heat_scale=5.0,
        covered=share(55, 60),
        undecided=share(6, 60),
        unlike=share(1, 60),
        right=share(50, 53),
        is_drawn=False,
    )
    return replace(known, **changes)


def facts(n: int, **changes: list[float]) -> pd.DataFrame:
    usual = {"image_id": [f"{k}.png" for k in range(n)], "colourfulness": 0.0, "contrast": 60.0}
    usual["is_drawn"] = False
    return pd.DataFrame({**usual, **changes})


def alike(n: int, similarity: float = 0.9, gain: float = -0.3) -> Likeness:
    return Likeness(
        np.full(n, similarity, np.float32), np.full(n, gain, np.float32), ["upside down"] * n
    )


def pairs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id_a": ["COVID/1", "COVID/2", "Normal/3"],
            "image_id_b": ["0.png", "0.png", "1.png"],
            "kind": ["re-encoded", "exact", "mirrored"],
            "correlation": [0.99, 0.9, 0.95],
        }
    )


def page(**changes: object) -> str:
    known = reference()
    table = answers(
        facts(3, image_id=["0.png", EVIL, "2.png"], contrast=[60.0, 60.0, 0.0]),
        np.tile([[0.2, 0.8], [0.5, 0.5], [0.5, 0.5]], (2, 1, 1)),
        np.array([[False, True], [True, True], [False, True]]),
        alike(3),
        known,
    )
    rows = table.to_dict("records")
    values = {
        "dataset": "demo",
        "asked": "<i>folder</i>",
        "reference": known,
        "verdict": {
            "answer": "No.",
            "sentence": SENTENCE,
            "headline": {"task": "two_class", "scheme": "holdout"},
            "starts": {"holdout": {"kind": "file", "origin": "<b>mine</b>.pth sha256:0"}},
        },
        "verdict_link": Link("audit/verdict.md", "../../audit/verdict.md"),
        "answers": with_copies(table, closest_copies(pairs(), {}), len(known.members)),
        "quarantine": pd.DataFrame({"image": [EVIL], "reason": ["It is no image."]}),
        "cards": [
            AnswerCard(row["image"], row["answer"], row["answer"] == ABSTAIN, said_of(row, known),
                       [], "COVID", "x.jpg", "h.png" if row["is_input"] else None, "o.png")
            for row in rows
        ],
        "files": [Link("predictions.csv", "predictions.csv")],
    }  # fmt: skip
    return render_answers(AnswersPage(**{**values, **changes}))
