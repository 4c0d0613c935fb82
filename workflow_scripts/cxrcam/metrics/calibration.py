"""Temperature scaling: one number that makes over-confident probabilities honest.

It is fitted on validation images, never on those that are reported. It changes no decision: the
class of the largest logit stays the same at any temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from workflow_scripts.cxrcam.arrays import Float64Array, Int64Array

LOWEST_TEMPERATURE: Final = 0.05
"""Bound of the search: where every validation image is right, the best temperature would be 0."""

HIGHEST_TEMPERATURE: Final = 20.0
"""Bound of the search: where the logits tell nothing, the best temperature would be infinite."""

# In log temperature: about a millionth of the temperature itself.
_TOLERANCE: Final = 1e-7

# Closer than this to a bound, in log temperature, the search was stopped by the bound.
_AT_BOUND: Final = 1e-4

_SURE: Final = (
    "the surer the likelier: held at the bound {:g}"
    " (every or nearly every image of the fit is right)"
)
_UNSURE: Final = (
    "the less sure the likelier: held at the bound {:g}"
    " (the logits tell no more than chance about these images)"
)


@dataclass(frozen=True)
class TemperatureFit:
    """A fitted temperature.

    Attributes
    ----------
    temperature : float
        Logits are divided by it: above 1 the network was over-confident. In [0.05, 20].
    nll_before, nll_after : float or None
        Mean negative log-likelihood, in nats an image, at temperature 1 and at `temperature`, on
        the images of the fit; None without images.
    n : int
        Number of images.
    reason : str or None
        Why the temperature is a bound, or 1 for lack of information; None for a free fit.
    """

    temperature: float
    nll_before: float | None
    nll_after: float | None
    n: int
    reason: str | None


def apply_temperature(logits: Float64Array, temperature: float) -> Float64Array:
    """Probabilities of logits that are divided by a temperature.

    Parameters
    ----------
    logits : float array, shape (n, classes)
    temperature : float
        Greater than 0; 1 is the plain softmax.

    Returns
    -------
    ndarray of float64, shape (n, classes)
        Each row sums to 1.
    """
    probabilities: Float64Array = softmax(logits / temperature, axis=1)
    return probabilities


def fit_temperature(logits: Float64Array, labels: Int64Array) -> TemperatureFit:
    """Find the temperature at which the labels are most likely.

    Parameters
    ----------
    logits : float array, shape (n, classes)
        Of the validation images.
    labels : int array, shape (n,)
        Their classes, 0 to classes - 1.

    Returns
    -------
    TemperatureFit
        `nll_after` is never above `nll_before`.

    Raises
    ------
    ValueError
        If a logit is not finite.

    Notes
    -----
    The likelihood is concave in 1/T, so there is one optimum; the search is over log T between
    log 0.05 and log 20. If all images are right the optimum is T = 0 (the surer, the likelier), and
    if the logits are no better than chance it is infinite: then the bound is returned and said.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), ICML, PMLR 70:1321-1330.
    """
    n = len(labels)
    if not n:
        return TemperatureFit(1.0, None, None, 0, "there are no images to fit a temperature on")
    if not np.isfinite(logits).all():
        raise ValueError(f"logit {logits[~np.isfinite(logits)][0]} is not a finite number")

    def nll(log_temperature: float) -> float:
        log_likelihood = log_softmax(logits / math.exp(log_temperature), axis=1)
        return float(-log_likelihood[np.arange(n), labels].mean())

    before = nll(0.0)
    if np.ptp(logits, axis=1).max() == 0.0:
        why = "the logits of every image are equal: any temperature gives the same probabilities"
        return TemperatureFit(1.0, before, before, n, why)
    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    found = minimize_scalar(
        nll, bounds=(low, high), method="bounded", options={"xatol": _TOLERANCE}
    )
    # Brent's search never tries the ends themselves.
    best = min(sorted((0.0, low, high, float(found.x))), key=nll)
    reason = None
    if best < low + _AT_BOUND:
        best, reason = low, _SURE.format(LOWEST_TEMPERATURE)
    elif best > high - _AT_BOUND:
        best, reason = high, _UNSURE.format(HIGHEST_TEMPERATURE)
    return TemperatureFit(math.exp(best), before, nll(best), n, reason)
