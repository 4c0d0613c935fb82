"""Decode TIFF files as 8-bit grey, whatever numbers they hold.

tifffile reads the directory, libtiff (in imagecodecs) decodes the numbers as they are stored; what
they mean (white is zero, palette, transparency, which side is up) is put into grey levels here.
tifffile's own decoding is not used: on damaged LZW data it ends in a segmentation fault.
"""

from __future__ import annotations

import io
import logging
import math
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array
from workflow_scripts.cxrcam.images.colour import colourfulness
from workflow_scripts.cxrcam.images.grey_levels import scale_to_8_bit, stretch_to_8_bit
from workflow_scripts.cxrcam.images.jpeg import check_jpeg
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size
from workflow_scripts.cxrcam.images.orientation import ORIENTATION, upright

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

#: The second pair is BigTIFF.
TIFF_SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# PhotometricInterpretation
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
GREY: Final = (WHITE_IS_ZERO, BLACK_IS_ZERO)
CHANNELS: Final = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, SEPARATED: 4, YCBCR: 3}
COLOURS: Final = {4: "a mask", 8: "CIELAB colours", 9: "CIELAB colours", 32803: "raw camera data"}

JPEG: Final = 7
#: None, three of fax machines, LZW, JPEG, deflate (two numbers), PackBits, LZMA, Zstandard.
COMPRESSIONS: Final = frozenset({1, 2, 3, 4, 5, JPEG, 8, 32946, 32773, 34925, 50000})
#: A pixel: red, green, blue and opacity of 32 bits each.
MOST_BITS: Final = 128
#: Colours that libtiff converts to RGB. It mirrors them on the way, as their orientation says, and
#: leaves it to us to turn them: the orientation that is then left.
CONVERTED: Final = (SEPARATED, YCBCR)
LEFT_TO_TURN: Final = {5: 5, 6: 7, 7: 5, 8: 7}

MULTIPLIED_ALPHA, ALPHA = 1, 2  # ExtraSamples

SEVERAL: Final = "The file holds several frames or pages; one image is expected."
INCOMPLETE: Final = "The file is cut off: its image data end too early."
Values = npt.NDArray[Any]


def decode_tiff(encoded: bytes, max_pixels: int) -> tuple[UInt8Array, str, float]:
    """Decode a TIFF file.

    Parameters
    ----------
    encoded : bytes
        The file.
    max_pixels : int
        Files that declare more than this many pixels are refused before they are decoded.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, upright.
    mode : str
        What Pillow calls such a file: "1", "L", "I;16", "I", "F", "LA", "RGB", "RGBA", "P", "CMYK".
    colour : float
        As from `colour.colourfulness`.

    Raises
    ------
    UnreadableImage, or whatever else tifffile and libtiff raise on damaged input.
    """
    page, values = _stored(encoded, max_pixels)
    alpha = _opacity(page, values)
    clear = None if alpha is None else alpha == 0
    colour = 0.0
    if page.photometric in GREY:
        pixels = _grey_levels(page, values[..., 0], clear)
    else:
        image = Image.fromarray(_rgb(page, values, clear))
        pixels, colour = np.array(image.convert("L")), colourfulness(image)
    if alpha is not None:
        pixels = _over_black(pixels, alpha, MULTIPLIED_ALPHA in page.extrasamples)
    return upright(pixels, _orientation(page)), _mode(page), colour


def _orientation(page: TiffPage) -> object:
    """Which side of the decoded image is up, as EXIF numbers it."""
    orientation = page.tags.valueof(ORIENTATION, 1)
    return LEFT_TO_TURN.get(orientation, 1) if page.photometric in CONVERTED else orientation


def _stored(encoded: bytes, max_pixels: int) -> tuple[TiffPage, Values]:
    """Read the values of the only page as they are stored: shape (height, width, channels)."""
    # Imported here: a data set of PNG files should not pay for it.
    from imagecodecs import tiff_decode
    from tifffile import TiffFile, TiffFileError

    # Departures from the standard that do not stop decoding would flood the log.
    logging.getLogger("tifffile").disabled = True
    try:
        file = TiffFile(io.BytesIO(encoded))
        page = file.pages.first
    except (TiffFileError, struct.error, LookupError, TypeError, ValueError) as error:
        raise UnreadableImage(
            "The file starts as a TIFF image, but its header is damaged or cut off."
        ) from error
    with file:
        check_size(page.imagewidth, page.imagelength, max_pixels)
        if _holds_several(file, page):
            raise UnreadableImage(SEVERAL)
        _check_kind(page)
        _check_whole(page, encoded, max_pixels)
        stored = tiff_decode(encoded)
    if stored.ndim == 2:
        return page, stored[..., None]
    in_pixels = stored.shape[:2] == (page.imagelength, page.imagewidth)
    # Channels may be stored one after the other.
    return page, stored if in_pixels else np.moveaxis(stored, 0, -1)


def _holds_several(file: TiffFile, page: TiffPage) -> bool:
    if file.pages.is_multipage or page.imagedepth > 1:
        return True
    # ImageJ writes stacks as one page whose images follow one another.
    return page.is_imagej and int((file.imagej_metadata or {}).get("images", 1)) > 1


