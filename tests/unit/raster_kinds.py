"""Raster files of every kind that users have, written byte by byte, and what must come of them."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.unit.pictures import encoded, picture, png_chunk

PNG = b"\x89PNG\r\n\x1a\n"
PNG_END = png_chunk(b"IEND", b"")
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CIELAB = 0, 1, 2, 3, 8
DEFLATE = 8
CLEAR = 0  # what transparent pixels become


@dataclass(frozen=True)
class Kind:
    """A file, and its grey levels or words of its refusal.

    Attributes
    ----------
    content : bytes
    wanted : ndarray of uint8, or str
    near : float
        Mean difference that is allowed: JPEG loses some.
    """

    content: bytes
    wanted: np.ndarray | str
    near: float = 0.0


def stretched(values: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Minimum to maximum (of the pixels that are counted) as 0 to 255."""
    numbers = values.astype(float)
    used = numbers if counted is None else numbers[counted]
    grey = np.rint((numbers - used.min()) * 255 / (used.max() - used.min()))
    return grey.clip(0, 255).astype("u1")


def rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype("u1")


# --- TIFF -----------------------------------------------------------------------------------------


def packed(plane: np.ndarray, bits: int, order: str) -> bytes:
    """Rows of a plane as TIFF stores them: whole numbers, or bits without gaps."""
    if bits in {8, 16, 32, 64, 128}:
        return plane.astype(plane.dtype.newbyteorder(order)).tobytes()
    whole = np.ascontiguousarray(plane.astype(">u2")).view("u1")
    single = np.unpackbits(whole.reshape(*plane.shape, 2), axis=-1)[..., 16 - bits :]
    return np.packbits(single.reshape(len(plane), -1), axis=1).tobytes()


def tiff_file(
    values: np.ndarray,
    photometric: int = BLACK_IS_ZERO,
    *,
    bits: int | None = None,
    order: str = "<",
    compression: int = 1,
    planar: bool = False,
    extras: Sequence[int] = (),
    big: bool = False,
    tags: dict[int, Sequence[int]] | None = None,
    strip: bytes | None = None,
) -> bytes:
    """A TIFF of one page: one strip (maybe another), or one a channel if `planar`."""
    height, width, *_ = values.shape
    layers = values.reshape(height, width, -1)
    channels = layers.shape[2]
    bits = bits or 8 * values.dtype.itemsize
    planes = [layers[..., k] for k in range(channels)] if planar else [layers]
    strips = [packed(np.ascontiguousarray(plane), bits, order) for plane in planes]
    if compression == DEFLATE:
        strips = [zlib.compress(strip) for strip in strips]
    strips = strips if strip is None else [strip]
    start = 16 if big else 8
    starts = [start + sum(map(len, strips[:k])) for k in range(len(strips))]
    entries: dict[int, Sequence[int]] = {
        **{256: [width], 257: [height], 258: [bits] * channels, 259: [compression]},
        **{262: [photometric], 273: starts, 277: [channels], 278: [height]},
        **{279: list(map(len, strips)), 284: [2 if planar else 1]},
        339: [{"u": 1, "b": 1, "i": 2, "f": 3, "c": 6}[values.dtype.kind]] * channels,
        **({338: extras} if extras else {}),
        **(tags or {}),
    }
    body = b"".join(strips)
    body += bytes(len(body) % 2)
    return tiff_header(order, big, start + len(body)) + tiff_directory(body, entries, order, big)


def tiff_header(order: str, big: bool, directory: int) -> bytes:
    first = b"II" if order == "<" else b"MM"
    if big:
        return first + struct.pack(order + "HHHQ", 43, 8, 0, directory)
    return first + struct.pack(order + "HI", 42, directory)


