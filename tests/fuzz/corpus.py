"""Broken and unusual inputs, made on the spot: nothing is kept in the repository.

Each generator yields cases in a fixed order. Numbers come from seeds, so that a case that failed
comes back under its name.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.unit.pictures import encoded, picture, png_chunk
from tests.unit.raster_kinds import DEFLATE, RGB, tiff_file
from tests.unit.test_dicom import changed, dicom, dicom_bytes

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes
    ----------
    name : str
        What is wrong with it.
    content : bytes
        The file.
    file_name : str
        What it calls itself.
    pixels : ndarray, "refused" or None
        What must come out. None: either is right, as long as no half image is taken for a whole.
    words : str
        That the refusal must have.
    near : float
        Mean difference of grey values that is allowed: JPEG loses some.
    """

    name: str
    content: bytes
    file_name: str = "image.png"
    pixels: Any = None
    words: str = ""
    near: float = 0.0


REFUSED = "refused"


# --- images ---------------------------------------------------------------------------------------


def good_images() -> dict[str, tuple[bytes, np.ndarray, float]]:
    """One file of each format: content, grey values, mean difference that its losses allow."""
    grey = picture()
    image = Image.fromarray(grey)
    stretched = np.rint((grey - float(grey.min())) * 255 / float(np.ptp(grey)))
    files = {
        "PNG": (encoded(image), grey, 0.0),
        "PNG RGB": (encoded(image.convert("RGB")), grey, 0.0),
        "PNG interlaced 16-bit": (encoded(Image.fromarray(grey * np.uint16(16))), stretched, 0.0),
        "JPEG": (encoded(image, "JPEG", quality=95), grey, 2.0),
        "JPEG progressive": (
            encoded(image.convert("RGB"), "JPEG", quality=95, progressive=True),
            grey,
            2.0,
        ),
        "JPEG CMYK": (encoded(image.convert("CMYK"), "JPEG", quality=95), grey, 3.0),
        "TIFF": (encoded(image, "TIFF"), grey, 0.0),
        "TIFF LZW": (encoded(image, "TIFF", compression="tiff_lzw"), grey, 0.0),
        "TIFF big": (encoded(image, "TIFF", big_tiff=True), grey, 0.0),
        "TIFF big-endian float": (
            tiff_file(grey / np.float32(7), order=">", compression=DEFLATE),
            stretched,
            0.0,
        ),
        "TIFF 12 bits": (tiff_file(grey * np.uint16(16), bits=12), stretched, 0.0),
        "TIFF planar": (tiff_file(np.dstack([grey] * 3), RGB, planar=True), grey, 0.0),
        "BMP": (encoded(image, "BMP"), grey, 0.0),
        "GIF": (encoded(image, "GIF"), grey, 0.0),
        "WEBP": (encoded(image.convert("RGB"), "WEBP", lossless=True), grey, 0.0),
        "JPEG 2000": (encoded(image, "JPEG2000"), grey, 0.0),
        "JPEG 2000 codestream": (encoded(image, "JPEG2000", no_jp2=True), grey, 0.0),
        "PGM": (encoded(image, "PPM"), grey, 0.0),
    }
    return files


def unusual_images() -> Iterator[Case]:
    """Whole files of every kind that users have, with the grey values that must come out."""
    grey = picture()
    image = Image.fromarray(grey)
    bits = grey > 128
    yield Case("one bit", encoded(Image.fromarray(bits)), pixels=bits * np.uint8(255))
    stretched = np.rint((grey - float(grey.min())) * 255 / float(np.ptp(grey)))
    yield Case("16 bits", encoded(Image.fromarray(grey * np.uint16(257))), pixels=stretched)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield Case("colour profile", encoded(image.convert("RGB"), icc_profile=profile), pixels=grey)
    yield Case("damaged colour profile", encoded(image, icc_profile=b"no profile"), pixels=grey)
    for orientation, upright in (
        (2, grey[:, ::-1]),
        (3, grey[::-1, ::-1]),
        (4, grey[::-1]),
        (5, grey.T),
        (6, grey.T[:, ::-1]),
        (7, grey.T[::-1, ::-1]),
        (8, grey.T[::-1]),
    ):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Case(f"EXIF orientation {orientation}", encoded(image, exif=exif), pixels=upright)
    exif = Image.Exif()
    exif[0x0112] = 77
    yield Case("EXIF orientation 77", encoded(image, exif=exif), pixels=grey)
    text = PngInfo()
    text.add_text("Comment", "x" * 5000)
    yield Case("long comment", encoded(image, pnginfo=text), pixels=grey)
    for suffix in (".jpg", ".dcm", ".DICOM", ".txt", ".png.exe", ""):
        for name, (content, pixels, near) in good_images().items():
            yield Case(f"{name} as {suffix}", content, f"image{suffix}", pixels, near=near)


