"""Which decoders a data set needs, and what is said before a run where one is missing.

`make setup` installs them all. An environment made by hand may lack one, and without this each file
that needs it would be set aside as unreadable.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.class_folders import DICOM_SUFFIXES
from workflow_scripts.cxrcam.data.listing.image_files import suffix_of

TIFF_SUFFIXES: Final = frozenset({".tif", ".tiff"})
JPEG_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".jpe"})
DECODERS: Final = {
    "simplejpeg": JPEG_SUFFIXES,
    "tifffile": TIFF_SUFFIXES,
    "pydicom": DICOM_SUFFIXES | {""},
    "imagecodecs": TIFF_SUFFIXES | DICOM_SUFFIXES | {""},
}
"""Suffixes of the files that a package decodes; DICOM files often have none."""

COMPRESSED: Final = b"1.2.840.10008.1.2.4."
"""How the transfer syntaxes of all JPEG kinds begin, in a DICOM file's head."""
HEAD_BYTES: Final = 4096


def missing_decoders_in_words(name: str, paths: Iterable[str]) -> list[str]:
    """One sentence a missing package that files of data set `name` need; none where all are here.

    DICOM files are opened, for their first bytes, only where `imagecodecs` is missing: it is needed
    for those that are compressed.
    """
    missing = [package for package in DECODERS if find_spec(package) is None]
    files = [(suffix_of(path).lower(), path) for path in paths] if missing else []
    told = []
    for package in missing:
        needing = [
            path
            for suffix, path in files
            if suffix in DECODERS[package] and _needs(package, suffix, path)
        ]
        if needing:
            told.append(
                f"{len(needing):,} of the {len(files):,} images of data set {name} (such as "
                f"{needing[0]!r}) cannot be read: the Python package {package} is missing. "
                f"Install it (pip install {package})."
            )
    return told


def _needs(package: str, suffix: str, path: str) -> bool:
    return package != "imagecodecs" or suffix in TIFF_SUFFIXES or COMPRESSED in _head(path)


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""  # a file that cannot be opened is told of by the cache
