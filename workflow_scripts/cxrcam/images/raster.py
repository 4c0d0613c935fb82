"""Decode PNG, JPEG, TIFF and other raster files as 8-bit grey."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.images.grey_levels import stretch_to_8_bit
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size
from workflow_scripts.cxrcam.images.png import (
    PNG_SIGNATURE,
    check_png,
    check_rows,
    may_lack_rows,
)

#: Formats that are tried. Others that Pillow knows are left out on purpose: some start other
#: programs (EPS starts Ghostscript), and none of them carries radiographs.
RASTER_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "JPEG2000", "WEBP", "GIF", "PPM")

JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
#: The second pair is BigTIFF.
TIFF_SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
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

EXIF_ORIENTATION: Final = 0x0112
LYING_ORIENTATIONS: Final = (5, 6, 7, 8)  # upright, width and height change places

#: Where Pillow puts metadata that can hold an orientation. TIFF keeps it among its own tags.
ORIENTATION_KEYS: Final = frozenset(
    {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "Raw profile type APP1"}
)

#: 16-bit colour reaches us as its high byte. Below this maximum, content of 13 bits or less would
#: be left with fewer than 32 grey levels.
MINIMUM_HIGH_BYTE: Final = 32


def decode_raster(
    encoded: bytes, max_pixels: int, least_side: int | None = None
) -> tuple[UInt8Array, str, tuple[int, int]]:
    """Decode a raster file.

    Parameters
    ----------
    max_pixels : int
        Files that declare more than this many pixels are refused before they are decoded.
    least_side : int, optional
        A JPEG is decoded at 1/2, 1/4 or 1/8 as long as both sides keep this many pixels. Its
        coefficients hold the mean of each block, so that nothing is left out that shrinking would
        keep, and less is computed. Colour is then not decoded at all: luma is stored apart.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, C-contiguous, upright (EXIF orientation applied).
    mode : str
        Pillow's mode of the file: "L", "I;16", "RGB", "RGBA", "P", "1", "CMYK", ...
    size : (int, int)
        Width and height of the whole image, upright, in pixels.

    Raises
    ------
    UnreadableImage, or whatever else Pillow raises on damaged input.
    """
    # Another library in the process may have switched this on; a cut-off file would then come out
    # padded with grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        image: Image.Image = Image.open(io.BytesIO(encoded), formats=RASTER_FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImage(_unrecognised_reason(encoded)) from error
    with image:
        check_size(image.width, image.height, max_pixels)
        if getattr(image, "is_animated", False):
            raise UnreadableImage("The file holds several frames or pages; one image is expected.")
        if encoded.startswith(PNG_SIGNATURE):
            check_png(encoded)
        mode = image.mode
        # Read before load(), which forgets it.
        high_byte_only = mode in {"RGB", "RGBA", "LA"} and _is_16_bit(image)
        declared = image.size
        if least_side and image.format == "JPEG":
            image.draft("L" if mode == "RGB" else mode, (least_side, least_side))
        reduced = image.size != declared
        image.load()
        if encoded.startswith(PNG_SIGNATURE) and may_lack_rows(image):
            check_rows(encoded)
        pixels = _grey_pixels(_upright(image))
        if high_byte_only and int(pixels.max()) < MINIMUM_HIGH_BYTE:
            raise UnreadableImage(
                "The image is 16-bit colour that uses only its darkest values; "
                "store it as 16-bit grey to keep its grey levels."
            )
        # Transposing a TIFF happens on load, so that its size may differ from the header's.
        size = _upright_size(image, declared) if reduced else (pixels.shape[1], pixels.shape[0])
        return np.ascontiguousarray(pixels), mode, size


def _upright_size(image: Image.Image, declared: tuple[int, int]) -> tuple[int, int]:
    """Declared width and height, in the places that the EXIF orientation gives them."""
    lies = image.getexif().get(EXIF_ORIENTATION, 1) in LYING_ORIENTATIONS
    return declared[::-1] if lies else declared


def _unrecognised_reason(encoded: bytes) -> str:
    """Say why no format accepted the file: a damaged header, or no image at all."""
    names = {PNG_SIGNATURE: "PNG", JPEG_SIGNATURE: "JPEG"}
    names |= dict.fromkeys(TIFF_SIGNATURES, "TIFF")
    names |= dict.fromkeys(JPEG2000_SIGNATURES, "JPEG 2000")
    for signature, name in names.items():
        if encoded.startswith(signature):
            return f"The file starts as a {name} image, but its header is damaged or cut off."
    return "The file is not an image in a supported format."


def _is_16_bit(image: Image.Image) -> bool:
    """Tell whether the decoder is about to drop the low byte of 16-bit channels."""
    tiles = getattr(image, "tile", [])
    return any("16" in str(tile[3]) for tile in tiles)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, if there is one."""
    if ORIENTATION_KEYS.isdisjoint(image.info) and image.format != "TIFF":
        return image
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception as error:  # of many kinds, as for damaged pixels
        raise UnreadableImage(
            "The file's EXIF block is damaged, so that it is not known which side is up."
        ) from error
    return image if orientation == 1 else ImageOps.exif_transpose(image)


def _grey_pixels(image: Image.Image) -> UInt8Array:
    """Convert a decoded image of any mode to 8-bit grey."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return stretch_to_8_bit(np.asarray(image))
    if mode in {"LA", "PA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        return _composited_over_black(image)
    if mode in {"CMYK", "YCbCr"}:
        image = image.convert("RGB")
    return np.array(image if mode == "L" else image.convert("L"))


def _composited_over_black(image: Image.Image) -> UInt8Array:
    """Flatten an image with transparency."""
    image = image.convert("RGBA")
    grey = image.convert("L")
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return np.array(grey)
    return np.array(Image.composite(grey, Image.new("L", grey.size, 0), alpha))
