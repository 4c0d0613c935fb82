"""Read one image file, of whatever kind, as an 8-bit grey image, or say in one sentence why not.

Files are recognised by their content, never by their suffix. A file that is damaged, cut off or
larger than allowed raises `UnreadableImage`; nothing is ever padded or guessed, because a picture
that is half black still trains a classifier.

How values become 8-bit grey:

- 8-bit grey: as they are. Colour: ITU-R BT.601 luma, as Pillow rounds it; a grey pixel stored as
  RGB keeps exactly its grey.
- Transparency: ignored where all is opaque, else composited over black, the background of an X-ray.
- More than 8 bits: the image's own minimum..maximum becomes 0..255. Dividing by 256 instead would
  turn 12-bit content in a 16-bit container, which is common, almost black.
- DICOM: modality look-up table or rescale, then the first VOI table or window, else the image's
  minimum..maximum; MONOCHROME1 is inverted, so that bone is bright in every image.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Resampling = Literal["bilinear", "lanczos", "bicubic", "box"]

#: A side shorter than this is an icon or an accident, not a radiograph.
MINIMUM_SIDE: Final = 16

#: Formats that are tried. Others that Pillow knows are left out on purpose: some start other
#: programs (EPS starts Ghostscript), and none of them carries radiographs.
RASTER_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "JPEG2000", "WEBP", "GIF", "PPM")

#: No sane file needs more than this for one pixel (16-bit RGBA, uncompressed) plus its header.
MAXIMUM_BYTES_PER_PIXEL: Final = 8
MAXIMUM_HEADER_BYTES: Final = 64 * 2**20

DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom"})
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
RASTER_SIGNATURES: Final = (
    *(PNG_SIGNATURE, b"\xff\xd8\xff", b"II*\0", b"MM\0*"),
    *(b"BM", b"GIF8", b"RIFF", b"\0\0\0\x0cjP"),
)
DEFLATED_TRANSFER_SYNTAX: Final = "1.2.840.10008.1.2.1.99"
EXIF_ORIENTATION: Final = 0x0112

#: Where Pillow puts metadata that can hold an orientation. TIFF keeps it among its own tags.
ORIENTATION_KEYS: Final = frozenset(
    {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "Raw profile type APP1"}
)

#: 16-bit colour reaches us as its high byte. Below this maximum, content of 13 bits or less would
#: be left with fewer than 32 grey levels.
MINIMUM_HIGH_BYTE: Final = 32

RESAMPLING_FILTERS: Final[dict[str, Image.Resampling]] = {
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


class UnreadableImage(ValueError):
    """A file that cannot be used as an image.

    Attributes
    ----------
    reason : str
        One plain sentence for the quarantine table.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class GreyImage:
    """A decoded image.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, 0 (black) to 255 (white), C-contiguous, upright (EXIF orientation applied).
    width, height : int
        Size of `pixels`, in pixels.
    mode : str
        How the file stores its pixels: Pillow's mode ("L", "I;16", "RGB", "RGBA", "P", "1",
        "CMYK", ...) or "DICOM " and the photometric interpretation ("DICOM MONOCHROME2").
    """

    pixels: npt.NDArray[np.uint8]
    width: int
    height: int
    mode: str