def tiff_directory(body: bytes, entries: dict[int, Sequence[int]], order: str, big: bool) -> bytes:
    """The content, then the directory, then what does not fit into its entries."""
    number, place, room = ("Q", "Q", 8) if big else ("H", "I", 4)
    length = struct.calcsize("<" + number) + len(entries) * (4 + 2 * room) + room
    start = (16 if big else 8) + len(body)
    directory, outside = struct.pack(order + number, len(entries)), b""
    for tag, values in sorted(entries.items()):
        long = tag in {273, 279} or max(values) > 0xFFFF
        content = struct.pack(f"{order}{len(values)}{'I' if long else 'H'}", *values)
        directory += struct.pack(order + "HH" + place, tag, 4 if long else 3, len(values))
        if len(content) > room:
            directory += struct.pack(order + place, start + length + len(outside))
            outside += content
        else:
            directory += content.ljust(room, b"\0")
    return body + directory + struct.pack(order + place, 0) + outside


def tiff_numbers() -> dict[str, Kind]:
    """Grey of every kind of number."""
    grey = picture()
    deep = grey.astype("u2") * 16 + 3
    signed = grey.astype("i2") - 128
    fraction = grey.astype("f4") / 7 - 3
    kinds = {
        "8 bits": Kind(tiff_file(grey), grey),
        "8 bits, white is zero": Kind(tiff_file(255 - grey, WHITE_IS_ZERO), grey),
        "16 bits": Kind(tiff_file(deep), stretched(deep)),
        "BigTIFF": Kind(tiff_file(deep, big=True), stretched(deep)),
        "BigTIFF, big-endian": Kind(tiff_file(deep, big=True, order=">"), stretched(deep)),
        "int8": Kind(tiff_file(signed.astype("i1")), stretched(signed)),
        "int16": Kind(tiff_file(signed), stretched(signed)),
        "uint32": Kind(tiff_file(deep.astype("u4") + 2**31), stretched(deep)),
        "int32": Kind(tiff_file(signed.astype("i4")), stretched(signed)),
        "float32": Kind(tiff_file(fraction), stretched(fraction)),
        "float64": Kind(tiff_file(fraction.astype("f8")), stretched(fraction)),
        "float16": Kind(tiff_file(grey.astype("f2")), stretched(grey)),
    }
    for name, values in {"16 bits": deep, "float32": fraction, "int16": signed}.items():
        kinds[f"{name}, white is zero"] = Kind(
            tiff_file(values, WHITE_IS_ZERO), 255 - stretched(values)
        )
    for name, values in {
        **{"16 bits": deep, "int16": signed, "int32": signed.astype("i4")},
        **{"uint32": deep.astype("u4"), "float32": fraction},
    }.items():
        for order in "<>":
            kinds[f"{name}, {order}, deflate"] = Kind(
                tiff_file(values, order=order, compression=DEFLATE), stretched(values)
            )
    for bits in (1, 2, 4):
        few = grey >> (8 - bits)
        whole = rounded(few * (255 / (2**bits - 1)))
        kinds[f"{bits} bits"] = Kind(tiff_file(few, bits=bits), whole)
        kinds[f"{bits} bits, white is zero"] = Kind(
            tiff_file(few, WHITE_IS_ZERO, bits=bits), 255 - whole
        )
    for bits in (10, 12, 14):
        more = grey.astype("u2") << (bits - 8)
        kinds[f"{bits} bits"] = Kind(tiff_file(more, bits=bits), stretched(more))
        kinds[f"{bits} bits, big-endian"] = Kind(
            tiff_file(more, bits=bits, order=">"), stretched(more)
        )
    return kinds


