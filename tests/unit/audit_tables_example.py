"""What the audit may have measured, for tests of the checks and of the verdict."""

from dataclasses import asdict

import pandas as pd

from workflow_scripts.cxrcam.audit.leaks import split_leaks
from workflow_scripts.cxrcam.map_tests.summaries import MeanInterval
from workflow_scripts.cxrcam.metrics.intervals import Interval
from workflow_scripts.cxrcam.verdict.audit_tables import Run

NAN = float("nan")
RUN = Run("two_class", "holdout", 1, 0)


def one(checks):
    (check,) = checks
    return check


def status(checks):
    return one(checks).status


def runs(*rows, columns=("fold", "seed", "n", "accuracy"), **also):
    table = pd.DataFrame(rows, columns=list(columns))
    classes = {"smallest_class": "COVID", "n_smallest_class": table["n"] // 2}
    return table.assign(**{"task": "two_class", "scheme": "holdout"} | classes | also)


def pairs(*rows):
    columns = ["image_id_a", "image_id_b", "kind", "label_a", "label_b"]
    return pd.DataFrame(rows, columns=columns)


def leak_rows(roles, duplicates, patients=None, **also):
    """Table of leaks, as the entry script makes it."""
    names = [name for group in roles.values() for name in group]
    role = [role for role, group in roles.items() for _ in group]
    pairs = pd.DataFrame(duplicates or [], columns=["image_id_a", "image_id_b", "kind"])
    rows = split_leaks(names, role, pairs, patients or [None] * len(names))
    frame = pd.DataFrame([vars(row) for row in rows])
    if duplicates is None:
        frame = frame.assign(n_leaked=None, share=None, reason="not assessable: nobody looked")
    return frame.assign(**{"task": "t", "scheme": "s", "fold": 1, "grouped": True} | also)


# Right answers of five-fold cross-validated floors on phantoms: two classes, 150 images each, 129
# pixels, difficulty 0.2, seeds 0 to 9 (border, corners, histogram, centre_black, thumbnail).
MEASURED = {
    "clean": {
        "border": [157, 151, 157, 156, 157, 141, 146, 148, 153, 148],
        "corners": [162, 166, 144, 159, 148, 146, 144, 146, 151, 154],
        "histogram": [210, 202, 214, 219, 221, 222, 217, 199, 225, 195],
        "centre_black": [230, 236, 215, 237, 223, 225, 225, 222, 227, 227],
        "thumbnail": [251, 260, 241, 269, 265, 256, 263, 252, 253, 252],
    },
    "marker": {
        "border": [215, 206, 186, 188, 197, 187, 195, 192, 181, 184],
        "corners": [190, 190, 179, 202, 176, 194, 197, 182, 184, 190],
        "histogram": [217, 195, 208, 217, 230, 234, 213, 201, 233, 200],
        "centre_black": [289, 289, 284, 288, 287, 291, 289, 283, 288, 288],
        "thumbnail": [287, 289, 287, 292, 290, 286, 292, 288, 289, 296],
    },
    "exposure": {
        "border": [272, 277, 262, 273, 266, 256, 271, 269, 275, 270],
        "corners": [251, 258, 254, 265, 245, 244, 243, 250, 260, 246],
        "histogram": [292, 294, 296, 296, 293, 293, 294, 292, 292, 289],
        "centre_black": [292, 294, 294, 296, 294, 295, 294, 294, 293, 292],
        "thumbnail": [292, 292, 294, 295, 294, 295, 292, 295, 295, 293],
    },
}


def floors(right, n=300, majority=0.5, **also):
    """One row a floor."""
    rows = [(name, n, k / n) for name, k in ({"majority": majority * n} | right).items()]
    table = pd.DataFrame(rows, columns=["floor", "n", "accuracy"])
    identity = {"task": "two_class", "scheme": "", "fold": 1, "majority_share": majority}
    return table.assign(**identity | also)


def measured(kind, seed):
    return floors({name: counts[seed] for name, counts in MEASURED[kind].items()})


def gaps(gap, low, high, **also):
    row = (1, 0, 60, 0.93, "border", 0.93 - gap, gap, low, high)
    names = ("best_floor", "best_floor_accuracy", "gap", "gap_low", "gap_high")
    return runs(row, columns=("fold", "seed", "n", "accuracy", *names), **also)


def masked(variant, accuracy, n=200, original=0.95, **also):
    row = (1, 0, n, accuracy, variant, 0.5, original)
    names = ("fold", "seed", "n", "accuracy", "variant", "majority_share", "original_accuracy")
    return runs(row, columns=names, **{"retrained": False} | also)


def calibrated(before, after, n=2000):
    names = ("fold", "seed", "n", "accuracy", "ece_before", "ece_after")
    return runs((1, 0, n, 0.9, before, after), columns=names)


def score(value, low, high, chance=0.2, n=30):
    return {"n": n, "value": value, "interval": [low, high], "chance": chance}


def mean(value, half=0.05, n=30):
    return MeanInterval(n, value, Interval(value - half, value + half))


def cascade(last, floor):
    rows = [("fc", 0.9), ("conv1", last), ("floor", floor)]
    return [
        {"block": b, "ssim": asdict(mean(0.8)), "spearman": asdict(mean(v)), "constant": 0}
        for b, v in rows
    ]
