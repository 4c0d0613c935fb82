"""Tables of findings, made of generated scores as the workflow makes them."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.external_data import external_row
from workflow_scripts.cxrcam.metrics.findings import NETWORK, FindingsRun, findings_table

COVERED = ("network, lungs covered", "network, centre covered", "network, border only")
CLASSIFIERS = (NETWORK, "border", "corners", "histogram", "centre_black", "thumbnail", *COVERED)
SOUND = {NETWORK: 3.0, "histogram": 0.3, "centre_black": 0.3, "thumbnail": 0.8}
"""How far the scores of images with and without a finding lie apart, in standard deviations."""
TASK, SCHEME = "chest", "holdout"


def question(label: str) -> str:
    return f"{TASK}_{label}"


def questions(*labels: str) -> dict[tuple[str, str], str]:
    return {(TASK, label): question(label) for label in labels}


def table_of_findings(
    findings: Mapping[str, Mapping[str, float]], n: int = 400, share: float = 0.3
) -> pd.DataFrame:
    """Table of a design.

    `findings` gives, by finding, what separates each classifier's scores where it is not `SOUND`; a
    classifier that is None there was not made. A `share` of the images has each finding.
    """
    names = [f"image-{k}" for k in range(n)]
    # Each of its own generator: what else there is changes no finding.
    present = pd.DataFrame(
        {label: np.random.default_rng(k).random(n) < share for k, label in enumerate(findings)},
        names,
    )
    made = [c for c in CLASSIFIERS if all(own.get(c, 0) is not None for own in findings.values())]
    said = {}
    for classifier in made:
        apart = {label: (SOUND | dict(own)).get(classifier, 0.0) for label, own in findings.items()}
        number = CLASSIFIERS.index(classifier)
        noise = np.stack(
            [np.random.default_rng([number, k]).normal(size=n) for k in range(len(findings))],
            axis=1,
        )
        said[classifier] = present * pd.Series(apart) + noise
    known = present.astype(float)
    known.insert(0, "group", names)
    run = FindingsRun(1, 0, known, said)
    table = findings_table([run], list(findings), COVERED)
    return table.assign(task=TASK, scheme=SCHEME, sensitivity=np.nan, specificity=np.nan)


@cache
def external_table(label: str, apart: float, n: int = 400, share: float = 0.3) -> pd.DataFrame:
    """Row of audit/external.csv of one finding on the data set "elsewhere"."""
    rng = np.random.default_rng(1)
    present = rng.random(n) < share
    probability = 1 / (1 + np.exp(-(rng.normal(size=n) + apart * present)))
    classes = [f"no {label}", label]
    predictions = pd.DataFrame(
        {
            "label": np.where(present, label, classes[0]),
            f"probability_{classes[0]}": 1 - probability,
            f"probability_{label}": probability,
        }
    )
    names = ("n", "accuracy", "accuracy_low", "accuracy_high", "macro_auroc")
    row = external_row(
        *(predictions, classes, dict.fromkeys(names, 0.9)),
        removed=0,
        groups=[str(k) for k in range(n)],
        seed=np.random.SeedSequence(0),
    )
    of_run = {"task": question(label), "scheme": SCHEME, "fold": 1, "seed": 0}
    return pd.DataFrame([{**of_run, "data_set": "elsewhere", **row}])
