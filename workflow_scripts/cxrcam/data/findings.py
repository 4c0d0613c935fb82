"""Which findings each image shows: present, absent, or not known.

Tables of the field say 1 (present), 0 (absent), -1 (uncertain: the report says "may be") or nothing
(the report does not mention it), a column a finding; or they list what is present in one label,
"Effusion|Mass".
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import Float32Array
from workflow_scripts.cxrcam.data.listing.findings_text import SEPARATOR, VALUES, answers_of
from workflow_scripts.cxrcam.errors import InputError

UNKNOWN: Final = np.float32(np.nan)
MEANINGS: Final[dict[str, np.float32]] = {
    "present": np.float32(1),
    "absent": np.float32(0),
    "ignore": UNKNOWN,
}


class FindingsError(InputError):
    """The table of the findings cannot be read; the message names the row and the way out."""


def known_findings(
    images: pd.DataFrame,
    labels: Sequence[str],
    uncertain: str,
    blank: str,
    must_occur: bool = True,
) -> Float32Array:
    """What is known of each image.

    Parameters
    ----------
    images : DataFrame of n rows
        The index: ``image_id``, ``label`` and what the data set's table has, as text.
    labels : sequence of str, length k
    uncertain : {"present", "absent", "ignore"}
        What -1 means.
    blank : {"absent", "ignore"}
        What an empty cell means.
    must_occur : bool
        Whether a finding that no image has is refused.

    Returns
    -------
    float32 array, shape (n, k)
        1 present, 0 absent, NaN not known.

    Raises
    ------
    FindingsError
        A finding that the data set does not know or never has, or a value that is none of 1, 0, -1
        and nothing.
    """
    columns = {name: _column_of(images, name) for name in labels}
    found = [name for name in labels if columns[name] is not None]
    if found:
        missing = [name for name in labels if name not in found]
        if missing:
            close = get_close_matches(missing[0], [*map(str, images.columns)], 1)
            raise FindingsError(
                f"The data set has no column for the finding {missing[0]!r}, though it has one for "
                f"{found[0]!r}.{f' Did you mean {close[0]!r}?' if close else ''} Correct the name, "
                "or take it out of `findings.labels`."
            )
        meanings = {
            "1": MEANINGS["present"],
            "0": MEANINGS["absent"],
            "-1": MEANINGS[uncertain],
            "": MEANINGS[blank],
        }
        known = np.stack([_values(images, str(columns[name]), meanings) for name in labels], axis=1)
    else:
        shown = images["label"].str.split(SEPARATOR, regex=False)
        parts = [{part.strip() for part in some} for some in shown]
        known = np.array([[name in some for name in labels] for some in parts], dtype=np.float32)
    for name, column in zip(labels, known.T, strict=True):
        if must_occur and not (column == 1).any():
            raise FindingsError(
                f"No readable image has the finding {name!r}: correct the name, or take it out of "
                "`findings.labels`."
            )
    return known


def _column_of(images: pd.DataFrame, name: str) -> str | None:
    """Column of a finding; the index calls one that it has itself otherwise."""
    return next((c for c in (f"manifest_{name}", name) if c in images.columns), None)


def _values(images: pd.DataFrame, column: str, meanings: Mapping[str, np.float32]) -> Float32Array:
    texts = images[column].fillna("").astype(str).str.strip()
    plain = texts.map(VALUES)
    strange = plain.isna().to_numpy()
    if strange.any():
        first = int(np.flatnonzero(strange)[0])
        raise FindingsError(
            f"The finding {column!r} of the image {images['image_id'].iloc[first]!r} is "
            f"{texts.iloc[first]!r}: write 1 (present), 0 (absent), -1 (uncertain) or nothing."
        )
    return plain.map(meanings).to_numpy(dtype=np.float32)


def asked_images(images: pd.DataFrame, finding: Mapping[str, Any] | None) -> pd.DataFrame:
    """Images that a task is about, with the label that it gives them.

    Parameters
    ----------
    images : DataFrame
        As in `known_findings`.
    finding : mapping or None
        `configuration.findings.Finding`; None or empty of a task with exclusive classes, whose
        images stay as they are.

    Returns
    -------
    DataFrame
        Of a finding, the images of which it is known, and "no <finding>" or "<finding>" as label.
    """
    labels = labels_in_task(images, finding)
    return images.assign(label=labels)[labels.notna()]


def labels_in_task(images: pd.DataFrame, finding: Mapping[str, Any] | None) -> pd.Series:
    """Label that a task gives each image, as `asked_images`; missing where it is not known."""
    if not finding:
        return images["label"]
    asked = [finding["label"]], finding["uncertain"], finding["blank"]
    known = known_findings(images, *asked, must_occur=False)[:, 0]
    absent, present = answers_of(finding["label"])
    words = np.where(known == 1, present, absent).astype(object)
    return pd.Series(words, images.index).where(np.isfinite(known), None)
