"""Images that do not look like the X-rays beside them, found without any network.

Reported, not left out: a reader decides. Kinds, the gravest first, with what is measured:

- blank, nearly blank: standard deviation of the grey levels;
- partly blank: rows or columns of one grey, from an edge inwards, as of a file that was cut short;
- turned, upside down, inverted: by how much an image is more similar to the others once that is
  undone (`duplicates.likeness`);
- in colour: how far apart red, green and blue are, which decoding told (`images.colour`);
- unlike: similarity to the others;
- dark, over-exposed: share of the pixels that are nearly black or nearly white;
- strip, odd aspect, tiny, huge: width and height.

Thresholds are fixed. Quantiles of the data set itself would call the same share of every set
unusual, and bad images among them would move the thresholds. For the same reason an image is
compared with the picture at rank 0.5 % of the most similar ones (the third at least), not with the
most similar one: a few inverted images would otherwise vouch for each other.

Of 2,000 real X-rays (COVID-19 Radiography Database, 256 × 256 pixels), 8 stand out, 0.4 %: 6 as
turned, 2 as unlike. None is turned; all are framed off-centre, tilted or cut close. They are square
and of one size, so that false alarms by width and height could not be measured: no frontal view is
twice as wide as high, and no detector has 6,000 pixels a side. Of 20 images changed on purpose, one
change after the other, all stand out that are blank, dark, over-exposed, inverted, lying, strips,
tiny or huge, pages of text, noise and photographs, 19 of those upside down, and none of the
close-ups of the middle (`benchmarks/suspects.py`).

Not looked for: frames and text that many images share. Floors of border and corners tell whether
they give the classes away; borders of the small pictures do not find them (at most 7 of 20 planted,
with 1.5 % false alarms).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.duplicates.likeness import CHANGES, Likeness, likeness
from workflow_scripts.cxrcam.images.colour import MOST_COLOUR

COLUMNS: Final = ("image_id", "label", "why", "value", "threshold")

BLANK: Final = "blank"
NEARLY_BLANK: Final = "nearly blank"
PARTLY_BLANK: Final = "partly blank"
IN_COLOUR: Final = "in colour"
UNLIKE: Final = "unlike the other images"
DARK: Final = "dark"
OVER_EXPOSED: Final = "over-exposed"
STRIP: Final = "strip"
ODD_ASPECT: Final = "odd aspect"
TINY: Final = "tiny"
HUGE: Final = "huge"

#: Of real X-rays that are told, most are no more than framed off-centre.
PERHAPS: Final = "perhaps "

#: By the reason, in the order of gravity.
THRESHOLDS: Final[dict[str, float]] = {
    BLANK: 0.0,  # grey levels, standard deviation
    NEARLY_BLANK: 5.0,
    # Share of the width or height. Of 1,500 real X-rays none has more than 0.27.
    PARTLY_BLANK: 1 / 3,
    **{f"{PERHAPS}{change}": 0.05 for change in CHANGES},  # gain in correlation once it is undone
    IN_COLOUR: MOST_COLOUR,
    UNLIKE: 0.45,  # correlation
    DARK: 0.9,  # share of pixels
    OVER_EXPOSED: 0.6,
    STRIP: 4.0,  # longer by shorter side
    ODD_ASPECT: 2.0,
    TINY: 64.0,  # pixels, shorter side
    HUGE: 6000.0,  # pixels, longer side
}

BLACKEST: Final = 24  # grey level up to which a pixel is nearly black
WHITEST: Final = 240  # from which on it is nearly white

MOST_SPREAD: Final = 4  # grey levels between darkest and brightest pixel of a row of one grey

#: Images that each is compared with at most, spread evenly; more of them only cost time.
MOST_COMPARED: Final = 4000
#: Rank of the one whose similarity counts: as a share of them, and at least.
RANK: Final = 0.005
LEAST_RANK: Final = 3
#: Fewer images of other groups do not tell what is usual.
FEWEST_OTHERS: Final = 20


def grey_traits(pixels: UInt8Array) -> Float64Array:
    """Standard deviation, shares of nearly black and of nearly white pixels, widest blank band.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size)

    Returns
    -------
    float64 array, shape (n, 4)
    """
    axes = (1, 2)
    traits: Float64Array = np.stack(
        [
            pixels.std(axis=axes),
            (pixels <= BLACKEST).mean(axis=axes),
            (pixels >= WHITEST).mean(axis=axes),
            _blank_band(pixels),
        ],
        axis=1,
    )
    return traits


def _blank_band(pixels: UInt8Array) -> Float64Array:
    """Share of the rows or columns from an edge inwards that are of one grey, at the worst edge."""
    bands = []
    for axis in (2, 1):
        is_blank = np.ptp(pixels, axis=axis) <= MOST_SPREAD
        for lines in (is_blank, is_blank[:, ::-1]):
            bands.append(np.where(lines.all(axis=1), 1.0, lines.argmin(axis=1) / lines.shape[1]))
    widest: Float64Array = np.max(bands, axis=0)
    return widest


def likeness_to_others(thumbnails: UInt8Array, groups: Sequence[str]) -> tuple[Likeness, BoolArray]:
    """Compare each image with those of other groups.

    Parameters
    ----------
    thumbnails : uint8 array, shape (n, side, side)
    groups : sequence of str, length n
        Images of one patient, and copies of one picture.

    Returns
    -------
    found : Likeness
        Of the n images, by the one that takes the rank `RANK` among the most similar ones.
    is_told : bool array, shape (n,)
        Whether there were enough of them.
    """
    chosen = np.unique(np.linspace(0, len(groups) - 1, MOST_COMPARED).astype(np.int64))
    names, numbers = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    own: Int64Array = np.bincount(numbers[chosen], minlength=len(names))[numbers]
    rank = min(len(chosen), max(LEAST_RANK, round(RANK * len(chosen))))
    others = [groups[k] for k in chosen]
    found = likeness(thumbnails, thumbnails[chosen], groups, others, rank)
    return found, len(chosen) - own >= FEWEST_OTHERS


def suspect_images(
    images: pd.DataFrame, traits: Float64Array, found: Likeness, is_told: BoolArray
) -> pd.DataFrame:
    """What stands out, one row an image and reason.

    Parameters
    ----------
    images : DataFrame of n rows
        `image_id`, `label`, `width`, `height`, `colourfulness` of the index.
    traits : float64 array, shape (n, 4)
        As from `grey_traits`.
    found, is_told
        As from `likeness_to_others`.

    Returns
    -------
    DataFrame
        `COLUMNS`, the gravest reasons first, of one reason what is furthest beyond the threshold.
    """
    contrast, black, white, band = traits.T
    longer, shorter = (images[["width", "height"]].agg(how, axis=1) for how in ("max", "min"))
    aspect = (longer / shorter).to_numpy()
    is_seen = contrast >= THRESHOLDS[NEARLY_BLANK]
    changes = np.asarray(found.change)
    turned = {
        why: is_told & is_seen & (changes == change) & (found.gain > THRESHOLDS[why])
        for change, why in ((change, f"{PERHAPS}{change}") for change in CHANGES)
    }
    is_turned = np.any([*turned.values()], axis=0)
    colour = images["colourfulness"].to_numpy(np.float64)
    beyond = {
        BLANK: (contrast, contrast <= THRESHOLDS[BLANK]),
        NEARLY_BLANK: (contrast, ~is_seen & (contrast > THRESHOLDS[BLANK])),
        PARTLY_BLANK: (band, is_seen & (band > THRESHOLDS[PARTLY_BLANK])),
        **{why: (found.gain, chosen) for why, chosen in turned.items()},
        IN_COLOUR: (colour, colour > THRESHOLDS[IN_COLOUR]),
        UNLIKE: (
            found.similarity,
            is_told & is_seen & ~is_turned & (found.similarity < THRESHOLDS[UNLIKE]),
        ),
        DARK: (black, is_seen & (black > THRESHOLDS[DARK])),
        OVER_EXPOSED: (white, is_seen & (white > THRESHOLDS[OVER_EXPOSED])),
        STRIP: (aspect, aspect >= THRESHOLDS[STRIP]),
        ODD_ASPECT: (aspect, (aspect >= THRESHOLDS[ODD_ASPECT]) & (aspect < THRESHOLDS[STRIP])),
        TINY: (shorter.to_numpy(), shorter.to_numpy() < THRESHOLDS[TINY]),
        HUGE: (longer.to_numpy(), longer.to_numpy() > THRESHOLDS[HUGE]),
    }
    tables = []
    for why, (values, chosen) in beyond.items():
        rows = images.loc[chosen, ["image_id", "label"]]
        rows = rows.assign(why=why, value=values[chosen].round(4), threshold=THRESHOLDS[why])
        excess = (rows["value"] - rows["threshold"]).abs().rename("excess")
        rows = rows.join(excess).sort_values(["excess", "image_id"], ascending=[False, True])
        tables.append(rows[[*COLUMNS]])
    found_rows: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return found_rows