def truncated_images() -> Iterator[Case]:
    """Every format cut off at every tenth byte."""
    for name, (content, pixels, near) in good_images().items():
        yield Case(f"{name}, whole", content, pixels=pixels, near=near)
        for length in range(0, len(content) - 1, 10):
            # PNG and JPEG must end with their last pixel; others may lose a trailer or padding.
            yield Case(f"{name}, {length} of {len(content)} bytes", content[:length])


def damaged_images(per_file: int) -> Iterator[Case]:
    """Some bytes overwritten, left out or doubled, at random places."""
    rng = np.random.default_rng(11)
    for name, (content, _, _) in good_images().items():
        for number in range(per_file):
            place, length = int(rng.integers(len(content))), int(rng.integers(1, 9))
            junk = rng.bytes(length)
            changed_content = (
                content[:place] + junk + content[place + length :],
                content[:place] + content[place + length :],
                content[: place + length] + content[place:],
            )[number % 3]
            yield Case(f"{name}, damage {number}", changed_content)


def png_header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG that declares any size and holds next to nothing."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")


def refused_images() -> Iterator[Case]:
    """Files that are no single radiograph."""
    grey = picture()
    frames = [Image.fromarray(grey), Image.fromarray(255 - grey)]

    def case(name: str, content: bytes, words: str, file_name: str = "image.png") -> Case:
        return Case(name, content, file_name, REFUSED, words)

    yield case("zero bytes", b"", "empty")
    yield case("damaged EXIF", encoded(frames[0], exif=b"Exif\0\0nonsense"), "EXIF")
    yield case("1 x 1", encoded(Image.fromarray(grey[:1, :1])), "smaller than 16")
    yield case("15 x 400", encoded(Image.fromarray(np.zeros((15, 400), "u1"))), "smaller than 16")
    yield case("20,000 x 20,000", png_header(20_000, 20_000), "more")
    yield case("2 billion a side", png_header(2**31 - 1, 2**31 - 1), "more")
    yield case("0 x 0", png_header(0, 0), "")
    yield case("no such colour type", png_header(40, 60, 8, 5), "")
    yield case("3 bits", png_header(40, 60, 3, 0), "")
    for kind in ("GIF", "PNG", "TIFF", "WEBP"):
        animated = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        yield case(f"animated {kind}", animated, "several frames")
    for name, content in {
        "PDF": b"%PDF-1.7\n1 0 obj",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
        "ZIP": b"PK\3\4" + bytes(60),
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 60\n",
        "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
        "zeros": bytes(4000),
        "LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "text": "Ein Röntgenbild".encode(),
    }.items():
        yield case(name, content, "not an image")
        yield case(f"{name} as .dcm", content, "", "image.dcm")
    for name, signature in {
        "PNG": PNG,
        "JPEG": b"\xff\xd8\xff",
        "TIFF": b"II*\0",
        "GIF": b"GIF89a",
        "BMP": b"BM",
        "WEBP": b"RIFF\x24\0\0\0WEBP",
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
        "JPEG 2000 codestream": b"\xff\x4f\xff\x51",
    }.items():
        rng = np.random.default_rng(5)
        for length in (0, 1, 30, 500):
            yield case(f"{name}, then {length} bytes of noise", signature + rng.bytes(length), "")
            yield case(
                f"{name} noise {length} .dcm", signature + rng.bytes(length), "", "image.dcm"
            )


