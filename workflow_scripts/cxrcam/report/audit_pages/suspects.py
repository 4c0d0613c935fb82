"""The page of suspect images: what stands out, the gravest first, with its picture."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.report.templating import Embedded, embedded, notice, page_environment

#: Images that are drawn. Every one stands in audit/suspect_images.csv.
MOST_PICTURES: Final = 200

_LEAST_SIDE: Final = 24  # pixels, of a strip


@dataclass(frozen=True)
class _Card:
    """What the page shows of an image; `picture` is a data URI."""

    image_id: str
    label: str
    size: str
    reasons: list[dict[Hashable, Any]]
    picture: Embedded


def drawn_images(suspects: pd.DataFrame) -> list[str]:
    """Names of the images that the page draws, the gravest first."""
    return list(suspects["image_id"].drop_duplicates().head(MOST_PICTURES))


def render_suspects(
    suspects: pd.DataFrame,
    pictures: UInt8Array,
    images: pd.DataFrame,
    *,
    dataset: str,
    is_drawn: bool = False,
) -> str:
    """Write the page.

    Parameters
    ----------
    suspects : DataFrame
        As from `audit.suspect_images.suspect_images`.
    pictures : uint8 array, shape (k, size, size)
        Cached pixels of `drawn_images`.
    images : DataFrame
        `image_id`, `label`, `width` and `height` of all images of the data set.
    dataset : str
    is_drawn : bool
        Whether the images are phantoms.

    Returns
    -------
    str
        HTML with all pictures within it.
    """
    drawn = drawn_images(suspects)
    reasons = suspects[suspects["image_id"].isin(drawn)].groupby("image_id")
    sizes = images.set_index("image_id").loc[drawn, ["width", "height"]].to_numpy()
    cards = []
    for name, picture, (width, height) in zip(drawn, pictures, sizes.tolist(), strict=True):
        rows = reasons.get_group(name)
        cards.append(
            _Card(
                image_id=name,
                label=rows["label"].iloc[0],
                size=f"{width} × {height}",
                reasons=rows.to_dict("records"),
                picture=_embedded(picture, width, height),
            )
        )
    n_of = suspects.drop_duplicates("image_id")["label"].value_counts()
    n_images = images["label"].value_counts()
    return (
        page_environment()
        .get_template("suspects.html")
        .render(
            dataset=dataset,
            n_images=len(images),
            n_suspects=suspects["image_id"].nunique(),
            kinds=suspects["why"].value_counts(sort=False).to_dict(),
            classes=[(label, int(n_of.get(label, 0)), n) for label, n in n_images.items()],
            cards=cards,
            notice=notice(is_drawn),
        )
    )


def _embedded(pixels: UInt8Array, width: int, height: int) -> Embedded:
    """Cached pixels, square whatever the image, at the image's own aspect within the page."""
    longer = max(width, height)
    side = len(pixels)
    across, down = (max(_LEAST_SIDE, round(side * of / longer)) for of in (width, height))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return embedded(picture.resize((across, down), Image.Resampling.BOX))
