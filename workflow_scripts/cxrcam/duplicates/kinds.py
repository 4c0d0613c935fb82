"""What a pair of images is: a copy and how it was changed, another exposure, or nothing.

Thresholds were chosen on 2,100 real X-rays (700 each of COVID, Normal and Viral Pneumonia), on 15
copies of each of 5 kinds planted among them and among phantoms, and on 500 phantoms in one frame
with text burnt in over the chest. Pairs of the real ones were pooled with imagehash (135,000 with
difference hashes within 56 bits of 256) and a wider search by words, and looked at by eye:

- 50 pairs are copies; all are found, and agree at 0.76 or more. Planted copies agree at 0.75 or
  more, framed strangers at 0.65 or less;
- the best others are exposures of one patient, at 0.60 or less. Two of about ten are named; the
  others are not told from strangers, whose keypoints fit at up to 34 places;
- no stranger is taken for a copy among 2.2 million pairs of real X-rays: fewer than 1.4 in a
  million (95 %).

Confirmed on 82 X-rays of other hospitals, which had no part in the choice: planted copies of all
17 kinds are found (75 of 82 of those inset in a page, all of the others), both real copies, and no
stranger among 3,321 pairs.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from workflow_scripts.cxrcam.duplicates.alignment import Overlay
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE

#: Agreement from which on two images are one picture.
COPY_CORRELATION: Final = 0.7
#: Keypoints that fit, from which on two images that agree less show one patient.
EXPOSURE_INLIERS: Final = 55

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
        return OTHER_EXPOSURE if laid.inliers >= EXPOSURE_INLIERS else None
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