def dicom_files() -> Iterator[Case]:
    """DICOM with missing or senseless elements, several frames, or without a decoder for it."""
    plain = dicom_bytes(dicom())
    grey = picture()
    stretched = np.rint((grey - float(grey.min())) * 255 / float(np.ptp(grey)))
    yield Case("plain", plain, "image.dcm", stretched)
    yield Case("plain, as .png", plain, "image.png", stretched)
    yield Case("without preamble", plain[132:], "image.dcm", stretched)
    missing_is_fatal = {"PixelData", "Rows", "Columns", "PhotometricInterpretation"}
    for element in dicom():
        name = element.keyword
        case = f"without {name}"
        wanted = REFUSED if name in missing_is_fatal else None
        yield Case(case, dicom_bytes_or_raw(changed(**{name: None})), "image.dcm", wanted)
    for name, values in {
        "Rows": (0, 1, 60000),
        "Columns": (0, 7, 65535),
        "BitsAllocated": (0, 1, 7, 8, 32, 64),
        "BitsStored": (0, 99),
        "HighBit": (0, 99),
        "SamplesPerPixel": (0, 2, 3, 4),
        "PixelRepresentation": (1, 7),
        "PhotometricInterpretation": ("", "HSV", "PALETTE COLOR", "RGB", "YBR_FULL"),
        "NumberOfFrames": ("0", "2", "99999", "-3"),
        "RescaleSlope": ("0", "1e300", "-1"),
        "RescaleIntercept": ("1e308",),
        "WindowWidth": ("0", "-5", "1e300"),
        "PixelPaddingValue": (0,),
        "PixelAspectRatio": (["0", "0"],),
        "VOILUTSequence": ([Dataset()],),
        "ModalityLUTSequence": ([Dataset()],),
    }.items():
        for value in values:
            elements = {name: value}
            if name == "WindowWidth":
                elements["WindowCenter"] = "100"
            yield Case(f"{name} {value}", dicom_bytes_or_raw(changed(**elements)), "image.dcm")
    for syntax in (
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
        JPEGBaseline8Bit,
        RLELossless,
    ):
        for stream in (b"", b"\xff\xd8\xff\xd9", encoded(Image.fromarray(grey), "JPEG")[:200]):
            dataset = dicom(grey)
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.PixelData = encapsulate([stream or b"\0\0"])
            dataset["PixelData"].is_undefined_length = True
            name = f"{syntax.name}, {len(stream)} bytes"
            yield Case(name, dicom_bytes(dataset), "image.dcm", REFUSED)
    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        dataset = dicom()
        dataset.file_meta.TransferSyntaxUID = syntax
        yield Case(syntax.name, dicom_bytes(dataset), "image.dcm", stretched)
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = "1.2.3.4.5"
    yield Case("private transfer syntax", dicom_bytes_or_raw(dataset), "image.dcm")
    big = plain.replace(b"1.2.840.10008.1.2.1\0", str(ExplicitVRBigEndian).encode() + b"\0")
    yield Case("little-endian that says it is big", big, "image.dcm")
    for length in range(0, len(plain) - 1, 40):
        yield Case(f"{length} of {len(plain)} bytes", plain[:length], "image.dcm", REFUSED)


def dicom_bytes_or_raw(dataset: Dataset) -> bytes:
    """Encode a data set, also one that is too broken for a strict writer."""
    try:
        return dicom_bytes(dataset)
    except Exception:
        stream = io.BytesIO()
        dataset.save_as(stream, implicit_vr=False, little_endian=True)
        return bytes(128) + b"DICM" + dicom_bytes(dicom())[132:330] + stream.getvalue()


def damaged_dicom(number: int) -> Iterator[Case]:
    """Bytes of the header overwritten at random places."""
    plain = dicom_bytes(dicom())
    rng = np.random.default_rng(12)
    for k in range(number):
        place = int(rng.integers(132, 900))
        junk = rng.bytes(int(rng.integers(1, 9)))
        content = plain[:place] + junk + plain[place + len(junk) :]
        yield Case(f"damage {k}", content, "image.dcm")


# --- names ----------------------------------------------------------------------------------------

