"""How values of DICOM images become grey: tables, windows that show nothing, padding, outliers."""

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.unit.pictures import picture, read, reason
from tests.unit.test_dicom import changed, dicom, dicom_bytes

PLAIN = picture().astype(np.uint16) * 16  # 12 bits in 16


def grey_of(dataset: Dataset) -> np.ndarray:
    return read(dicom_bytes(dataset)).pixels


def notes_of(dataset: Dataset) -> list[str]:
    return read(dicom_bytes(dataset)).notes


def stretched(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return np.rint((values.astype(float) - low) * 255 / (high - low)).clip(0, 255)


def with_table(values: np.ndarray, descriptor: list[int], data: bytes, vr: str = "OW") -> Dataset:
    dataset, table = dicom(values), Dataset()
    table.LUTDescriptor = descriptor
    table.LUTData = data
    table["LUTData"].VR = vr
    dataset.VOILUTSequence = [table]
    return dataset


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_that_uses_few_of_its_bits_is_scaled_by_its_largest_entry():
    """16 bits declared, entries up to 4,095: the image was nearly black."""
    dataset = with_table(PLAIN, [4096, 0, 16], struct.pack("<4096H", *range(4096)))
    image = read(dicom_bytes(dataset))
    assert np.array_equal(image.pixels, np.rint(PLAIN * (255 / 4095)))
    assert image.notes == ["VOI table scaled by its largest entry"]


def test_a_table_that_uses_its_bits_is_scaled_by_them():
    dataset = with_table(PLAIN, [4096, 0, 12], struct.pack("<4096H", *range(4096)))
    assert np.array_equal(grey_of(dataset), np.rint(PLAIN * (255 / 4095)))
    assert notes_of(dataset) == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_8_bits_holds_as_many_values_as_it_says(packed):
    """Values above 255 wrapped around; entries may come one or two in a word."""
    entries = [x // 16 for x in range(4096)]
    data = bytes(entries) if packed else struct.pack("<4096H", *entries)
    dataset = with_table(PLAIN, [4096, 0, 8], data)
    assert np.array_equal(grey_of(dataset), PLAIN // 16)


@pytest.mark.parametrize(("vr", "first"), [("SS", -2048), ("US", 2**16 - 2048)])
def test_a_table_may_begin_below_zero(vr, first):
    values = (PLAIN.astype(np.int32) - 2048).astype(np.int16)
    dataset = with_table(values, [4096, first, 12], struct.pack("<4096H", *range(4096)))
    dataset.VOILUTSequence[0]["LUTDescriptor"].VR = vr
    assert np.array_equal(grey_of(dataset), np.rint(PLAIN * (255 / 4095)))


def test_a_table_that_is_too_short_is_refused():
    words = reason(dicom_bytes(with_table(PLAIN, [4096, 0, 12], bytes(100))))
    assert "100 bytes for 4096 entries" in words


def test_a_modality_table_comes_before_the_range():
    dataset, table = dicom(picture()), Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [256, 0, 16], "US"
    table.LUTData = struct.pack("<256H", *(x * x for x in range(256)))
    table["LUTData"].VR = "OW"
    dataset.ModalityLUTSequence = [table]
    assert np.array_equal(grey_of(dataset), stretched(picture().astype(float) ** 2))


@pytest.mark.parametrize("slope", [None, ""])
def test_an_empty_slope_changes_nothing(slope):
    """It was called damaged."""
    dataset = dicom()
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, slope
    assert np.array_equal(grey_of(dataset), stretched(PLAIN))


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "center", "width"),
    [(12_000 + PLAIN, 3174, 2426), ((PLAIN // 4).clip(0, 1071), 8191.5, 16383)],
)
def test_a_window_that_leaves_a_sliver_of_greys_is_not_believed(values, center, width):
    """One was white throughout, the other used 17 of 255 grey levels."""
    dataset = dicom(values.astype(np.uint16))
    dataset.WindowCenter, dataset.WindowWidth = center, width
    image = read(dicom_bytes(dataset))
    assert np.array_equal(image.pixels, stretched(values))
    assert image.notes == ["window not believed"]


def test_a_window_that_shows_the_image_is_believed():
    dataset = dicom()
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    image = read(dicom_bytes(dataset))
    assert image.notes == []
    assert int(image.pixels.min()) == round(int(picture().min()) * 16 * 255 / 4095)


def test_a_window_of_the_functional_groups_is_applied():
    dataset = dicom()
    dataset.WindowCenter, dataset.WindowWidth = 3000, 2001
    expected = grey_of(dataset)
    enhanced, group, window = dicom(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 3000, 2001
    group.FrameVOILUTSequence = [window]
    enhanced.SharedFunctionalGroupsSequence = [group]
    image = read(dicom_bytes(enhanced))
    assert np.array_equal(image.pixels, expected) and not np.array_equal(expected, grey_of(dicom()))
    assert image.notes == ["window or rescale of the functional groups"]


# --- own range ------------------------------------------------------------------------------------


def test_one_dead_pixel_does_not_take_the_contrast():
    """With it, the standard deviation of the image fell from 77 to 1."""
    values = PLAIN.copy()
    values[20, 30] = 65535
    image = read(dicom_bytes(dicom(values)))
    assert image.notes == ["robust range (central 99 %)"]
    assert 50 < stretched(PLAIN).std() < image.pixels.std() < 60
    assert image.pixels[20, 30] == 255


def test_a_dead_pixel_below_a_signed_image_does_not_either():
    values = PLAIN.astype(np.int16)
    values[3, 3] = -32768
    assert 50 < grey_of(dicom(values)).std() < 60


def test_a_wide_range_that_many_pixels_use_is_kept():
    values = PLAIN.copy()
    values[:, :3] = 65535  # 5 % of the image
    assert np.array_equal(grey_of(dicom(values)), stretched(values))


# --- padding and polarity -------------------------------------------------------------------------


def test_padding_of_monochrome1_is_black_too():
    """Bars at the sides came out white."""
    values = PLAIN.copy()
    values[:, :10] = 0
    dataset = dicom(values, "MONOCHROME1")
    dataset.PixelPaddingValue = 0
    grey = grey_of(dataset)
    assert not grey[:, :10].any()
    assert np.array_equal(grey[:, 10:], 255 - stretched(PLAIN[:, 10:]))


@pytest.mark.parametrize(("vr", "written"), [("US", 2**16 - 2000), ("SS", -2000)])
def test_padding_of_signed_pixels_may_be_written_without_sign(vr, written):
    values = PLAIN.astype(np.int16)
    values[:, :10] = -2000
    dataset = dicom(values)
    dataset.add_new("PixelPaddingValue", vr, written)
    grey = grey_of(dataset)
    assert not grey[:, :10].any()
    assert np.array_equal(grey[:, 10:], stretched(PLAIN[:, 10:]))


def test_padding_can_be_a_range():
    values = PLAIN.copy() + 1000
    values[:, :5], values[:, 5:10] = 10, 40
    dataset = dicom(values)
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 0, 50
    grey = grey_of(dataset)
    assert not grey[:, :10].any()
    assert np.array_equal(grey[:, 10:], stretched(values[:, 10:]))


def test_padding_stays_black_in_a_window():
    values = PLAIN.copy()
    values[:, :10] = 60000
    dataset = dicom(values)
    dataset.PixelPaddingValue = 60000
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    assert not grey_of(dataset)[:, :10].any()


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME2", "INVERSE"), ("MONOCHROME1", "IDENTITY")]
)
def test_the_photometric_interpretation_wins_over_the_presentation_table(photometric, shape):
    dataset = dicom(photometric=photometric)
    plain = grey_of(dataset)
    dataset.PresentationLUTShape = shape
    assert np.array_equal(grey_of(dataset), plain)
    assert notes_of(dataset) == [
        "presentation LUT shape contradicts the photometric interpretation"
    ]


def test_consistent_presentation_tables_are_not_noted():
    dataset = dicom(photometric="MONOCHROME1")
    dataset.PresentationLUTShape = "INVERSE"
    assert notes_of(dataset) == [] == notes_of(changed(PresentationLUTShape="IDENTITY"))
