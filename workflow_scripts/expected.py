"""Set what the data set ought to hold beside what it holds."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.data.expected import compare_with_expected, say_what_differs
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.data.listing.reader_decisions import EXCLUDE, RELABEL
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_frame


def images_in_folder(settings: dict[str, object], name: str) -> int:
    """Images of a class folder that is not used; 0 where there is none."""
    try:
        without_decisions = {EXCLUDE: None, RELABEL: None}  # on images of other folders
        return len(list_images({**settings, **without_decisions, "classes": [name]}, Path()))
    except InputError:
        return 0


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    settings = snakemake.params.settings
    index = pd.read_parquet(snakemake.input[0], columns=["label", "width", "height"])
    left_out = {name: images_in_folder(settings, name) for name in settings["expected"]["left_out"]}
    comparison = compare_with_expected(index, left_out, settings["expected"])
    write_frame(snakemake.output[0], comparison)
    log.info(say_what_differs(comparison))