#: What a file, a folder, a class or a patient may be called.
NAMES = (
    "with space",
    " leading",
    "quote'single",
    'quote"double',
    "back`tick",
    "semi;colon",
    "com,ma",
    "pipe|bar",
    "amp&and",
    "dollar$HOME",
    "$(touch harmed)",
    "`touch harmed`",
    "$x_1$ and $y^2$",
    "=cmd|' C calc'!A0",
    '=HYPERLINK("http:")',
    "+1+1",
    "-1",
    "@SUM(A1)",
    "<script>alert(1)<",
    "&lt;b&gt;",
    "\\input{x}",
    "100% #1 ~x^2_3",
    "*bold* _it_ [a](b)",
    "{wildcard}",
    "{{braces}}",
    "new\nline",
    "tab\tbed",
    "return\rhere",
    "escape\x1b[31mred",
    "null-like NULL NaN None",
    "NaN",
    "None",
    "肺炎",
    "العربية",
    "e\u0301 decomposed",
    "é composed",
    "🫁",
    "zero\u200bwidth",
    "right\u202eleft",
    "a.b.c",
    "..a",
    "...",
    "-rf",
    "x" * 200,
    "肺" * 70,
)


# --- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A manifest and what must come of it: rows as (path, label), or a refusal with these words."""

    name: str
    content: bytes
    rows: tuple[tuple[str, str], ...] | None = None
    words: str = ""
    file_name: str = "manifest.csv"


TWO = (("x.png", "A"), ("y.png", "B"))


def tables() -> Iterator[Table]:
    """Manifests in every spelling, and with every fault."""
    plain = "path,label\nx.png,A\ny.png,B\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"):
        text = plain.encode(encoding)
        known = encoding not in {"utf-16-le", "utf-16-be"}
        yield Table(f"in {encoding}", text, TWO if known else None, "" if known else "text")
    yield Table("UTF-16 cut off", plain.encode("utf-16")[:-1], None, "")
    for name, delimiter in {"semicolons": ";", "tabs": "\t"}.items():
        yield Table(name, plain.replace(",", delimiter).encode(), TWO)
    yield Table("bars", plain.replace(",", "|").encode(), None, "no column path")
    for name, end in {"CRLF": "\r\n", "CR": "\r", "blank lines": "\n\n"}.items():
        yield Table(name, plain.replace("\n", end).encode(), TWO)
    yield Table("no last line feed", plain.rstrip().encode(), TWO)
    yield Table("blanks", b" path , label \n x.png , A \ny.png,B", TWO)
    yield Table("all quoted", b'"path","label"\n"x.png","A"\n"y.png","B"\n', TWO)
    for value in (
        "=1+1",
        "@SUM(A1)",
        "+49",
        "-",
        "=cmd|' /C calc'!A0",
        "<b>",
        "$(x)",
        "NaN",
        "NULL",
    ):
        yield Table(
            f"the label {value}", f'path,label\nx.png,"{value}"\n'.encode(), (("x.png", value),)
        )
        yield Table(f"a note {value}", f'path,label,n\nx.png,A,"{value}"\n'.encode(), TWO[:1])
    for name, text, words in (
        ("empty", "", "no column"),
        ("one line feed", "\n", "no column"),
        ("no rows", "path,label\n", "lists no image"),
        ("no path", "file,label\nx.png,A\n", "no column path"),
        ("no label", "path,class\nx.png,A\n", "no column label"),
        ("capitals", "Path,Label\nx.png,A\n", "no column path"),
        ("no header", "x.png,A\ny.png,B\n", "no column"),
        ("column twice", "path,label,label\nx.png,A,B\n", "more than once"),
        ("too few cells", "path,label\nx.png\n", "number of columns"),
        ("too many cells", "path,label\nx.png,A,B\n", "number of columns"),
        ("open quote", 'path,label\nx.png,"A\ny.png,B\n', "quotation mark"),
        ("junk behind a quote", 'path,label\n"x.png"z,A\n', "quotation mark"),
        ("empty label", "path,label\nx.png,\n", "no label"),
        ("blank label", "path,label\nx.png,   \n", "no label"),
        ("empty path", "path,label\n,A\n", "no path"),
        ("missing file", "path,label\nz.png,A\n", "does not exist"),
        ("a folder", "path,label\nfolder,A\n", "no file"),
        ("the root", "path,label\n/,A\n", "no file"),
        ("a device", "path,label\n/dev/zero,A\n", "no file"),
        ("above the root", f"path,label\n{'../' * 60}etc/nothing,A\n", "does not exist"),
        ("a loop of links", "path,label\nloop.png,A\n", "does not exist"),
        ("a broken link", "path,label\nbroken.png,A\n", "does not exist"),
        ("another case", "path,label\nX.PNG,A\n", "does not exist"),
        ("a name of 5,000 letters", f"path,label\n{'x' * 5000}.png,A\n", "does not exist"),
        ("twice", "path,label\nx.png,A\nx.png,A\n", "Keep one"),
        ("under two labels", "path,label\nx.png,A\nx.png,B\n", "Keep one"),
        ("two spellings", "path,label\nx.png,A\nfolder/../x.png,B\n", "Keep one"),
        ("labels by case", "path,label\nx.png,COVID\ny.png,Covid\n", "case"),
        ("labels by accents", "path,label\nx.png,é\ny.png,e\u0301\n", "case"),
        ("a label with a line break", 'path,label\nx.png,"A\nB"\n', "control character"),
        ("a label with an escape", "path,label\nx.png,A\x1b[31m\n", "control character"),
        ("a missing mask", "path,label,mask_path\nx.png,A,z.png\n", "mask_path"),
        ("a mask that is a folder", "path,label,mask_path\nx.png,A,folder\n", "mask_path"),
        ("JSON", '[{"path": "x.png", "label": "A"}]', "no column"),
        ("a field of 200,000 letters", f"path,label\nx.png,{'A' * 200_000}\n", "table"),
    ):
        yield Table(name, text.encode(), None, words)
    # Not refused: the search for duplicates finds it, and the audit names the two labels.
    linked = (("x.png", "A"), ("link.png", "B"))
    yield Table("a link to it", b"path,label\nx.png,A\nlink.png,B\n", linked)
    yield Table("a null byte in a label", b"path,label\nx.png,A\0B\n", None, "text")
    yield Table("a null byte in a path", b"path,label\nx\0.png,A\n", None, "text")
    yield Table("a workbook named .csv", b"PK\3\4" + bytes(range(256)), None, "text")
    yield Table("a picture named .csv", encoded(Image.fromarray(picture())), None, "text")
    yield Table("latin-1 label", "path,label\nx.png,Ödem\n".encode("latin-1"), (("x.png", "Ödem"),))
    for value in ("../x.png", "./x.png", "folder/../../tables/x.png"):
        # The file itself, wherever its table lies.
        yield Table(f"as {value}", f"path,label\n{value},A\n".encode(), None, "")


