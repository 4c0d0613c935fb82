"""DICOM as hospitals store it: cases and speeds of `benchmarks.readers`."""

import gzip
import io
import multiprocessing
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from scipy.ndimage import gaussian_filter

from benchmarks.readers_case import Case
from tests.unit.dicom_encoders import STREAMS, compressed
from tests.unit.pictures import picture
from tests.unit.test_dicom import changed, dicom, dicom_bytes
from workflow_scripts.cxrcam.contracts import FACTS
from workflow_scripts.cxrcam.data.cache import shard_writer
from workflow_scripts.cxrcam.data.decoding import decoded_batches
from workflow_scripts.cxrcam.data.index_table import build_index
from workflow_scripts.cxrcam.images.files import read_grey

GREY = picture(64, 96)
TWELVE = GREY.astype(np.uint16) * 16 + 5
SIGNED = TWELVE.astype(np.int16) - 2048
SIDE = 2048

COMPRESSIONS = [*STREAMS, uid.RLELossless, uid.DeflatedExplicitVRLittleEndian]
LOSSY = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000)


def stretched(values: np.ndarray, part: np.ndarray | None = None) -> np.ndarray:
    """Minimum..maximum (of a part) as 0..255."""
    measured = values if part is None else part
    low, high = float(measured.min()), float(measured.max())
    return ((values.astype(float) - low) * 255 / (high - low)).clip(0, 255)


def bits(values: np.ndarray, stored: int, high: int | None = None, **elements: object) -> Dataset:
    """A data set that says how many bits it uses."""
    dataset = dicom(values)
    dataset.BitsStored, dataset.HighBit = stored, stored - 1 if high is None else high
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def table(entries: bytes, depth: int) -> Dataset:
    """An image of 12 bits with a VOI table of 4,096 entries."""
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, depth], entries
    item["LUTData"].VR = "OW"
    return bits(TWELVE, 12, VOILUTSequence=[item])


def bare(dataset: Dataset) -> bytes:
    """Implicit VR, without preamble and header."""
    stream = io.BytesIO()
    del dataset.file_meta
    dataset.save_as(stream, implicit_vr=True, little_endian=True)
    return stream.getvalue()


def cases() -> Iterator[Case]:
    """Every kind, with what is right."""
    yield from _stored()
    yield from _values()
    yield from _kinds()


def _stored() -> Iterator[Case]:
    for syntax in COMPRESSIONS:
        eight = syntax == uid.JPEGBaseline8Bit
        values, depth = (GREY, 8) if eight else (TWELVE, 12)
        yield Case(
            *(
                "compression",
                syntax.name,
                lambda s=syntax, v=values, d=depth: compressed(bits(v, d), s),
            ),
            pixels=stretched(values),
            near=3.0 if syntax in LOSSY else 0.5,
        )
    signed = lambda: compressed(dicom(SIGNED), uid.JPEG2000Lossless)  # noqa: E731
    yield Case("bits", "signed JPEG 2000", signed, stretched(TWELVE))
    yield Case(
        "bits",
        "signed JPEG 2000 that is said to be unsigned",
        lambda: signed().replace(struct.pack("<HH2sHH", 0x28, 0x103, b"US", 2, 1),
                                 struct.pack("<HH2sHH", 0x28, 0x103, b"US", 2, 0)),
        stretched(TWELVE),
    )  # fmt: skip
    yield Case("header", "bare implicit VR", lambda: bare(bits(TWELVE, 12)), stretched(TWELVE))
    yield Case(
        *("header", "gzip", lambda: gzip.compress(dicom_bytes(bits(TWELVE, 12)))),
        pixels=stretched(TWELVE),
        file_name="image.dcm.gz",
    )
    wide = lambda **e: dicom_bytes(bits(TWELVE, 12, **e))  # noqa: E731
    yield Case("size", "more pixels than rows and columns", lambda: wide(Columns=95), words="bytes")
    twice = lambda: wide(PixelData=TWELVE.tobytes() * 2)  # noqa: E731
    yield Case("size", "two frames, not counted", twice, words="2 frames")
    yield Case("size", "two frames", lambda: wide(NumberOfFrames=2), words="2 frames")
    high = lambda: dicom_bytes(bits(TWELVE << 4, 12, 15))  # noqa: E731
    yield Case("bits", "12 bits, high bit 15", high, stretched(TWELVE))
    ten = lambda: dicom_bytes(bits(TWELVE, 10))  # noqa: E731
    yield Case("bits", "10 bits, values of 12", ten, words="10 bits")