def read_grey(path: Path, max_pixels: int, encoded: bytes | None = None) -> GreyImage:
    """Read an image file as 8-bit grey.

    Parameters
    ----------
    path : Path
        The file. Its suffix matters only for DICOM files that lack their preamble.
    max_pixels : int
        Files that declare more than this many pixels (width × height) are refused before they are
        decoded. Values above Pillow's own limit (about 179 million) have no effect.
    encoded : bytes, optional
        The file's content, if the caller has read it already (to hash it): `path` is not read.

    Returns
    -------
    GreyImage
        Full-size pixels; see the module's text for how values become 8-bit grey.

    Raises
    ------
    UnreadableImage
        The file is missing, empty, damaged, cut off, too large, too small (a side under 16
        pixels), animated, or of no supported format. No other exception leaves this function.
    """
    if encoded is None:
        encoded = _read_file(path, max_pixels)
    if not encoded:
        raise UnreadableImage("The file is empty (0 bytes).")
    try:
        if _is_dicom(encoded, path.suffix):
            pixels, mode = _decode_dicom(encoded, max_pixels)
        else:
            pixels, mode = _decode_raster(encoded, max_pixels)
    except UnreadableImage:
        raise
    except MemoryError:
        raise UnreadableImage("Decoding the image needs more memory than there is.") from None
    except Exception as error:
        # Decoders raise nearly everything on damaged input: struct.error, SyntaxError, KeyError,
        # zlib.error, RecursionError ... All of it means the same to the user.
        raise UnreadableImage(_plain_reason(error)) from error
    height, width = pixels.shape
    return GreyImage(pixels=pixels, width=width, height=height, mode=mode)


def resize_grey(
    pixels: npt.NDArray[np.uint8], size: int, resampling: Resampling = "bilinear"
) -> npt.NDArray[np.uint8]:
    """Stretch a grey image to a square, with antialiasing.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image.
    size : int
        Side of the square, in pixels; at least 1.
    resampling : {"bilinear", "lanczos", "bicubic", "box"}
        Pillow's filter. When shrinking, its support grows with the factor (antialiasing).

    Returns
    -------
    ndarray of uint8, shape (size, size)
        A new, writable array. The aspect ratio is not kept: the paper resizes and never crops.

    Raises
    ------
    ValueError
        Unknown filter, size below 1, or `pixels` is not a two-dimensional uint8 array.
    """
    if resampling not in RESAMPLING_FILTERS:
        known = ", ".join(RESAMPLING_FILTERS)
        raise ValueError(f"unknown resampling {resampling!r}: choose one of {known}")
    if size < 1:
        raise ValueError(f"size is {size}: it must be at least 1 pixel")
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(
            f"pixels are {pixels.dtype} of shape {pixels.shape}: expected uint8 (height, width)"
        )
    if pixels.shape == (size, size):
        return pixels.copy()
    return np.array(Image.fromarray(pixels).resize((size, size), RESAMPLING_FILTERS[resampling]))


def read_mask(path: Path, size: int | None, max_pixels: int) -> npt.NDArray[np.bool_]:
    """Read a lung mask: grey values above 127 are inside.

    Parameters
    ----------
    path : Path
        Mask file, of any format that `read_grey` reads.
    size : int or None
        Side of the square to stretch the mask to, in pixels. None keeps the file's own size.
    max_pixels : int
        As for `read_grey`.

    Returns
    -------
    ndarray of bool, shape (size, size) or (height, width)
        True inside. After resizing, a pixel is inside where at least half of its area was.

    Raises
    ------
    UnreadableImage
        As for `read_grey`; also where the mask is not black throughout but no value exceeds 127
        (labels stored as 0 and 1): read as it stands it would silently be an empty mask.
    """
    pixels = read_grey(path, max_pixels).pixels
    inside: npt.NDArray[np.bool_] = pixels > 127
    if not inside.any() and pixels.any():
        raise UnreadableImage(
            f"The mask's largest value is {pixels.max()}; inside must be brighter than 127."
        )
    if size is None:
        return inside
    area = resize_grey(inside.astype(np.uint8) * np.uint8(255), size, "box")
    resized: npt.NDArray[np.bool_] = area > 127
    return resized


# --- files ---------------------------------------------------------------------------------------