def _check_kind(page: TiffPage) -> None:
    """Refuse what cannot be decoded or has no grey values here, by what it is."""
    photometric = page.photometric
    if photometric not in CHANNELS:
        held = COLOURS.get(int(photometric), "colours of a rare kind")
        raise UnreadableImage(f"The TIFF holds {held}, which is not read: export it as PNG.")
    bits = page.bitspersample
    if page.compression not in COMPRESSIONS or (page.compression == JPEG and bits != 8):
        name = getattr(page.compression, "name", f"number {page.compression}")
        raise UnreadableImage(
            f"The TIFF is compressed in a way for which no decoder is installed ({name}): "
            "save it without compression, or as PNG."
        )
    if page.dtype is None or page.dtype.kind not in "buif" or not isinstance(bits, int):
        raise UnreadableImage(
            "The TIFF stores its values as numbers of a rare kind, which are not read: "
            "save it with 8 or 16 bits a pixel."
        )
    if page.samplesperpixel * bits > MOST_BITS:
        raise UnreadableImage(
            f"The TIFF holds {page.samplesperpixel} channels of {bits} bits, more than an image "
            "needs: export it as PNG or as grey."
        )
    if page.samplesperpixel < CHANNELS[photometric] or (
        (photometric in {SEPARATED, PALETTE} and bits > 8)
        or (photometric in {SEPARATED, YCBCR} and bits != 8)
        or (photometric == SEPARATED and page.samplesperpixel != 4)
    ):
        raise UnreadableImage("The TIFF holds colours of a rare kind: export it as PNG or as grey.")


def _check_whole(page: TiffPage, encoded: bytes, max_pixels: int) -> None:
    """Check that all strips or tiles are in the file; decoders may leave missing ones black."""
    offsets, counts = page.dataoffsets, page.databytecounts
    # Also an upper bound of what one tile can take in memory.
    if page.is_tiled and page.tilewidth * page.tilelength > max(max_pixels, 2**20):
        raise UnreadableImage("The image data are damaged: a tile is larger than any image.")
    if not len(offsets) == len(counts) == math.prod(page.chunked) or 0 in counts or 0 in offsets:
        raise UnreadableImage("The image data are damaged: a part of the image is missing.")
    ends = [offset + count for offset, count in zip(offsets, counts, strict=True)]
    if max(ends) > len(encoded):
        raise UnreadableImage(INCOMPLETE)
    if page.compression == JPEG:
        # The tables of all parts stand in a JPEG of their own, without its end.
        tables = (page.jpegtables or b"")[:-2]
        for start, end in zip(offsets, ends, strict=True):
            part = encoded[start:end]
            check_jpeg(tables + part[2:] if tables else part)


def _alpha_channel(page: TiffPage) -> int | None:
    """Which channel holds the opacity; extra channels can hold anything else."""
    extras = list(page.extrasamples or ())
    for kind in (MULTIPLIED_ALPHA, ALPHA):
        if kind in extras:
            return CHANNELS[page.photometric] + extras.index(kind)
    return None


def _opacity(page: TiffPage, values: Values) -> Values | None:
    """Opacity in [0, 1], shape (height, width); None where the file has none or all is opaque."""
    channel = _alpha_channel(page)
    if channel is None or channel >= values.shape[2]:
        return None
    alpha = values[..., channel]
    whole = 1.0 if alpha.dtype.kind == "f" else float(2**page.bitspersample - 1)
    opacity = np.clip(alpha / whole, 0.0, 1.0)
    return None if opacity.min() == 1.0 else opacity


def _over_black(pixels: UInt8Array, opacity: Values, multiplied: bool) -> UInt8Array:
    shown = np.where(opacity > 0, pixels, 0) if multiplied else np.rint(pixels * opacity)
    return np.asarray(shown, dtype=np.uint8)


def _grey_levels(page: TiffPage, values: Values, clear: BoolArray | None) -> UInt8Array:
    """Grey levels, bright where the file says so; `clear` pixels do not count for the contrast."""
    bits = page.bitspersample
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.kind == "u" and bits <= 8:
        pixels = values if bits == 8 else scale_to_8_bit(values, 0.0, float(2**bits - 1))
    else:
        pixels = stretch_to_8_bit(values, clear)
    return 255 - pixels if page.photometric == WHITE_IS_ZERO else pixels


def _rgb(page: TiffPage, values: Values, clear: BoolArray | None) -> UInt8Array:
    """Red, green and blue: shape (height, width, 3)."""
    if page.photometric == PALETTE:
        if page.colormap is None or int(values.max()) >= page.colormap.shape[1]:
            raise UnreadableImage("The image data are damaged: a colour is not in the palette.")
        palette = page.colormap.T
        # Of 16 bits a colour by the standard; old programs wrote 8.
        eight_bits: UInt8Array = (palette >> (8 if palette.max() > 255 else 0)).astype(np.uint8)
        return eight_bits[values[..., 0]]
    colours = np.ascontiguousarray(values[..., :3])
    if colours.dtype.kind == "u" and page.bitspersample == 8:
        return colours
    if colours.dtype.kind in "bu" and page.bitspersample < 8:
        return scale_to_8_bit(colours.astype(np.uint8), 0.0, float(2**page.bitspersample - 1))
    return stretch_to_8_bit(colours, None if clear is None else np.repeat(clear[..., None], 3, 2))


def _mode(page: TiffPage) -> str:
    """Name the kind of file as Pillow does."""
    transparent = _alpha_channel(page) is not None
    if page.photometric == PALETTE:
        return "P"
    if page.photometric == SEPARATED:
        return "CMYK"
    if page.photometric not in GREY:
        return "RGBA" if transparent else "RGB"
    if transparent:
        return "LA"
    if page.dtype is not None and page.dtype.kind == "f":
        return "F"
    if page.sampleformat == 1 and page.bitspersample <= 16:
        return "1" if page.bitspersample == 1 else "L" if page.bitspersample <= 8 else "I;16"
    return "I"