def tiff_colours() -> dict[str, Kind]:
    """Colour, palettes, transparency and other channels."""
    grey = picture()
    deep = grey.astype("u2") * 16 + 3
    rgb, deep_rgb = np.dstack([grey] * 3), np.dstack([deep] * 3)
    opacity = np.full_like(grey, 255)
    opacity[:, :30] = 0
    opacity[0] = 128
    shown = rounded(grey * (opacity / 255))
    kept = opacity > 0
    deep_shown = rounded(stretched(deep, kept) * (opacity / 255))
    deep_opacity = opacity * np.uint16(257)
    multiplied = np.dstack([shown, opacity])
    levels = (np.arange(256) * 257)[::-1]
    return {
        "RGB": Kind(tiff_file(rgb, RGB), grey),
        "planar RGB": Kind(tiff_file(rgb, RGB, planar=True), grey),
        "planar RGB, deflate": Kind(
            tiff_file(rgb, RGB, planar=True, compression=DEFLATE, order=">"), grey
        ),
        "16-bit RGB": Kind(tiff_file(deep_rgb, RGB), stretched(deep)),
        "planar 16-bit RGB": Kind(tiff_file(deep_rgb, RGB, planar=True), stretched(deep)),
        "grey with alpha": Kind(tiff_file(np.dstack([grey, opacity]), extras=[2]), shown),
        "grey with opaque alpha": Kind(
            tiff_file(np.dstack([grey, grey * 0 + 255]), extras=[2]), grey
        ),
        "grey with multiplied alpha": Kind(tiff_file(multiplied, extras=[1]), shown),
        "16-bit grey with alpha": Kind(
            tiff_file(np.dstack([deep, deep_opacity]), extras=[2]), deep_shown
        ),
        "grey with something else": Kind(tiff_file(np.dstack([grey, opacity]), extras=[0]), grey),
        "RGB with alpha": Kind(tiff_file(np.dstack([rgb, opacity]), RGB, extras=[2]), shown),
        "palette": Kind(tiff_file(grey, PALETTE, tags={320: [*levels] * 3}), 255 - grey),
        "palette of 8 bits": Kind(
            tiff_file(grey, PALETTE, tags={320: [*(levels >> 8)] * 3}), 255 - grey
        ),
        "YCbCr": Kind(
            encoded(Image.fromarray(grey).convert("YCbCr"), "TIFF", compression="tiff_lzw"), grey
        ),
        "CMYK": Kind(encoded(Image.fromarray(grey).convert("CMYK"), "TIFF"), grey),
    }


def tiff_refused() -> dict[str, Kind]:
    """TIFF that cannot be read, and why."""
    grey = picture()
    rgb = np.dstack([grey] * 3)
    whole = tiff_file(grey)
    frames = [Image.fromarray(grey), Image.fromarray(255 - grey)]
    holed = grey.astype("f4")
    holed[3, 3] = np.nan
    half = tiff_file(grey[:20], compression=DEFLATE, tags={257: [40], 278: [40]})
    return {
        "complex numbers": Kind(tiff_file(grey.astype("c8")), "numbers of a rare kind"),
        "CIELAB": Kind(tiff_file(rgb, CIELAB), "CIELAB"),
        "compressed as JBIG": Kind(tiff_file(grey, compression=34661), "no decoder is installed"),
        "old JPEG": Kind(tiff_file(grey, compression=6), "no decoder is installed"),
        "a tile that takes all memory": Kind(
            tiff_file(grey, tags={322: [2**20], 323: [2**20], 324: [8], 325: [2400]}), "tile"
        ),
        "5,000 channels": Kind(tiff_file(grey, tags={277: [5000]}), "5000 channels"),
        "several pages": Kind(
            encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "several frames"
        ),
        "not a number": Kind(tiff_file(holed), "not finite"),
        "a colour outside its palette": Kind(
            tiff_file(grey, PALETTE, tags={320: [0] * 48}), "palette"
        ),
        "a strip that is not there": Kind(tiff_file(grey, tags={279: [0]}), "missing"),
        "a strip of which half is left": Kind(half, "damaged"),
        "fewer strips than rows need": Kind(tiff_file(grey, tags={278: [20]}), "missing"),
        "strips beyond the end": Kind(tiff_file(grey, tags={273: [len(whole) - 9]}), "cut off"),
        "its header alone": Kind(b"II*\0", "TIFF image, but its header"),
        "30,000 x 30,000": Kind(tiff_file(grey, tags={256: [30000], 257: [30000]}), "more than"),
        "8 x 40": Kind(tiff_file(grey[:, :8]), "smaller than 16"),
    }


