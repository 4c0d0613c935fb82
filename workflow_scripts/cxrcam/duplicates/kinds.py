"""What a pair of images is: a copy and how it was changed, another exposure, or nothing.

Thresholds were chosen on 2,100 real X-rays (700 each of COVID, Normal and Viral Pneumonia), on 60
copies of each of 18 kinds planted among them, and on 700 phantoms with 25 of each. The pairs of the
real ones were pooled with imagehash (135,000 with difference hashes within 56 bits of 256) and a
wider search by words, and looked at by eye:

- 49 pairs are copies; all are found, and agree at 0.79 or more. Planted copies agree at 0.81 or
  more, those printed on a page at 0.6 times their size, and phantoms, a little less;
- the best others are exposures of one patient, at 0.71 or less. Four of about ten are named; the
  others are not told from strangers, of which none reaches 45 keypoints that fit (at most 34);
- no stranger is taken for a copy: none in 2.2 million pairs of real X-rays, that is fewer than 1.4
  in a million (95 %).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from workflow_scripts.cxrcam.duplicates.alignment import Overlay
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE

#: Agreement from which on two images are one picture.
COPY_CORRELATION: Final = 0.75
#: Agreement, and keypoints that fit, from which on two images that are no copies show one patient.
EXPOSURE_CORRELATION: Final = 0.58
EXPOSURE_INLIERS: Final = 45

#: From where on a change is named: degrees; shares of the width; grey levels.
LEAST_TURN: Final = 1.0
LEAST_SCALING: Final = 0.02
LEAST_SHIFT: Final = 0.02
LEAST_SIGNS: Final = 0.002
LEAST_BRIGHTENING: Final = 6.0


def kind_of(laid: Overlay) -> str | None:
    """Name what a pair is.

    Parameters
    ----------
    laid : Overlay

    Returns
    -------
    str or None
        One of `terms.DUPLICATE_KINDS` but "exact"; None where the images show neither one picture
        nor, as far as can be told, one patient. Of several changes the first in this order:
        inverted, mirrored, turned, inset or cropped, shifted, annotated, brightened.
    """
    if laid.correlation < COPY_CORRELATION:
        same = laid.correlation >= EXPOSURE_CORRELATION and laid.inliers >= EXPOSURE_INLIERS
        return OTHER_EXPOSURE if same else None
    (xx, xy, x0), (yx, yy, y0) = laid.transform
    if laid.inverted:
        return "inverted"
    if xx * yy < xy * yx:
        return "mirrored"
    if abs(math.degrees(math.atan2(yx - xy, xx + yy))) >= LEAST_TURN:
        return "turned"
    if max(abs(xx - 1), abs(yy - 1)) >= LEAST_SCALING:
        return "inset" if laid.framed else "cropped"
    # Where the centre comes to lie.
    if np.hypot((xx + xy) / 2 + x0 - 0.5, (yx + yy) / 2 + y0 - 0.5) >= LEAST_SHIFT:
        return "shifted"
    if laid.signs >= LEAST_SIGNS:
        return "annotated"
    return "brightened" if laid.brightening >= LEAST_BRIGHTENING else "re-encoded"
