"""Draw the class activation maps of one run over the X-rays."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from workflow_scripts.cxrcam.figures.style import save_figure
from workflow_scripts.cxrcam.files import file_name
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.masks import read_mask
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.gallery import choose_images, gallery
from workflow_scripts.cxrcam.maps.overlays import captioned_overlay, save_png
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map, place_map
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps
from workflow_scripts.cxrcam.networks.input_parts import covered_pixels

PICTURE_SIDE = 299  # pixels; the size of the database's own images


def mask_of(path: object, max_pixels: int) -> npt.NDArray[np.bool_] | None:
    """Mask in picture size, where the index names one."""
    return read_mask(Path(path), PICTURE_SIDE, max_pixels) if isinstance(path, str) else None


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    classes, settings = list(snakemake.params.classes), snakemake.params.settings
    max_pixels = snakemake.params.max_pixels
    index = pd.read_parquet(snakemake.input.images).set_index("image_id")
    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == "test"].reset_index(drop=True)
    probabilities = test[[f"probability_{name}" for name in classes]].to_numpy(dtype=float)
    records = test[["image_id", "label"]].assign(
        predicted=[classes[k] for k in probabilities.argmax(axis=1)],
        probability=probabilities.max(axis=1),
    )
    records["correct"] = records["predicted"] == records["label"]

    # Each picture shows the map of the class that the model named; one colour scale for the whole
    # run, so that faint and strong evidence look faint and strong.
    raw = read_raw_maps(Path(snakemake.input.maps), records["image_id"].tolist(), classes)
    shown = raw.values[np.arange(len(records)), probabilities.argmax(axis=1)]
    scale = heat_scale(shown)
    row_of = {image_id: row for row, image_id in enumerate(records["image_id"])}

    def picture(image_id: str) -> dict[str, npt.NDArray[np.generic] | None]:
        """X-ray, heat and masks of an image, all in picture size."""
        entry = index.loc[image_id]
        lung_mask = mask_of(entry["mask_path"], max_pixels)
        grey = resize_grey(read_grey(Path(entry["path"]), max_pixels).pixels, PICTURE_SIDE)
        lungs = None if lung_mask is None else lung_mask[None]
        placed = place_map(
            shown[row_of[image_id]],
            PICTURE_SIDE,
            input_size=raw.input_size,
            stride=raw.stride,
            offset=raw.offset,
        )
        return {
            # As the network saw it, which may be the image's border only.
            "grey": covered_pixels(grey[None], snakemake.params.input_part, lungs)[0],
            "heat": normalise_map(placed, scale),
            "lung_mask": lung_mask,
            "lesion_mask": mask_of(entry["lesion_mask_path"], max_pixels),
        }

    by_class = {name: records[records["label"] == name] for name in classes}
    of_class = {
        name: choose_images(rows, settings["gallery_images"]) for name, rows in by_class.items()
    }
    each, rest = divmod(settings["overlays"], len(classes))
    chosen = pd.concat(
        [choose_images(rows, each + (k < rest)) for k, rows in enumerate(by_class.values())]
    ).sort_values(["correct", "probability", "image_id"], ascending=[True, False, True])
    wanted = dict.fromkeys([*chosen["image_id"], *pd.concat(of_class.values())["image_id"]])
    pictures = {image_id: picture(image_id) for image_id in wanted}

    overlays = Path(snakemake.output.overlays)
    overlays.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(chosen.itertuples(), start=1):
        # Numbered in the order of interest; a name from the data may hold anything.
        name = file_name(str(row.image_id).replace("/", "_"))
        outcome = "correct" if row.correct else "mistake"
        save_png(
            captioned_overlay(
                **pictures[row.image_id],
                image_id=row.image_id,
                label=row.label,
                predicted=row.predicted,
                probability=row.probability,
                scale_max=scale,
                opacity=settings["opacity"],
            ),
            overlays / f"{number:03d}-{outcome}-{name}.png",
        )

    galleries = Path(snakemake.output.galleries)
    galleries.mkdir(parents=True, exist_ok=True)
    for name, rows in of_class.items():
        if rows.empty:
            log.warning("No test image of class %s: no gallery.", name)
            continue
        parts = [pictures[image_id] for image_id in rows["image_id"]]
        figure = gallery(
            np.stack([p["grey"] for p in parts]),
            np.stack([p["heat"] for p in parts]),
            rows,
            class_name=name,
            scale_max=scale,
            columns=4,
            most=len(rows),
            total=len(by_class[name]),
            wrong=int((~by_class[name]["correct"]).sum()),
            opacity=settings["opacity"],
            lung_masks=[p["lung_mask"] for p in parts],
            lesion_masks=[p["lesion_mask"] for p in parts],
        )
        save_figure(figure, galleries / file_name(name), kinds=["png"])
    log.info("Drew %d overlays; %d mistakes in all.", len(chosen), (~records["correct"]).sum())