# --- JPEG -----------------------------------------------------------------------------------------


def jpeg_file(colour: bool = False, **options) -> bytes:
    image = Image.fromarray(picture(120, 160))
    return encoded(image.convert("RGB") if colour else image, "JPEG", quality=90, **options)


def without(content: bytes, share: float, length: int) -> bytes:
    """Bytes left out within the compressed data."""
    start = content.index(b"\xff\xda") + 14
    place = start + int(share * (len(content) - start))
    return content[:place] + content[place + length :]


def with_frame(content: bytes, marker: int, bits: int = 8) -> bytes:
    """A JPEG that says it is of another kind."""
    at = content.index(b"\xff\xc0")
    return content[:at] + bytes([0xFF, marker, 0, content[at + 3], bits]) + content[at + 5 :]


def jpegs() -> dict[str, Kind]:
    """JPEG that lost data, sloppy JPEG that did not, and kinds that are not decoded."""
    grey = picture(120, 160)
    whole, colour = jpeg_file(), jpeg_file(colour=True)
    progressive = jpeg_file(progressive=True)
    restarts = jpeg_file(restart_marker_blocks=4)
    scan = whole.index(b"\xff\xda")
    (scan_header,) = struct.unpack_from(">H", whole, scan + 2)
    bounds = scan + 2 + scan_header - 3
    at = whole.index(b"JFIF\0") + 5
    return {
        "grey": Kind(whole, grey, 3),
        "colour": Kind(colour, grey, 3),
        "progressive": Kind(progressive, grey, 3),
        "with restarts": Kind(restarts, grey, 3),
        "CMYK": Kind(encoded(Image.fromarray(grey).convert("CMYK"), "JPEG", quality=95), grey, 3),
        "without its end": Kind(whole[:-2], grey, 3),
        "filled up before its end": Kind(whole[:-2] + bytes(9) + whole[-2:], grey, 3),
        "followed by other bytes": Kind(whole + b"more", grey, 3),
        "of an unknown revision": Kind(whole[:at] + b"\x09" + whole[at + 1 :], grey, 3),
        "with a stray byte in its header": Kind(whole[:20] + b"\0" + whole[20:], grey, 3),
        "with senseless bounds": Kind(whole[:bounds] + bytes(3) + whole[bounds + 3 :], grey, 3),
        "half of it": Kind(whole[: len(whole) // 2], "cut off"),
        "half of it and an end": Kind(whole[: len(whole) // 2] + b"\xff\xd9", "lost"),
        "colour, a part lost": Kind(without(colour, 0.5, 200), "lost"),
        "progressive, a part lost": Kind(without(progressive, 0.3, 30), "lost"),
        "CMYK, a part lost": Kind(
            without(encoded(Image.fromarray(grey).convert("CMYK"), "JPEG"), 0.5, 300), "lost"
        ),
        "a restart lost": Kind(without(restarts, 0.5, 400), "lost"),
        "of 12 bits": Kind(with_frame(whole, 0xC1, 12), "12 bits"),
        "lossless": Kind(with_frame(whole, 0xC3), "lossless"),
        "hierarchical": Kind(with_frame(whole, 0xC5), "hierarchical"),
    }


# --- PNG ------------------------------------------------------------------------------------------


def png_file(
    values: np.ndarray,
    depth: int = 8,
    colour: int = 0,
    extras: Sequence[bytes] = (),
    **where: bytes,
) -> bytes:
    """A PNG; `extras` are chunks before the pixels, `after` those behind them."""
    height, width, *_ = values.shape
    rows = values.reshape(height, -1)
    content = packed(rows.astype("u2") if depth == 16 else rows, depth, ">")
    lines = np.frombuffer(content, "u1").reshape(height, -1)
    filtered = np.hstack([np.zeros((height, 1), "u1"), lines]).tobytes()
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = where.get("data", png_chunk(b"IDAT", zlib.compress(filtered)))
    return b"".join([PNG, head, *extras, data, where.get("after", b""), PNG_END])


def broken(chunk: bytes) -> bytes:
    """A chunk whose checksum does not match."""
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def transparent_greys() -> dict[str, Kind]:
    """PNG of which one grey is transparent."""
    grey = picture()
    kinds = {}
    for depth in (1, 2, 4, 8, 16):
        few = grey.astype("u2") * 16 + 3 if depth == 16 else grey >> (8 - depth)
        level = int(few[20, 30])
        clear = few == level
        whole = stretched(few, ~clear) if depth == 16 else rounded(few * (255 / (2**depth - 1)))
        wanted = np.where(clear, CLEAR, whole).astype("u1")
        chunk = png_chunk(b"tRNS", struct.pack(">H", level))
        kinds[f"{depth} bits, one grey transparent"] = Kind(
            png_file(few, depth, 0, [chunk]), wanted
        )
        if depth < 16:
            # Of the two bytes only the bits of a pixel count.
            chunk = png_chunk(b"tRNS", struct.pack(">H", level | 0xFF00 | 1 << depth))
            kinds[f"{depth} bits, the same with other bits set"] = Kind(
                png_file(few, depth, 0, [chunk]), wanted
            )
    brightest = int(grey.max())
    chunk = png_chunk(b"tRNS", struct.pack(">H", brightest))
    kinds["16 bits, the brightest transparent"] = Kind(
        png_file(grey.astype("u2"), 16, 0, [chunk]),
        np.where(grey == brightest, CLEAR, stretched(grey, grey < brightest)).astype("u1"),
    )
    return kinds


def pngs() -> dict[str, Kind]:
    """PNG with transparent colours, palettes, and damaged chunks."""
    grey = picture()
    colours = np.dstack([grey] * 3)
    level = int(grey[20, 30])
    red = png_chunk(b"tRNS", struct.pack(">3H", *[level] * 3))
    text, date = png_chunk(b"tEXt", b"Comment\0a"), png_chunk(b"tIME", bytes(7))
    size, up = png_chunk(b"pHYs", bytes(9)), png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0")
    xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='3'/>")
    few = grey >> 5
    palette = np.repeat(np.arange(8, dtype="u1") * 36, 3).tobytes()
    split = zlib.compress(np.hstack([np.zeros((40, 1), "u1"), grey]).tobytes())
    apart = png_chunk(b"IDAT", split[:50]) + text + png_chunk(b"IDAT", split[50:])
    return {
        "grey": Kind(png_file(grey), grey),
        "16 bits": Kind(png_file(grey.astype("u2"), 16), stretched(grey)),
        "RGB, one colour transparent": Kind(
            png_file(colours, 8, 2, [red]), np.where(grey == level, CLEAR, grey).astype("u1")
        ),
        "16-bit RGB, one colour transparent": Kind(
            png_file(colours * np.uint16(257), 16, 2, [red]), "with a transparent one"
        ),
        "palette": Kind(png_file(few, 8, 3, [png_chunk(b"PLTE", palette)]), few * np.uint8(36)),
        "palette with a transparent colour": Kind(
            png_file(few, 8, 3, [png_chunk(b"PLTE", palette), png_chunk(b"tRNS", b"\xff\xff\0")]),
            np.where(few == 2, CLEAR, few * np.uint8(36)).astype("u1"),
        ),
        "a colour outside its palette": Kind(
            png_file(few, 8, 3, [png_chunk(b"PLTE", palette[:9])]), "palette"
        ),
        "a damaged text": Kind(png_file(grey, extras=[broken(text)]), grey),
        "a damaged size": Kind(png_file(grey, extras=[broken(size), text]), grey),
        "a damaged date behind the pixels": Kind(png_file(grey, after=broken(date)), grey),
        "damaged transparency": Kind(png_file(colours, 8, 2, [broken(red)]), "checksum"),
        "a damaged EXIF block": Kind(png_file(grey, extras=[broken(up)]), ""),
        "a damaged text that says which side is up": Kind(
            png_file(grey, extras=[broken(xmp)]), "checksum"
        ),
        "a damaged chunk of an unknown kind": Kind(
            png_file(grey, extras=[broken(png_chunk(b"abCd", b"x"))]), "checksum"
        ),
        "pixels in two places": Kind(png_file(grey, data=apart), "cut off"),
        "a row missing": Kind(
            png_file(grey, data=png_chunk(b"IDAT", zlib.compress(bytes(39 * 61)))), "cut off"
        ),
        "RGB of 4 bits": Kind(png_file(colours >> 4, 4, 2), "header is damaged"),
    }


# --- BMP and others -------------------------------------------------------------------------------


def bmp_file(values: np.ndarray, bits: int, masks: Sequence[int] = ()) -> bytes:
    """A BMP whose pixels are whole numbers of 16 or 32 bits, the lowest row first."""
    rows = np.ascontiguousarray(values[::-1].astype(f"<u{bits // 8}")).tobytes()
    height, width = values.shape
    length = 56 if len(masks) == 4 else 40
    compression = 3 if masks else 0
    info = struct.pack(
        "<IiiHHIIiiII", length, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0
    )
    table = struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(info) + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + table + rows


def others() -> dict[str, Kind]:
    """BMP with fields of bits, and formats that need nothing special."""
    grey = picture()
    image = Image.fromarray(grey)
    deep = grey.astype("u2") * 16
    wide = grey.astype("u4")
    colour = wide << 16 | wide << 8 | wide
    five = (grey >> 3).astype("u4")
    five_grey = rounded(five * (255 / 31))
    plain = b"P2 60 40 255\n" + b" ".join(b"%d" % value for value in grey.ravel())
    return {
        "BMP of 5, 5 and 5 bits": Kind(bmp_file(five << 10 | five << 5 | five, 16), five_grey, 1),
        "BMP of 5, 6 and 5 bits": Kind(
            bmp_file(five << 11 | five << 6 | five, 16, (0xF800, 0x07E0, 0x1F)), five_grey, 3
        ),
        "BMP of 32 bits": Kind(bmp_file(colour, 32), grey),
        "BMP with opacity": Kind(
            bmp_file(colour | 0xFF000000, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), grey
        ),
        "BMP whose opacity was left at 0": Kind(
            bmp_file(colour, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), grey
        ),
        "BMP of 4, 4 and 4 bits": Kind(
            bmp_file((wide >> 4) * 0x111, 16, (0xF00, 0xF0, 0xF)), "of a rare kind"
        ),
        "WebP": Kind(encoded(image.convert("RGB"), "WEBP", lossless=True), grey),
        "GIF": Kind(encoded(image, "GIF"), grey),
        "PGM": Kind(b"P5 60 40 255\n" + grey.tobytes(), grey),
        "PGM in words": Kind(plain, grey),
        "16-bit PGM": Kind(b"P5 60 40 65535\n" + deep.astype(">u2").tobytes(), stretched(deep)),
        "PPM": Kind(b"P6 60 40 255\n" + np.dstack([grey] * 3).tobytes(), grey),
        "JPEG 2000": Kind(encoded(image, "JPEG2000"), grey),
        "16-bit JPEG 2000": Kind(encoded(Image.fromarray(deep), "JPEG2000"), stretched(deep)),
    }


def all_kinds() -> dict[str, Kind]:
    """Every kind, by the name of its format and what is special about it."""
    tables = {
        "TIFF": tiff_numbers() | tiff_colours() | tiff_refused(),
        "JPEG": jpegs(),
        "PNG": transparent_greys() | pngs(),
    }
    named = {
        f"{form}: {name}": kind for form, table in tables.items() for name, kind in table.items()
    }
    return named | others()
