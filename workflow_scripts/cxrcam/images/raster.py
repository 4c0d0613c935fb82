"""Decode PNG, JPEG, TIFF and other raster files as 8-bit grey."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.images.colour import colourfulness
from workflow_scripts.cxrcam.images.grey_levels import stretch_to_8_bit
from workflow_scripts.cxrcam.images.jpeg import JPEG_SIGNATURE, check_jpeg, decode_jpeg, refuse_kind
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size
from workflow_scripts.cxrcam.images.orientation import LYING, ORIENTATION, upright
from workflow_scripts.cxrcam.images.png import (
    DAMAGED_EXIF,
    PNG_SIGNATURE,
    check_palette,
    check_rows,
    checked_png,
    may_lack_rows,
    transparent_grey,
)
from workflow_scripts.cxrcam.images.tiff import SEVERAL, TIFF_SIGNATURES, decode_tiff

#: Formats that Pillow is asked for. It knows others, which are left out on purpose: some start
#: other programs (EPS starts Ghostscript), and none of them carries radiographs.
PILLOW_FORMATS: Final = ("PNG", "JPEG", "BMP", "JPEG2000", "WEBP", "GIF", "PPM")

#: The file format, and the bare codestream.
JPEG2000_SIGNATURES: Final = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")

#: First bytes of files that are no DICOM, whatever their suffix says.
RASTER_SIGNATURES: Final = (
    PNG_SIGNATURE,
    JPEG_SIGNATURE,
    *TIFF_SIGNATURES,
    *JPEG2000_SIGNATURES,
    b"BM",
    b"GIF8",
    b"RIFF",
    *(b"P%d" % number for number in range(1, 7)),  # PPM and its kin
)

#: Where Pillow puts metadata that can hold an orientation.
ORIENTATION_KEYS: Final = frozenset(
    {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "Raw profile type APP1"}
)

#: 16-bit colour reaches us as its high byte. Below this maximum, content of 13 bits or less would
#: be left with fewer than 32 grey levels.
MINIMUM_HIGH_BYTE: Final = 32


def decode_raster(
    encoded: bytes, max_pixels: int, least_side: int | None
) -> tuple[UInt8Array, str, tuple[int, int], float]:
    """Decode a raster file.

    Parameters
    ----------
    max_pixels : int
        Files that declare more than this many pixels are refused before they are decoded.
    least_side : int, optional
        A JPEG is decoded at 1/2, 1/4 or 1/8 as long as both sides keep this many pixels. Its
        coefficients hold the mean of each block, so that nothing is left out that shrinking would
        keep, and less is computed.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, C-contiguous, upright (EXIF orientation applied).
    mode : str
        Pillow's mode of the file: "L", "I;16", "RGB", "RGBA", "P", "1", "CMYK", ...
    size : (int, int)
        Width and height of the whole image, upright, in pixels.
    colour : float
        As from `colour.colourfulness`.

    Raises
    ------
    UnreadableImage, or whatever else Pillow and tifffile raise on damaged input.
    """
    if encoded.startswith(TIFF_SIGNATURES):
        pixels, mode, colour = decode_tiff(encoded, max_pixels)
        return pixels, mode, (pixels.shape[1], pixels.shape[0]), colour
    image, encoded = _opened(encoded)
    with image:
        check_size(image.width, image.height, max_pixels)
        if getattr(image, "is_animated", False):
            raise UnreadableImage(SEVERAL)
        mode, (width, height) = image.mode, image.size
        decoded = image
        if image.format == "PNG":
            pixels = _png_grey(image, encoded)
        else:
            if image.format == "JPEG":
                decoded = _decoded_jpeg(image, encoded, least_side)
            pixels = _grey_pixels(decoded)
        colour = colourfulness(decoded)
        orientation = _orientation(image)
    size = (height, width) if orientation in LYING else (width, height)
    return upright(pixels, orientation), mode, size, colour


def _opened(encoded: bytes) -> tuple[Image.Image, bytes]:
    """Open a file, and return the content that Pillow sees: of PNG without damaged extras."""
    # Another library in the process may have switched this on; a cut-off file would then come out
    # padded with grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    if encoded.startswith(PNG_SIGNATURE):
        encoded = checked_png(encoded)
    try:
        return Image.open(io.BytesIO(encoded), formats=PILLOW_FORMATS), encoded
    except UnidentifiedImageError as error:
        if encoded.startswith(JPEG_SIGNATURE):
            refuse_kind(encoded)
        raise UnreadableImage(_unrecognised_reason(encoded)) from error


def _unrecognised_reason(encoded: bytes) -> str:
    """Say why no format accepted the file: a damaged header, or no image at all."""
    names = {PNG_SIGNATURE: "PNG", JPEG_SIGNATURE: "JPEG"}
    names |= dict.fromkeys(JPEG2000_SIGNATURES, "JPEG 2000")
    for signature, name in names.items():
        if encoded.startswith(signature):
            return f"The file starts as a {name} image, but its header is damaged or cut off."
    return "The file is not an image in a supported format."


def _orientation(image: Image.Image) -> int:
    """Which side is up, as EXIF numbers it."""
    if ORIENTATION_KEYS.isdisjoint(image.info):
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception as error:  # of many kinds, as for damaged pixels
        raise UnreadableImage(DAMAGED_EXIF) from error
    return orientation if isinstance(orientation, int) else 1


def _decoded_jpeg(image: Image.Image, encoded: bytes, least_side: int | None) -> Image.Image:
    """Decode a JPEG, at a fraction where that is enough."""
    if image.mode not in {"L", "RGB"}:  # inks
        check_jpeg(encoded)
        return image
    most = min(image.size) // least_side if least_side else 1
    side = next((side for side in (8, 4, 2) if most >= side), 1)
    least = (-(-image.height // side), -(-image.width // side))
    pixels = decode_jpeg(encoded, "GRAY" if image.mode == "L" else "RGBX", least)
    mode, size = ("L" if image.mode == "L" else "RGBX"), (pixels.shape[1], pixels.shape[0])
    # Without a copy, unlike `fromarray`.
    return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)


def _png_grey(image: Image.Image, encoded: bytes) -> UInt8Array:
    """Decode a PNG, with what Pillow leaves out."""
    high_byte_only = image.mode in {"RGB", "RGBA", "LA"} and _is_16_bit(image)
    image.load()
    if may_lack_rows(image):
        check_rows(encoded)
    if image.mode == "P":
        check_palette(encoded, image)
    if "transparency" in image.info and image.mode in {"1", "L", "I;16"}:
        return _without_transparent(image, transparent_grey(encoded))
    if "transparency" in image.info and high_byte_only:
        raise UnreadableImage(
            "The PNG holds 16-bit colour with a transparent one, which is not read; "
            "store it as 16-bit grey."
        )
    pixels = _grey_pixels(image)
    if high_byte_only and int(pixels.max()) < MINIMUM_HIGH_BYTE:
        raise UnreadableImage(
            "The image is 16-bit colour that uses only its darkest values; "
            "store it as 16-bit grey to keep its grey levels."
        )
    return pixels


def _is_16_bit(image: Image.Image) -> bool:
    """Tell whether the decoder is about to drop the low byte of 16-bit channels."""
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", []))


def _without_transparent(image: Image.Image, level: int) -> UInt8Array:
    """Grey levels, those of one level black; with 16 bits it does not count for the contrast."""
    values = np.asarray(image if image.mode == "I;16" else image.convert("L"))
    clear = values == level
    pixels = stretch_to_8_bit(values, clear) if image.mode == "I;16" else values
    return np.where(clear, np.uint8(0), pixels)


def _grey_pixels(image: Image.Image) -> UInt8Array:
    """Convert an image of any mode to 8-bit grey."""
    image.load()
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return stretch_to_8_bit(np.asarray(image))
    if mode in {"LA", "PA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        return _composited_over_black(image)
    if mode in {"CMYK", "YCbCr"}:
        image = image.convert("RGB")
    return _luma(image)


def _luma(image: Image.Image) -> UInt8Array:
    return np.array(image if image.mode == "L" else image.convert("L"))


def _composited_over_black(image: Image.Image) -> UInt8Array:
    """Flatten an image with transparency."""
    of_bmp = image.format == "BMP"
    image = image.convert("RGBA")
    grey = image.convert("L")
    alpha = image.getchannel("A")
    # Many programs that write BMP leave the byte for the opacity at 0 and mean nothing by it.
    if alpha.getextrema() == (255, 255) or (of_bmp and alpha.getextrema() == (0, 0)):
        return np.array(grey)
    return np.array(Image.composite(grey, Image.new("L", grey.size, 0), alpha))
