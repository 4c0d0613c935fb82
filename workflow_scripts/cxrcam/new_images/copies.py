"""New images that the data set has already: an answer to those is no prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

_KIND_WORDS: Final = {
    "exact": "the very same picture as",
    "re-encoded": "a near copy of",
    "brightened": "a copy, brighter or darker, of",
    "mirrored": "a mirrored copy of",
    "inverted": "a copy, with black and white exchanged, of",
    "cropped": "a copy, cropped or enlarged, of",
    "shifted": "a shifted copy of",
    "turned": "a turned copy of",
    "inset": "a copy, with a page or a border around one of the two, of",
    "annotated": "a copy, with signs added or removed, of",
    "other_exposure": "another exposure of the same patient as",
}


@dataclass(frozen=True)
class Copy:
    """The image of the data set that shows the same picture.

    Attributes
    ----------
    image_id, kind : str
        As from `duplicates.search.find_cross_duplicates`.
    trained_on : int
        Number of networks that were trained on it.
    """

    image_id: str
    kind: str
    trained_on: int

    def sentence(self, n_networks: int) -> str:
        """What a reader must know of it."""
        if not self.trained_on:
            used = "which is in the data set, but not in the training part"
        elif n_networks == 1:
            used = "which the network was trained on: its answer is no prediction"
        else:
            used = f"which {self.trained_on} of {n_networks} networks were trained on"
        return f"{_KIND_WORDS[self.kind]} {self.image_id}, {used}"


def closest_copies(pairs: pd.DataFrame, trained_on: Mapping[str, int]) -> dict[str, Copy]:
    """The closest copy of each new image that has any.

    Parameters
    ----------
    pairs : DataFrame
        As from `duplicates.search.find_cross_duplicates`, the new images second.
    trained_on : mapping of str to int
        Number of networks that were trained on an image of the data set; 0 where it is absent.

    Returns
    -------
    dict of str to Copy
        By the id of the new image: identical pictures first, then those trained on, then by
        correlation.
    """
    ranked = pairs.assign(
        is_exact=pairs["kind"] == "exact",
        trained_on=pairs["image_id_a"].map(trained_on).fillna(0).astype(int),
    ).sort_values(
        ["is_exact", "trained_on", "correlation", "image_id_a"],
        ascending=[False, False, False, True],
        kind="stable",
    )
    return {
        row["image_id_b"]: Copy(row["image_id_a"], row["kind"], int(row["trained_on"]))
        for row in ranked.drop_duplicates("image_id_b").to_dict("records")
    }


def with_copies(answers: pd.DataFrame, copies: Mapping[str, Copy], n_networks: int) -> pd.DataFrame:
    """Answers with the image that each is a copy of, if any, and with the number of networks."""
    found = [copies.get(image_id) for image_id in answers["image"]]
    return answers.assign(
        copy_of=["" if copy is None else copy.image_id for copy in found],
        copy_note=["" if copy is None else copy.sentence(n_networks) for copy in found],
        networks=n_networks,
    )
