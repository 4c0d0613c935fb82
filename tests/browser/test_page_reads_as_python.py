"""The page reads files as the workflow does; all that differs stands in one table."""

import base64
import shutil
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver

from tests.unit.dicom_kinds import dicom_kinds
from tests.unit.pictures import encoded, picture, png_chunk
from tests.unit.raster_kinds import all_kinds, png_file
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.viewer.bundle import PAGE, installed_page
from workflow_scripts.cxrcam.viewer.serve import make_server

for needed in ("node", "npm"):
    if not shutil.which(needed):
        pytest.skip(
            f"{needed} is not installed: `make test-tools` does it", allow_module_level=True
        )

Browser = webdriver.Chrome

MOST_PIXELS = 10**8
READ = "is read"
PREDICT = "snakemake predict"

#: What the workflow says of a file, and what the page says; by the start of the name.
DIFFERENT = {
    "TIFF": ("", "a TIFF image"),
    "BMP": ("", "a BMP image"),
    "GIF": (READ, "a GIF image"),
    "WebP": (READ, "a WebP image"),
    "JPEG 2000": (READ, "a JPEG 2000 image"),
    "16-bit JPEG 2000": (READ, "a JPEG 2000 image"),
    "PGM": (READ, "a PNM image"),
    "16-bit PGM": (READ, "a PNM image"),
    "PPM": (READ, "a PNM image"),
    "DICOM: functional groups": (READ, PREDICT),
    "DICOM: values in high bits": (READ, PREDICT),
    "DICOM: wide pixels": (READ, PREDICT),
    "DICOM: colour": (READ, PREDICT),
    "DICOM: modality table": (READ, PREDICT),
    "DICOM: deflated": (READ, "Deflated Explicit VR Little Endian"),
    "DICOM: JPEG Lossless": (
        READ,
        "JPEG Lossless, First-Order Prediction (1.2.840.10008.1.2.4.70)",
    ),
    "JPEG: CMYK": ("", "CMYK"),
    # The browser's decoder fills with grey what a JPEG has lost, and tells the page nothing.
    "JPEG: half of it and an end": ("lost", READ),
    "JPEG: colour, a part lost": ("lost", READ),
    "JPEG: progressive, a part lost": ("lost", READ),
    "JPEG: a restart lost": ("lost", READ),
    "JPEG: without its end": (READ, "cut off"),
    "PNG: EXIF says which side is up": (READ, "which side is up"),
    "PNG: a text says which side is up": (READ, "which side is up"),
    "PNG: an animation of one frame": (READ, "several frames"),
    "PNG: one grey level": (READ, "nothing to see"),
    "DICOM: one value": (READ, "nothing to see"),
    # All that is left is black.
    "PNG: 1 bits": (READ, "nothing to see"),
    "PNG: 50.4 million pixels": (READ, "more than the 50 million"),
}


def other_files() -> dict[str, bytes]:
    grey = picture()
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='3'/>")
    large = np.packbits(np.arange(7200) % 2 == 0)[None].repeat(7000, 0)
    lines = zlib.compress(np.hstack([np.zeros((7000, 1), "u1"), large]).tobytes())
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 7200, 7000, 1, 0, 0, 0, 0))
    animation = [
        png_chunk(b"acTL", struct.pack(">II", 1, 0)),
        png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 60, 40, 0, 0, 1, 1, 0, 0)),
    ]
    return {
        "PNG: EXIF says which side is up": encoded(Image.fromarray(grey), exif=exif),
        "PNG: a text says which side is up": png_file(grey, extras=[xmp]),
        "PNG: an animation of one frame": png_file(grey, extras=animation),
        "PNG: one grey level": png_file(grey * 0 + 7),
        "PNG: 50.4 million pixels": b"\x89PNG\r\n\x1a\n"
        + head
        + png_chunk(b"IDAT", lines)
        + png_chunk(b"IEND", b""),
    }


FILES = {
    **{name: kind.content for name, kind in all_kinds().items()},
    **other_files(),
    **dicom_kinds(),
}


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A page of the server, from which the viewer's own modules can be imported."""
    folder = tmp_path_factory.mktemp("sources")
    with installed_page() as (sources, node):
        module = "--bundle --format=esm src/read_image.js --outfile=".split()
        module[-1] += str(folder / "read_image.js")
        command = [node, "node_modules/esbuild/bin/esbuild", *module]
        subprocess.run(command, cwd=sources, check=True, capture_output=True)
    shutil.copy(PAGE / "index.html", folder)
    with make_server(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{server.server_address[1]}/read_image.js")
        browser.set_script_timeout(60)
        yield browser
        browser.get_log("browser")  # a script has no icon, which must not be held against others
        server.shutdown()


def read_by_page(page: Browser, name: str) -> np.ndarray | str:
    """Grey levels, or the words of the refusal."""
    said = page.execute_async_script(
        "const [name, content, done] = arguments;"
        "const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));"
        "import('/read_image.js')"
        "  .then(({readImage}) => readImage(new File([bytes], name), 1000))"
        "  .then(({pixels, width, height}) => {"
        "    let text = ''; for (const one of pixels) text += String.fromCharCode(one);"
        "    done({width, height, pixels: btoa(text)}); })"
        "  .catch((error) => done(`${error.constructor.name}: ${error.message}`));",
        "x-ray",
        base64.b64encode(FILES[name]).decode(),
    )
    if isinstance(said, str):
        kind, _, words = said.partition(": ")
        assert kind == "Refusal", said
        return words
    pixels = np.frombuffer(base64.b64decode(said["pixels"]), "u1")
    return pixels.reshape(said["height"], said["width"])


def read_by_workflow(name: str) -> np.ndarray | str:
    try:
        return read_grey(Path("x-ray"), MOST_PIXELS, FILES[name]).pixels
    except UnreadableImage as error:
        return str(error)


def row_of(name: str) -> tuple[str, str] | None:
    """The row of the table that is about a file."""
    fits = [start for start in DIFFERENT if name.startswith(start)]
    return DIFFERENT[max(fits, key=len)] if fits else None


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_alike_or_stands_in_the_table(page: Browser, name: str) -> None:
    workflow, shown = read_by_workflow(name), read_by_page(page, name)
    row = row_of(name)
    if row is None:
        assert isinstance(workflow, str) == isinstance(shown, str), (workflow, shown)
        if isinstance(workflow, str):
            return
        differences = np.abs(workflow.astype(int) - shown)
        assert differences.max() <= (1 if name.startswith("JPEG") else 0)
        return
    for words, answer in zip(row, (workflow, shown), strict=True):
        assert isinstance(answer, str) == (words != READ) or words == ""
        assert words in (READ, "") or words in answer
    same = [isinstance(answer, str) for answer in (workflow, shown)]
    assert same != [False, False], "both read it: it does not belong in the table"


def test_every_row_of_the_table_is_about_a_file() -> None:
    used = {
        max((row for row in DIFFERENT if name.startswith(row)), key=len, default="")
        for name in FILES
    }
    assert set(DIFFERENT) <= used
