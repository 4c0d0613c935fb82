"""What the jobs of index and cache do, beside nothing but decoding and resizing, on all cores."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from workflow_scripts.cxrcam.data.cache import shard_writer
from workflow_scripts.cxrcam.data.decoding import decoded_batches
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints

SIDE = 224
Files = list[tuple[str, Path]]


def cache_part(files: Files, shard: Path) -> None:
    """Do what the cache job of a shard does: pixels into the shard, facts beside it."""
    tables = []
    with shard_writer(shard, SIDE, {}) as write:
        for facts, names, pixels in decoded_batches(files, SIDE, "bilinear", 10**8, threads=1):
            write(names, pixels)
            tables.append(facts)
    pq.write_table(pa.concat_tables(tables), shard.with_suffix(".facts"))


def decode_part(files: Files, _: Path) -> None:
    """Nothing but decoding and resizing."""
    for _, path in files:
        with Image.open(path) as image:
            image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)


class Decoding:
    """A process a core, as Snakemake runs the jobs of shards side by side.

    Parameters
    ----------
    files : list of (image_id, path)
    folder : Path
        For the shards.
    cores : int
    pool : ProcessPoolExecutor
        Of as many processes.
    """

    def __init__(self, files: Files, folder: Path, cores: int, pool: ProcessPoolExecutor) -> None:
        self.pool, self.cores = pool, cores
        self.parts = [files[k::cores] for k in range(cores)]
        self.shards = [folder / f"shard-{k}.parquet" for k in range(cores)]
        few = [part[:2] for part in self.parts]
        list(pool.map(cache_part, few, self.shards))  # imports

    def bare(self) -> None:
        """Decode and resize, and keep nothing."""
        list(self.pool.map(decode_part, self.parts, self.shards))

    def cache(self) -> None:
        """Decode, check, fingerprint and cache."""
        list(self.pool.map(cache_part, self.parts, self.shards))

    def index(self) -> None:
        """Cache, and look for near-duplicates."""
        self.cache()
        facts = [shard.with_suffix(".facts") for shard in self.shards]
        find_duplicates(stored_fingerprints(facts), self.shards, self.cores)


@contextmanager
def decoding(files: Files, folder: Path, cores: int) -> Iterator[Decoding]:
    """Context in which the processes run."""
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        yield Decoding(files, folder, cores, pool)
