"""DICOM images: how they are rendered, and which are refused."""

import io
import re
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from tests.unit.pictures import assert_plain, picture, read, reason
from workflow_scripts.cxrcam.images.limits import UnreadableImage


def dicom(pixels: np.ndarray | None = None, photometric: str = "MONOCHROME2") -> Dataset:
    pixels = picture().astype(np.uint16) * 16 if pixels is None else pixels
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return dataset


def dicom_bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_dicom_spreads_its_own_range_over_8_bits():
    image = read(dicom_bytes(dicom()))
    assert image.mode == "DICOM MONOCHROME2" and image.pixels.shape == (40, 60)
    low, high = int(picture().min()), int(picture().max())
    assert np.array_equal(image.pixels, np.rint((picture() - float(low)) * 255 / (high - low)))


def test_monochrome1_is_inverted():
    plain = read(dicom_bytes(dicom())).pixels
    inverted = read(dicom_bytes(dicom(photometric="MONOCHROME1")))
    assert inverted.mode == "DICOM MONOCHROME1"
    assert np.array_equal(inverted.pixels, 255 - plain)


def test_rescale_comes_before_the_first_window():
    """Values 0..4080, rescaled by 2 x - 1000; windows of DICOM PS3.3, C.11.2.1.2."""
    dataset = dicom()
    dataset.RescaleSlope, dataset.RescaleIntercept = 2, -1000
    dataset.WindowCenter, dataset.WindowWidth = [3000, 1], [2001, 7]
    values = picture().astype(float) * 16 * 2 - 1000
    expected = np.rint(np.clip((values - (3000 - 0.5)) / 2000 + 0.5, 0, 1) * 255)
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, expected)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", lambda v: np.clip((v - 2000) / 1000 + 0.5, 0, 1)),
        ("SIGMOID", lambda v: 1 / (1 + np.exp(-4 * (v - 2000) / 1000))),
    ],
)
def test_window_functions_follow_the_standard(function, expected):
    dataset = dicom()
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 2000, 1000, function
    values = picture().astype(float) * 16
    assert np.abs(read(dicom_bytes(dataset)).pixels - expected(values) * 255).max() <= 0.51


def test_voi_table_is_applied():
    pixels = picture()
    dataset = dicom(pixels)
    table = Dataset()
    table.LUTDescriptor = [256, 0, 8]
    table.LUTData = struct.pack("<256H", *range(255, -1, -1))
    table["LUTData"].VR = "OW"
    dataset.VOILUTSequence = [table]
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, 255 - pixels)


def test_padding_does_not_spoil_the_contrast():
    values = picture().astype(np.int16) * 4
    values[:, :5] = -2000
    dataset = dicom(values)
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    grey = read(dicom_bytes(dataset)).pixels
    assert grey[:, 5:].min() == 0 and grey.max() == 255 and not grey[:, :5].any()


def test_dicom_colour_becomes_luma():
    colour = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    image = read(dicom_bytes(dicom(colour, "RGB")))
    assert np.array_equal(image.pixels, np.asarray(Image.fromarray(colour).convert("L")))


def test_dicom_without_preamble_needs_its_suffix():
    content = dicom_bytes(dicom())[132:]
    assert read(content, Path("x.dcm")).mode == "DICOM MONOCHROME2"
    assert "not an image" in reason(content, Path("x.png"))


def changed(**elements) -> Dataset:
    dataset = dicom()
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"Rows": None}, "number of rows"),
        ({"PhotometricInterpretation": None}, "photometric"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"Rows": 60000, "Columns": 60000}, "more than the limit"),
        ({"WindowCenter": 5, "WindowWidth": 0}, "window width 0"),
        ({"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "OTHER"}, "window function"),
        ({"PhotometricInterpretation": "HSV"}, "HSV|damaged"),
    ],
)
def test_dicom_that_is_no_single_image_is_refused(elements, words):
    assert re.search(words, reason(dicom_bytes(changed(**elements))))


def test_cut_off_dicom_is_refused():
    content = dicom_bytes(dicom())
    for length in range(133, len(content) - 1, 97):
        assert reason(content[:length])
    assert "cut off" in reason(content[:-2])


def test_a_deflated_dicom_that_explodes_is_refused():
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, read(dicom_bytes(dicom())).pixels)
    dataset.PixelData = bytes(2**27)
    assert "expands" in reason(dicom_bytes(dataset))


@given(st.binary(min_size=1, max_size=8), st.integers(132, 1500))
@settings(max_examples=100)
def test_damaged_dicom_raises_nothing_but_unreadable_image(junk, position):
    content = bytearray(dicom_bytes(dicom()))
    content[position : position + len(junk)] = junk
    try:
        read(bytes(content))
    except UnreadableImage as error:
        assert_plain(str(error))
