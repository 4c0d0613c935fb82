"""Files with pictures of one run: an overlay of each chosen image, and a gallery of each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.files import file_name
from workflow_scripts.cxrcam.maps.captioned_overlay import captioned_overlay
from workflow_scripts.cxrcam.maps.gallery import choose_images, choose_of_classes, gallery
from workflow_scripts.cxrcam.maps.overlays import save_png
from workflow_scripts.cxrcam.maps.run_pictures import PICTURE_SIDE, RunPictures


@dataclass(frozen=True)
class ChosenImages:
    """All test images of a run and those with pictures: mistakes first, and by class.

    `records` are as from `RunPictures.with_drawn`.
    """

    records: pd.DataFrame
    overlays: pd.DataFrame
    galleries: dict[str, pd.DataFrame]

    @classmethod
    def of(
        cls, records: pd.DataFrame, classes: Sequence[str], overlays: int, a_class: int
    ) -> "ChosenImages":
        """Choose at most so many images for the overlays, and for the gallery of each class."""
        of_class = {name: records[records["label"] == name] for name in classes}
        return cls(
            records,
            choose_of_classes(records, classes, overlays),
            {name: choose_images(rows, a_class) for name, rows in of_class.items()},
        )

    @property
    def image_ids(self) -> list[str]:
        """Each image once."""
        tables = (self.overlays, *self.galleries.values())
        return list(dict.fromkeys(pd.concat([table["image_id"] for table in tables])))


def write_run_pictures(
    run: RunPictures,
    chosen: ChosenImages,
    overlays: Path,
    galleries: Path,
    style: Mapping[str, Any],
) -> None:
    """Draw the chosen images into two folders, each of them read once.

    Classes without an image get no gallery. `style` has `scale_max`, `opacity`, `against` and
    `method`, as in `gallery.gallery`.
    """
    pictures = {image_id: run.picture(image_id, PICTURE_SIDE) for image_id in chosen.image_ids}
    overlays.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(chosen.overlays.to_dict("records"), start=1):
        # Numbered in the order of interest; a name from the data may hold anything.
        name = file_name(row["image_id"].replace("/", "_"))
        outcome = "correct" if row["correct"] else "mistake"
        keys = ("image_id", "label", "predicted", "probability", "is_drawn")
        facts = {key: row[key] for key in keys}
        save_png(
            captioned_overlay(pictures[row["image_id"]], **facts, **style),
            overlays / f"{number:03d}-{outcome}-{name}.png",
        )
    galleries.mkdir(parents=True, exist_ok=True)
    for name, rows in chosen.galleries.items():
        if not rows.empty:
            of_class = chosen.records[chosen.records["label"] == name]
            figure = gallery(
                [pictures[image_id] for image_id in rows["image_id"]],
                rows,
                class_name=name,
                total=len(of_class),
                wrong=int((~of_class["correct"]).sum()),
                **style,
            )
            save_figure(figure, galleries / file_name(name), kinds=["png"])
