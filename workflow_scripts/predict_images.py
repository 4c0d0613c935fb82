"""Decode new images, and ask every network of the design about them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.data.cache import WriteImages, shard_writer
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.devices import set_up_device
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.new_images.decoding import Batch, decoded_batches
from workflow_scripts.cxrcam.new_images.ensemble import ask_networks, members_table
from workflow_scripts.cxrcam.new_images.listing import list_new_images, new_images_fingerprint
from workflow_scripts.cxrcam.spreadsheets import write_frame


def noted(batches: Iterable[Batch], write: WriteImages) -> Iterator[Batch]:
    """Write the pixels of each batch as it comes by: copies are looked for among them."""
    for batch in batches:
        readable = batch.facts.filter(batch.facts["quarantine_reason"].is_null())
        write(readable["image_id"].to_pylist(), batch.pixels)
        yield batch


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, made = snakemake.params, snakemake.output
    images = list_new_images(params.named)
    if new_images_fingerprint(images) != params.files:
        raise InputError(
            "Files of predict_images were added, removed or replaced after Snakemake had planned "
            "this run. Run it again when nothing changes them any more."
        )
    device = set_up_device(snakemake.config["compute"], snakemake.resources.get("gpu"))
    networks = [load_model(Path(file)) for file in snakemake.input.models]
    card = networks[0][1]
    batches = decoded_batches(
        *(images, card.image_size, params.resampling, params.max_pixels, snakemake.threads),
        *(params.accept, params.blank),
    )
    with shard_writer(Path(snakemake.output.pixels), card.image_size, {}) as write:
        facts, logits, maps = ask_networks(networks, noted(batches, write), device)
    readable = facts.filter(facts["quarantine_reason"].is_null())
    image_ids = readable["image_id"].to_pylist()
    with atomic_path(made.facts) as temporary:
        pq.write_table(facts, temporary)
    write_frame(made.members, members_table(params.runs, image_ids, logits, card.classes))
    raw = RawMaps(maps, card.input_size, card.backbone.stride, card.backbone.offset)
    write_raw_maps(Path(made.maps), pa.array(image_ids, pa.string()), card.classes, raw)
    n_bad = len(facts) - len(image_ids)
    log.info("Asked %d networks about %d images on %s.", len(networks), len(image_ids), device)
    if n_bad:
        log.warning(
            "%d of %d files could not be read as an image: quarantine.csv has the reasons.",
            *(n_bad, len(facts)),
        )