def damaged_tables(number: int) -> Iterator[Table]:
    """A table with characters of meaning thrown in."""
    rng = np.random.default_rng(13)
    plain = b"path,label,patient,split\nx.png,A,P1,train\ny.png,B,P2,test\n"
    junk = (b'"', b",", b"\n", b"\r", b"\0", b"\xff", b";", b"\t", b"\xef\xbb\xbf", b"..", b"=")
    for k in range(number):
        content = plain
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(len(content) + 1))
            content = content[:place] + junk[int(rng.integers(len(junk)))] + content[place:]
        yield Table(f"damage {k}", content)


# --- configuration --------------------------------------------------------------------------------

#: What may stand where something else is meant.
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**400,
    0.5,
    float("nan"),
    float("-inf"),
    "1e-3",
    "",
    "text",
    "../../etc/passwd",
    "a\nb",
    "\x1b[31m",
    "\ud800",
    "x" * 10_000,
    b"bytes",
    [],
    [1],
    [[]],
    {},
    {"unknown": 1},
    {1: 2},
    {"a": {"b": {"c": []}}},
    __import__("datetime").date(2020, 1, 1),
    {"set"},
)


def yaml_texts() -> Iterator[tuple[str, str, str]]:
    """Name, text, and words of its refusal ("" where it must load) for YAML of every kind."""
    yield "a key twice", "a: 1\na: 2\n", "twice"
    yield "a key twice below", "a: {b: 1, b: 2}\n", "twice"
    yield "a key twice in a list", "a:\n- {b: 1, b: 2}\n", "twice"
    yield "a quoted key twice", "a: 1\n'a': 2\n", "twice"
    yield "an anchor", "a: &x {b: 1}\nc: *x\n", ""
    yield "a merge", "a: &x {b: 1}\nc: {<<: *x, d: 2}\n", ""
    yield "a merge that is overridden", "a: &x {b: 1}\nc: {<<: *x, b: 2}\n", ""
    yield "a key twice below an anchor", "a: &x {b: 1, b: 2}\nc: *x\n", "twice"
    yield "an unknown anchor", "a: *x\n", "not valid YAML"
    yield "a list of itself", "a: &x [*x]\n", "itself"
    yield "a mapping of itself", "a: &x {b: *x}\n", "itself"
    laughs = "a0: &a0 [lol, lol]\n" + "".join(
        f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
    )
    yield "a billion laughs", laughs, "too large"
    for depth in (20, 300, 900, 5000):
        words = "" if depth < 50 else "levels"
        yield f"{depth} lists in lists", "a: " + "[" * depth + "]" * depth, words
        yield f"{depth} mappings", "{a: " * depth + "1" + "}" * depth, words
    chain = "a0: &a0 [1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}]\n" for k in range(1, 3000))
    yield "3000 aliases, each in the next", chain, "levels"
    yield "a tab", "a:\n\tb: 1\n", "not valid YAML"
    yield "an open bracket", "a: [1, 2\n", "not valid YAML"
    yield "an open quote", "a: 'b\n", "not valid YAML"
    yield "two documents", "a: 1\n---\nb: 2\n", "not valid YAML"
    yield "a Python object", "a: !!python/object/apply:os.system [touch harmed]\n", ""
    yield "a binary", "a: !!binary aGVsbG8=\n", ""
    yield "a set", "a: !!set {b, c}\n", ""
    yield "a null byte", "a: \0\n", "not valid YAML"
    yield "empty", "", ""
    yield "a comment", "# nothing\n", ""
    yield "a list", "- 1\n- 2\n", ""
    yield "a word", "word\n", ""
    yield "a date as key", "2020-01-01: 1\n", ""
    yield "a list as key", "? [a, b]\n: 1\n", ""


