"""Look at the images themselves: which ones do not look like the X-rays beside them."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.suspect_images import (
    grey_traits,
    likeness_to_others,
    suspect_images,
)
from workflow_scripts.cxrcam.data.cache import cached_size, read_pixels
from workflow_scripts.cxrcam.data.cached_pixels import cached_pixels
from workflow_scripts.cxrcam.data.pixel_stream import stream_features
from workflow_scripts.cxrcam.duplicates.stored import stored_thumbnails
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.report.audit_pages.suspects import drawn_images, render_suspects
from workflow_scripts.cxrcam.spreadsheets import write_csv

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made = snakemake.input, snakemake.output
    images = pd.read_parquet(given.images)
    names, shards = images["image_id"].tolist(), [Path(file) for file in given.shards]
    size = cached_size(shards)
    everything = np.ones(len(images), dtype=bool)
    traits = stream_features(cached_pixels(shards, names, size), everything, {"grey": grey_traits})
    thumbnails = stored_thumbnails(given.facts, names)
    found = likeness_to_others(thumbnails, images["group"].tolist())
    suspects = suspect_images(images, traits["grey"], *found)
    write_csv(made.table, suspects)
    pictures = read_pixels(shards, drawn_images(suspects), size)
    about = {"dataset": snakemake.wildcards.dataset, "is_drawn": snakemake.params.is_drawn}
    page = render_suspects(suspects, pictures, images, **about)
    write_text(made.page, page)
    log.info("%d of %d images stand out.", suspects["image_id"].nunique(), len(images))