def _read_file(path: Path, max_pixels: int) -> bytes:
    """Read a regular file, unless it is too long to be an image of `max_pixels`."""
    try:
        status = path.stat()
        # A named pipe or a device would block or never end.
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableImage("The path is a folder, not a file.")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage("The path is not a regular file.")
        limit = MAXIMUM_BYTES_PER_PIXEL * max_pixels + MAXIMUM_HEADER_BYTES
        if status.st_size > limit:
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
    if encoded[128:132] == b"DICM":
        return True
    raster_signatures = (
        PNG_SIGNATURE,
        b"\xff\xd8\xff",
        b"II*\0",
        b"MM\0*",
        b"BM",
        b"GIF8",
        b"RIFF",
    )
    return suffix.lower() in DICOM_SUFFIXES and not encoded.startswith(raster_signatures)


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
    if "decompressed data too large" in text:
        return "A text or colour-profile block in the file expands beyond all reason."
    return "The image data are damaged and cannot be decoded."


def _check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse sizes outside the limits, from the header alone."""
    if width * height > max_pixels:
        raise UnreadableImage(
            f"The image declares {width} x {height} pixels, "
            f"more than the limit of {max_pixels} pixels."
        )
    if min(width, height) < MINIMUM_SIDE:
        raise UnreadableImage(
            f"The image is {width} x {height} pixels: a side is smaller than {MINIMUM_SIDE} pixels."
        )


# --- PNG, JPEG and other raster formats ----------------------------------------------------------


def _decode_raster(encoded: bytes, max_pixels: int) -> tuple[npt.NDArray[np.uint8], str]:
    """Decode a raster file to grey pixels and the mode that it is stored in."""
    # Another library in the process may have switched this on; a cut-off file would then come out
    # padded with grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        image: Image.Image = Image.open(io.BytesIO(encoded), formats=RASTER_FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImage(_unrecognised_reason(encoded)) from error
    with image:
        _check_size(image.width, image.height, max_pixels)
        if getattr(image, "is_animated", False):
            raise UnreadableImage("The file holds several frames or pages; one image is expected.")
        if encoded.startswith(PNG_SIGNATURE):
            _check_png_chunks(encoded)
        mode = image.mode
        # Read before load(), which forgets it.
        high_byte_only = mode in {"RGB", "RGBA", "LA"} and _is_16_bit(image)
        image.load()
        if mode == "L" and not image.info:
            return np.array(image), mode
        upright = _upright(image)
        pixels = _grey_pixels(upright)
        if high_byte_only and int(pixels.max()) < MINIMUM_HIGH_BYTE:
            raise UnreadableImage(
                "The image is 16-bit colour that uses only its darkest values; "
                "store it as 16-bit grey to keep its grey levels."
            )
        # Transposing a TIFF happens on load, so that its size may differ from the header's.
        return np.ascontiguousarray(pixels), mode


def _unrecognised_reason(encoded: bytes) -> str:
    """Say why no format accepted the file: a damaged header, or no image at all."""
    names = {PNG_SIGNATURE: "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    for signature, name in names.items():
        if encoded.startswith(signature):
            return f"The file starts as a {name} image, but its header is damaged or cut off."
    return "The file is not an image in a supported format."


def _check_png_chunks(encoded: bytes) -> None:
    """Check the checksums of a PNG's chunks and that its end is there.

    Pillow verifies neither for pixel data: a flipped bit in them, or a missing end, can pass
    unnoticed. Costs about 1 % of decoding.
    """
    view = memoryview(encoded)
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(encoded):
        (length,) = struct.unpack_from(">I", encoded, position)
        end = position + 12 + length
        if end > len(encoded):
            break
        kind = encoded[position + 4 : position + 8]
        (expected,) = struct.unpack_from(">I", encoded, end - 4)
        # Text and time stamps may be damaged without harm; capital first letter: critical chunk.
        if (kind[:1].isupper() or kind == b"tRNS") and (
            zlib.crc32(view[position + 4 : end - 4]) != expected
        ):
            raise UnreadableImage("The image data are damaged: a checksum does not match.")
        if kind == b"IEND":
            return
        position = end
    raise UnreadableImage("The file is cut off: its image data end too early.")


def _is_16_bit(image: Image.Image) -> bool:
    """Tell whether the decoder is about to drop the low byte of 16-bit channels."""
    tiles = getattr(image, "tile", [])
    return any("16" in str(tile[3]) for tile in tiles)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, if there is one."""
    if ORIENTATION_KEYS.isdisjoint(image.info) and image.format != "TIFF":
        return image
    if image.getexif().get(EXIF_ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _grey_pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Convert a decoded image of any mode to 8-bit grey."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _stretch_to_8_bit(np.asarray(image))
    if mode in {"LA", "PA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        return _composited_over_black(image)
    if mode in {"CMYK", "YCbCr"}:
        image = image.convert("RGB")
    return np.array(image if mode == "L" else image.convert("L"))


def _composited_over_black(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Flatten an image with transparency."""
    image = image.convert("RGBA")
    grey = image.convert("L")
    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return np.array(grey)
    return np.array(Image.composite(grey, Image.new("L", grey.size, 0), alpha))


def _stretch_to_8_bit(
    values: npt.NDArray[Any], padding: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.uint8]:
    """Map an image's own minimum..maximum to 0..255.

    Parameters
    ----------
    values : ndarray, shape (height, width) or (height, width, channels)
        Integers or floats.
    padding : ndarray of bool, same shape, optional
        Pixels that take no part in the minimum and maximum.

    Returns
    -------
    ndarray of uint8, same shape
        An image of one value throughout becomes black.
    """
    measured = values if padding is None or padding.all() else values[~padding]
    lowest, highest = float(measured.min()), float(measured.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise UnreadableImage("The image holds values that are not finite numbers.")
    return _scaled(values, lowest, highest)


def _scaled(values: npt.NDArray[Any], lowest: float, highest: float) -> npt.NDArray[np.uint8]:
    """Map lowest..highest to 0..255, rounded and clipped."""

    def to_grey(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        span = highest - lowest
        if span <= 0:
            return np.zeros(numbers.shape, np.uint8)
        fraction = (numbers.astype(np.float64) - lowest) / span
        return np.rint(np.clip(fraction, 0.0, 1.0) * 255.0).astype(np.uint8)

    if values.dtype == np.uint16:
        # A table of all 65,536 values is faster, and eight times smaller than a float image.
        table = to_grey(np.arange(65536))
        looked_up: npt.NDArray[np.uint8] = table[values]
        return looked_up
    return to_grey(values)


# --- DICOM ---------------------------------------------------------------------------------------


def _decode_dicom(encoded: bytes, max_pixels: int) -> tuple[npt.NDArray[np.uint8], str]:
    """Decode a single-frame DICOM image to grey pixels and its mode."""
    # Imported here: a data set of PNG files should not pay for it.
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    with warnings.catch_warnings():
        # Departures from the standard that do not stop decoding would flood the log.
        warnings.simplefilter("ignore")
        has_preamble = encoded[128:132] == b"DICM"
        if has_preamble:
            _check_deflated_size(encoded, max_pixels)
        try:
            dataset = dcmread(io.BytesIO(encoded), force=not has_preamble)
        except InvalidDicomError as error:
            raise UnreadableImage("The file is not a valid DICOM file.") from error
        _check_dicom(dataset, max_pixels)
        photometric = str(dataset.PhotometricInterpretation)
        pixels = _dicom_grey(dataset, photometric)
    return np.ascontiguousarray(pixels), f"DICOM {photometric}"


def _check_deflated_size(encoded: bytes, max_pixels: int) -> None:
    """Refuse a deflated DICOM file that expands beyond all reason, before it is expanded."""
    # The file's meta group names the transfer syntax; its length (0002,0000) stands first and says
    # where the deflated part starts.
    (group_length,) = struct.unpack_from("<I", encoded, 140)
    start = 144 + group_length
    if DEFLATED_TRANSFER_SYNTAX.encode() not in encoded[132:start]:
        return
    limit = MAXIMUM_BYTES_PER_PIXEL * max_pixels + MAXIMUM_HEADER_BYTES
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(encoded[start:], limit)
    if inflater.unconsumed_tail:
        raise UnreadableImage("The file's compressed content expands beyond all reason.")


def _check_dicom(dataset: Dataset, max_pixels: int) -> None:
    """Refuse DICOM files that hold no single image or that cannot be decoded here."""
    from pydicom.pixels import get_decoder

    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableImage("The DICOM file holds no pixel data.")
    for name, words in (
        ("Rows", "number of rows"),
        ("Columns", "number of columns"),
        ("PhotometricInterpretation", "photometric interpretation"),
    ):
        if dataset.get(name) in (None, ""):
            raise UnreadableImage(f"The DICOM file does not state its {words}.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnreadableImage(f"The DICOM file holds {frames} frames; one image is expected.")
    _check_size(int(dataset.Columns), int(dataset.Rows), max_pixels)
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        raise UnreadableImage("The DICOM file does not state its transfer syntax.")
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise UnreadableImage(
            f"The DICOM pixel data are compressed as {syntax.name}, "
            "for which no decoder is installed."
        )


def _dicom_grey(dataset: Dataset, photometric: str) -> npt.NDArray[np.uint8]:
    """Decode and render a DICOM image: modality table, VOI table or window, polarity."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    stored = pixel_array(dataset)
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3:
        colour = stored if stored.dtype == np.uint8 else _stretch_to_8_bit(stored)
        return np.array(Image.fromarray(colour).convert("L"))
    if photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImage(
            f"The DICOM photometric interpretation {photometric} is not supported."
        )
    values = apply_modality_lut(stored, dataset)
    render = _voi_transform(dataset, values)
    if render is not None:
        pixels = render(values)
    else:
        pixels = _stretch_to_8_bit(values, _dicom_padding(dataset, stored))
    return 255 - pixels if photometric == "MONOCHROME1" else pixels


def _dicom_padding(dataset: Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Find pixels outside the detector, whose artificial value would spoil the contrast."""
    padding = dataset.get("PixelPaddingValue")
    return None if padding is None else np.asarray(stored == int(padding))


def _voi_transform(
    dataset: Dataset, values: npt.NDArray[Any]
) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]] | None:
    """Choose the first VOI look-up table or window of a DICOM image, if there is one."""
    from pydicom.pixels import apply_voi

    tables = dataset.get("VOILUTSequence")
    if tables:
        highest = 2 ** int(tables[0].LUTDescriptor[2]) - 1
        return lambda numbers: _scaled(apply_voi(numbers, dataset, index=0), 0.0, highest)
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    return lambda numbers: _windowed(numbers, center, width, function)


def _first(value: Any) -> float | None:  # noqa: ANN401 - DICOM elements hold anything
    """First number of a DICOM element that may hold several, one or none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return float(value)
    return float(value[0]) if len(value) else None


def _windowed(
    values: npt.NDArray[Any], center: float, width: float, function: str
) -> npt.NDArray[np.uint8]:
    """Apply a window: DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3, with output 0..255."""
    narrowest = 1.0 if function == "LINEAR" else 0.0
    if width < narrowest or (function != "LINEAR" and width == 0):
        raise UnreadableImage(f"The DICOM window width {width:g} is not valid.")
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values.astype(np.float64) - center) / width, -700.0, 700.0)
        return _scaled(1.0 / (1.0 + np.exp(exponent)), 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return _scaled(values, center - width / 2, center + width / 2)
    if function != "LINEAR":
        raise UnreadableImage(f"The DICOM window function {function} is not supported.")
    lowest, highest = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    if width == 1:
        # The standard's limit case is a threshold.
        return np.where(values > lowest, np.uint8(255), np.uint8(0))
    return _scaled(values, lowest, highest)