# --- weights --------------------------------------------------------------------------------------


def damaged_safetensors(content: bytes, every: int) -> Iterator[tuple[str, bytes]]:
    """A safetensors file cut off, and with lies in its header."""
    for length in range(0, min(len(content), 4000), every):
        yield f"{length} bytes", content[:length]
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + size])

    def with_header(changed: Any) -> bytes:
        text = json.dumps(changed).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + size :]

    name = next(key for key in header if key != "__metadata__")
    entry = header[name]
    for what, new in {
        "no such type": {**entry, "dtype": "F99"},
        "a negative size": {**entry, "shape": [-1, 3]},
        "a huge size": {**entry, "shape": [2**40, 2**20]},
        "another size": {**entry, "shape": [1]},
        "places outside": {**entry, "data_offsets": [0, 2**50]},
        "places reversed": {**entry, "data_offsets": entry["data_offsets"][::-1]},
        "no places": {"dtype": "F32", "shape": [1]},
        "no entry": 5,
    }.items():
        yield what, with_header({**header, name: new})
    yield "an empty header", with_header({})
    yield "a header that is a list", with_header([])
    for length in (0, 1, 2**20, 2**40, 2**64 - 1):
        yield f"a header of {length} bytes", struct.pack("<Q", length) + content[8:]


class Harmful:
    """An object that would run code when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.target,))


def odd_tensors(
    state: dict[str, torch.Tensor], head: str
) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """State dicts that no network of this architecture has, whose last layer is `head`."""
    first = next(iter(state))
    for what, tensor in {
        "whole numbers": torch.zeros(state[first].shape, dtype=torch.int64),
        "bytes": torch.zeros(state[first].shape, dtype=torch.uint8),
        "truth values": torch.zeros(state[first].shape, dtype=torch.bool),
        "complex numbers": torch.zeros(state[first].shape, dtype=torch.complex64),
        "NaN": torch.full(state[first].shape, float("nan")),
        "half-precision infinity": torch.full(state[first].shape, 1e9).half(),
        "another shape": torch.zeros(3, 3),
        "no number at all": torch.zeros(0),
        "one number": torch.tensor(1.0),
    }.items():
        yield what, {**state, first: tensor}
    for name in list(state)[::3]:
        if not name.startswith(head):
            yield f"without {name}", {k: v for k, v in state.items() if k != name}
            yield (
                f"{name} under another name",
                {f"module.{k}" if k == name else k: v for k, v in state.items()},
            )
    yield "nothing", {}