def _values() -> Iterator[Case]:
    few = lambda: dicom_bytes(table(struct.pack("<4096H", *range(4096)), 16))  # noqa: E731
    yield Case("VOI table", "16 bits, entries to 4,095", few, TWELVE * (255 / 4095))
    eighths = bytes(x // 16 for x in range(4096))
    words = struct.pack("<4096H", *eighths)
    yield Case("VOI table", "8 bits in words", lambda: dicom_bytes(table(words, 8)), TWELVE // 16)
    yield Case("VOI table", "8 bits, packed", lambda: dicom_bytes(table(eighths, 8)), TWELVE // 16)
    for name, values, center, width in (
        ("white", TWELVE + 12_000, 3174, 2426),
        ("17 grey levels", TWELVE // 4, 8191.5, 16383),
    ):
        dataset = bits(values, 16, WindowCenter=center, WindowWidth=width)
        content = lambda d=dataset: dicom_bytes(d)  # noqa: E731
        yield Case("window", name, content, stretched(values), note="window not believed")
    dead = TWELVE.copy()
    dead[30, 40] = 65535
    low, high = np.quantile(TWELVE, (0.005, 0.995))
    central = ((dead - low) * 255 / (high - low)).clip(0, 255)
    content = lambda: dicom_bytes(bits(dead, 16))  # noqa: E731
    yield Case(
        "range", "a dead pixel", content, central, near=2.0, note="robust range (central 99 %)"
    )
    empty = bits(TWELVE, 12, RescaleSlope=None, RescaleIntercept=None)
    yield Case("rescale", "empty", lambda: dicom_bytes(empty), stretched(TWELVE))
    for name, dataset, inner in _padded():
        expected = stretched(inner, inner[:, 10:])
        expected[:, :10] = 0
        yield Case("padding", name, lambda d=dataset: dicom_bytes(d), expected)


def _padded() -> Iterator[tuple[str, Dataset, np.ndarray]]:
    inverse = TWELVE.copy()
    inverse[:, :10] = 0
    dataset = bits(inverse, 12, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)
    yield "MONOCHROME1, 0", dataset, -inverse.astype(int)
    signed = TWELVE.astype(np.int16)
    signed[:, :10] = -2000
    dataset = bits(signed, 16)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    yield "signed, written without sign", dataset, signed
    ranged = TWELVE + np.uint16(1000)
    ranged[:, :5], ranged[:, 5:10] = 3, 40
    yield "a range", bits(ranged, 16, PixelPaddingValue=0, PixelPaddingRangeLimit=50), ranged


def _kinds() -> Iterator[Case]:
    plain = stretched(TWELVE)
    for name, elements, note in (
        ("presentation table", {"PresentationLUTShape": "INVERSE"}, "presentation LUT shape"),
        ("for processing", {"PresentationIntentType": "FOR PROCESSING"}, "raw image"),
    ):
        dataset = bits(TWELVE, 12, **elements)
        found = {"presentation LUT shape": f"{note} contradicts the photometric interpretation"}
        note = found.get(note, f"{note} (for processing)")
        yield Case("kind", name, lambda d=dataset: dicom_bytes(d), plain, note=note)
    mirrored = bits(np.ascontiguousarray(TWELVE[:, ::-1]), 12, PatientOrientation=["R", "F"])
    content = lambda: dicom_bytes(mirrored)  # noqa: E731
    yield Case("geometry", "mirrored", content, plain, note="orientation corrected")
    tall = bits(np.repeat(TWELVE, 2, axis=1), 12, PixelSpacing=[0.2, 0.1])
    both = stretched(np.repeat(np.repeat(TWELVE, 2, axis=0), 2, axis=1))
    content = lambda: dicom_bytes(tall)  # noqa: E731
    yield Case("geometry", "pixels of 2:1", content, both, near=90.0)
    for modality in ("CT", "MR", "US", "NM", "SEG"):
        content = lambda m=modality: dicom_bytes(changed(Modality=m))  # noqa: E731
        yield Case("kind", modality, content, words=f"modality {modality}")
    lateral = lambda: dicom_bytes(changed(ViewPosition="LL"))  # noqa: E731
    yield Case("kind", "lateral", lateral, words="lateral view")


# --- speed ----------------------------------------------------------------------------------------


def radiograph() -> np.ndarray:
    """Structure and noise of 12 bits, 2,048 × 2,048: compresses about as a radiograph does."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 20) * 40_000 + 2048
    return (smooth + rng.normal(0, 10, smooth.shape)).clip(0, 4095).astype(np.uint16)


def speeds(
    seconds: Callable[[Callable[[], object]], float],
) -> Iterator[tuple[str, float, float]]:
    """Name of the compression; seconds an image, of our reader and of decoding alone."""
    large = radiograph()
    for syntax in (uid.ExplicitVRLittleEndian, *COMPRESSIONS):
        eight = syntax == uid.JPEGBaseline8Bit
        dataset = bits((large // 16).astype(np.uint8), 8) if eight else bits(large, 12)
        content = compressed(dataset, syntax)
        ours = seconds(lambda c=content: read_grey(Path("image.dcm"), 10**8, c))
        yield syntax.name, ours, seconds(lambda c=content: _bare_decoding(c))


def _bare_decoding(content: bytes) -> object:
    """Nothing but parsing and decoding."""
    import imagecodecs
    from pydicom.encaps import generate_frames

    dataset = dcmread(io.BytesIO(content))
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in STREAMS:
        return dataset.pixel_array
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if syntax in uid.JPEG2000TransferSyntaxes:
        return imagecodecs.jpeg2k_decode(frame)
    is_ls = syntax in uid.JPEGLSTransferSyntaxes
    return imagecodecs.jpegls_decode(frame) if is_ls else imagecodecs.jpeg8_decode(frame)


def to_the_index(folder: Path, images: int) -> dict[str, Any]:
    """Images/s and peak memory from JPEG-lossless files to the index, two threads."""
    large = radiograph()
    for k in range(images):
        shifted = np.roll(large, 7 * k, axis=1)
        content = compressed(bits(shifted, 12, PatientID=f"P{k // 2}"), uid.JPEGLosslessSV1)
        (folder / f"{k:04d}.dcm").write_bytes(content)
    # A process of its own, whose peak memory is that of the jobs alone.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spent, mebibytes = pool.apply(_index, (folder, images))
    what = f"{images} JPEG-lossless images of {SIDE} x {SIDE} to the index"
    return {"what": what, "images/s": images / spent, "peak MiB": mebibytes}


def _index(folder: Path, images: int) -> tuple[float, float]:
    began = perf_counter()
    files = [(f"{k:04d}", folder / f"{k:04d}.dcm") for k in range(images)]
    tables = [FACTS.empty_table()]
    with shard_writer(folder / "shard.parquet", 224, {}) as write:
        for facts, names, pixels in decoded_batches(
            files, 224, "bilinear", 10**8, 2, "frontal_chest", bytes(32)
        ):
            write(names, pixels)
            tables.append(facts)
    facts = pa.concat_tables(tables).to_pandas()
    listing = pd.DataFrame({"image_id": [name for name, _ in files], "label": "A", "extra": "{}"})
    for column in ("path", "source", "mask_path", "lesion_mask_path", "patient", "split"):
        listing[column] = ""
    pairs = pd.DataFrame({"image_id_a": [], "image_id_b": []}, dtype=object)
    index, _ = build_index(listing, facts, pairs, {})
    if len(index) != images:
        raise RuntimeError(f"{len(index)} of {images} images reached the index")
    return perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
