"""Outputs appear whole or not at all."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Of a file's own name; file systems take 255 bytes, of which a temporary name needs some.
LONGEST_NAME = 120


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it becomes `path`, on failure it vanishes.

    The file is flushed to disk before it is renamed, so that after a power cut there is either the
    old file or the complete new one under the final name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        # Some writers take files of their own that only their owner may read: what a plain new file
        # gets here is what the user's umask asks for.
        temporary.touch()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        temporary.unlink()
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed flush names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """Name of a file for a text from the data: no folder, nothing that a shell reads, not too long.

    It has at most `LONGEST_NAME` characters; letters outside ASCII take nine each. Different texts
    have different names; those that had to be cut end in a part of their hash.
    """
    name = quote(text, safe=" ()+,=@")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8, line feeds) whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_json(path: str | Path) -> dict[str, Any]:
    """Content of a JSON file that holds an object."""
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content


def write_json(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; NaN and infinity, which JSON does not know, are refused."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
