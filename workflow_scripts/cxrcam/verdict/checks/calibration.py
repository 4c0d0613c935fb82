"""Whether probabilities can be taken at their word."""

import math

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.metrics.calibration_bins import CALIBRATION_BINS
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.pooling import designs, first_reason, pooled_share

KIND = CheckKind(
    name="calibration",
    question="Is the network as often right as it says?",
    about="limits",
    order=120,
    file="audit/calibration.csv",
    advice="Give the scheme a `validation_fraction` of 0.1 or more, on which the temperature is "
    "fitted, and do not read the probabilities as chances until then.",
    to_assess="Test some hundreds of images: a larger `test_fraction`, or a scheme of the kind "
    "`stratified_kfold`.",
)

CALIBRATION_ERROR = 0.05
"""Expected calibration error that is no failure."""


def calibration_rows(metrics: pd.DataFrame) -> pd.DataFrame:
    """Expected calibration error of each run before and after the temperature."""
    table = metrics[["task", "scheme", "fold", "seed", "n", "accuracy"]].copy()
    table["ece_before"] = metrics["expected_calibration_error"]
    table["ece_after"] = metrics["expected_calibration_error_calibrated"]
    validation = metrics.get("n_validation_images", pd.Series(np.nan, index=metrics.index))
    table["reason"] = np.where(validation.fillna(0) > 0, "", "no validation part to fit on")
    table.loc[table["reason"] != "", "ece_after"] = np.nan
    return table


def calibration_noise(accuracy: float, n: int) -> float:
    """Largest expected calibration error that a perfectly calibrated network shows by chance.

    In a bin of m images that are right with probability p the expected distance is about
    √(2 / π) · √(p (1 − p) / m). Summed over B bins with weights m / n, by Cauchy's inequality and
    the concavity of p (1 − p), it is at most √(2 B a (1 − a) / (π n)) for accuracy a.
    """
    return math.sqrt(2 * CALIBRATION_BINS * accuracy * (1 - accuracy) / (math.pi * n))


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design.

    Judged is the expected calibration error after temperature scaling, or before it where no
    temperature was fitted. Failed if it exceeds 0.05 by more than `calibration_noise`; not
    assessable, unless it fails, where the noise alone exceeds 0.05 (some hundreds of test images
    are needed). Guo et al. 2017, PMLR 70:1321; Kumar et al. 2019, NeurIPS, for the bias.
    """
    if tables.calibration is None or tables.calibration.empty:
        return [KIND.not_assessable("calibration was not measured")]
    checks = []
    columns = ("fold", "n", "accuracy", "ece_before", "ece_after")
    for subject, rows in designs(tables.calibration, columns):
        share = pooled_share(rows)
        before, after = pooled_share(rows, "ece_before"), pooled_share(rows, "ece_after")
        if share is None or before is None:
            why = first_reason(rows, "no calibration error is known")
            checks.append(KIND.not_assessable(why, subject=subject))
            continue
        scaled = after is not None and bool(rows["ece_after"].notna().all())
        error = after.value if scaled and after is not None else before.value
        # Errors are averaged over the folds, each with the noise of its own images.
        noise = calibration_noise(share.value, max(1, round(float(rows["n"].mean()))))
        scaling = f"{error:.3f} after temperature scaling"
        if not scaled:
            scaling = f"not rescaled: {first_reason(rows, 'no temperature was fitted')}"
        finding = f"expected calibration error {before.value:.3f} (n = {share.n:,}); {scaling}"
        rule = f"the limit is {CALIBRATION_ERROR:.2f}, and chance alone can give {noise:.3f}"
        if error > CALIBRATION_ERROR + noise:
            clause = f"its probabilities are off by {100 * error:.0f} points on average"
            checks.append(KIND.failed(finding, rule, subject=subject, clause=clause))
        elif noise > CALIBRATION_ERROR:
            why = f"too few test images: {rule}"
            checks.append(KIND.not_assessable(why, finding=finding, subject=subject))
        else:
            checks.append(KIND.passed(finding, rule, subject=subject))
    return checks
