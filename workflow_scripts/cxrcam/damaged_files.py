"""Which of a job's input files cannot be read: looked for only once a job has failed."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from workflow_scripts.cxrcam.errors import InputError


def _read_parquet(file: Path) -> None:
    import pyarrow.parquet as pq  # heavy, and needed after a failure only

    for _ in pq.ParquetFile(file).iter_batches():
        pass


def _read_json(file: Path) -> None:
    json.loads(file.read_text(encoding="utf-8"))


def _read_csv(file: Path) -> None:
    import pandas as pd

    pd.read_csv(file)


def _read_safetensors(file: Path) -> None:
    from safetensors import safe_open

    with safe_open(file, "numpy") as tensors:
        for name in tensors.keys():
            tensors.get_slice(name)


READERS: dict[str, Callable[[Path], None]] = {
    ".parquet": _read_parquet,
    ".json": _read_json,
    ".csv": _read_csv,
    ".safetensors": _read_safetensors,
}


def damaged_file(files: Iterable[str | Path]) -> InputError | None:
    """First of some results that cannot be read, as an error that says what to do.

    Parameters
    ----------
    files : iterable of path
        A job's inputs. Those that are no results of the workflow are left out: what is wrong with a
        user's own file is said by the job that reads it.
    """
    for file in map(Path, files):
        read = READERS.get(file.suffix)
        if read is None or "results" not in file.parts:
            continue
        try:
            read(file)
        except MemoryError:
            raise
        except Exception as error:  # each library raises its own kinds
            reason = (str(error) or type(error).__name__).splitlines()[0]
            return InputError(
                f"The file {str(file)!r} is damaged ({reason}): delete it and run the same command "
                "again; it is then made anew."
            )
    return None
