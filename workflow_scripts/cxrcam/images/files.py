"""Read one image file, of whatever kind, as an 8-bit grey image, or say in one sentence why not.

Files are recognised by their content, never by their suffix. A file that is damaged, cut off or
larger than allowed raises `UnreadableImage`; nothing is ever padded or guessed, because a picture
that is half black still trains a classifier.

How values become 8-bit grey:

- 8-bit grey: as they are; fewer bits are stretched to 0..255. Colour: ITU-R BT.601 luma, as Pillow
  rounds it; a grey pixel stored as RGB keeps exactly its grey.
- Transparency: ignored where all is opaque, else composited over black, the background of an X-ray.
- More than 8 bits, signed numbers and fractions: the image's own minimum..maximum becomes 0..255;
  transparent pixels do not count. Dividing by 256 instead would turn 12-bit content in a 16-bit
  container, which is common, almost black. Of 16-bit colour in PNG only the high byte is read.
- TIFF where white is zero is inverted, so that bone is bright in every image.
- DICOM: modality look-up table or rescale, then the first VOI table or window, where that shows the
  image, else the image's minimum..maximum, without its extreme 0.5 % where these take most of the
  range; padding is black; MONOCHROME1 is inverted, so that bone is bright in every image; turned
  upright by the patient orientation. What was mended is in `GreyImage.notes`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.images.dicom import (
    GZIP_SIGNATURE,
    decode_dicom,
    has_preamble,
    without_gzip,
)
from workflow_scripts.cxrcam.images.dicom_tags import Accept, DicomTags
from workflow_scripts.cxrcam.images.limits import UnreadableImage, maximum_bytes
from workflow_scripts.cxrcam.images.raster import RASTER_SIGNATURES, decode_raster

DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom"})


@dataclass(frozen=True)
class GreyImage:
    """A decoded image."""

    # Shape (height, width): 0 (black) to 255 (white), C-contiguous, upright (EXIF applied).
    pixels: UInt8Array
    # Of the image in the file, upright: those of `pixels`, unless a JPEG was decoded at a fraction.
    width: int
    height: int
    # Pillow's mode of the file ("L", "I;16", "RGB", "RGBA", "P", "1", "CMYK", ...), or "DICOM " and
    # the photometric interpretation ("DICOM MONOCHROME2").
    mode: str
    colourfulness: float  # as from `colour.colourfulness`, in [0, 1]
    # What was mended of a DICOM image, in short words, and what its file says of it.
    notes: list[str] = field(default_factory=list)
    tags: DicomTags = field(default_factory=DicomTags)


def read_grey(
    path: Path,
    max_pixels: int,
    encoded: bytes | None = None,
    least_side: int | None = None,
    accept: Accept = "any",
) -> GreyImage:
    """Read an image file as 8-bit grey.

    Parameters
    ----------
    path : Path
        The file. Its suffix matters only for DICOM files that lack their preamble. They may be
        compressed by gzip as a whole (`.dcm.gz`).
    max_pixels : int
        Files that declare more than this many pixels (width × height) are refused before they are
        decoded. Values above Pillow's own limit (about 179 million) have no effect, save on TIFF.
    encoded : bytes, optional
        The file's content, if the caller has read it already (to hash it): `path` is not read.
    least_side : int, optional
        Pixels a side that are enough: a large JPEG is then decoded at a half, a quarter or an
        eighth, several times as fast. By default at full size.
    accept : {"any", "frontal_chest"}
        The second refuses DICOM files that say of themselves that they show something else.

    Returns
    -------
    GreyImage
        See the module's text for how values become 8-bit grey.

    Raises
    ------
    UnreadableImage
        The file is missing, empty, damaged, cut off, too large, too small (a side under 16
        pixels), animated, or of no supported format. No other exception leaves this function.
    """
    if encoded is None:
        encoded = read_encoded(path, max_pixels)
    if not encoded:
        raise UnreadableImage("The file is empty (0 bytes).")
    try:
        if encoded.startswith(GZIP_SIGNATURE):
            encoded, path = without_gzip(encoded, max_pixels), path.with_suffix("")
        if _is_dicom(encoded, path.suffix):
            found = decode_dicom(encoded, max_pixels, accept)
            height, width = found.pixels.shape
            about = (found.mode, found.colourfulness, found.notes, found.tags)
            return GreyImage(found.pixels, width, height, *about)
        pixels, mode, (width, height), colour = decode_raster(encoded, max_pixels, least_side)
    except UnreadableImage:
        raise
    except MemoryError:
        raise UnreadableImage("Decoding the image needs more memory than there is.") from None
    except Exception as error:
        # Decoders raise nearly everything on damaged input: struct.error, SyntaxError, KeyError,
        # zlib.error, RecursionError ... All of it means the same to the user.
        raise UnreadableImage(_plain_reason(error)) from error
    return GreyImage(pixels, width, height, mode, colour)


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Where a file of the index is read once more: an error that names it, if it has gone.

    Raises
    ------
    InputError
        With the file, the reason and the way out.
    """
    try:
        yield
    except UnreadableImage as error:
        raise InputError(
            f"The image {str(path)!r} was indexed and cannot be read any more: {error} Put it "
            "back, or run the same command again, which indexes what is there."
        ) from error


def read_encoded(path: Path, max_pixels: int) -> bytes:
    """Read a regular file, unless it is too long to be an image of `max_pixels`.

    Raises
    ------
    UnreadableImage
        It is missing, no regular file, too long, or the disk does not give it.
    """
    try:
        status = path.stat()
        # A named pipe or a device would block or never end.
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableImage("The path is a folder, not a file.")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage("The path is not a regular file.")
        if status.st_size > maximum_bytes(max_pixels):
            raise UnreadableImage(
                f"The file has {status.st_size} bytes, more than an image of "
                f"{max_pixels} pixels can need."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise UnreadableImage("The file does not exist.") from None
    except PermissionError:
        raise UnreadableImage("There is no permission to read the file.") from None
    except MemoryError:
        raise UnreadableImage("Reading the file needs more memory than there is.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableImage):
            raise
        raise UnreadableImage("The file cannot be read from the disk.") from error


def _is_dicom(encoded: bytes, suffix: str) -> bool:
    """Tell DICOM by its preamble, or by its suffix where nothing else is recognised."""
    if has_preamble(encoded):
        return True
    return suffix.lower() in DICOM_SUFFIXES and not encoded.startswith(RASTER_SIGNATURES)


def _plain_reason(error: Exception) -> str:
    """Put a decoder's exception into one sentence that names no library."""
    text = str(error).lower()
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "The image declares more pixels than can be decoded safely."
    too_short = ("truncated", "unexpected end", "less than expected")
    if isinstance(error, EOFError) or any(words in text for words in too_short):
        return "The file is cut off: its image data end too early."
    if "does not support" in text:
        return "The image is compressed in a way that no installed decoder reads."
    if "unsupported" in text or "not supported" in text:
        return "The image is of a rare kind, which is not read: export it as PNG."
    if "decompressed data too large" in text:
        return "A text or colour-profile block in the file expands beyond all reason."
    return "The image data are damaged and cannot be decoded."
