"""Where values of DICOM images lie: bits, lengths, frames, geometry, files without a header."""

import gzip
import io

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from tests.unit.pictures import picture, read, reason
from tests.unit.test_dicom import changed, dicom, dicom_bytes

PLAIN = picture().astype(np.uint16) * 16
EXPECTED = read(dicom_bytes(dicom())).pixels


def bare(dataset: Dataset, *, implicit: bool) -> bytes:
    """The data set alone: no preamble, no header, as old archives keep it."""
    stream = io.BytesIO()
    dataset = dicom() if dataset is None else dataset
    del dataset.file_meta
    dataset.save_as(stream, implicit_vr=implicit, little_endian=True)
    return stream.getvalue()


# --- files without a header -----------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [True, False])
def test_a_bare_data_set_is_read(tmp_path, implicit):
    content = bare(dicom(), implicit=implicit)
    assert np.array_equal(read(content, tmp_path / "x.dcm").pixels, EXPECTED)


def without_transfer_syntax() -> bytes:
    """The header says everything but how the rest is written."""
    content = dicom_bytes(dicom())
    start = content.index(b"\x02\x00\x10\x00UI")
    length = 8 + int.from_bytes(content[start + 6 : start + 8], "little")
    group = int.from_bytes(content[140:144], "little") - length
    header = content[:140] + group.to_bytes(4, "little") + content[144:start]
    return header + content[start + length :]


def test_a_missing_transfer_syntax_is_told_by_the_length():
    assert np.array_equal(read(without_transfer_syntax()).pixels, EXPECTED)


def test_a_missing_transfer_syntax_of_other_lengths_is_refused_with_the_way_out(tmp_path):
    content = bare(changed(Rows=39), implicit=True)
    words = reason(content, tmp_path / "x.dcm")
    assert "transfer syntax" in words and "exported again" in words


def test_big_endian_is_read():
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = PLAIN.astype(">u2").tobytes()
    stream = io.BytesIO()
    dataset.save_as(stream, implicit_vr=False, little_endian=False, enforce_file_format=True)
    assert np.array_equal(read(stream.getvalue()).pixels, EXPECTED)


@pytest.mark.parametrize("preamble", [True, False])
def test_a_file_that_gzip_compressed_is_read(tmp_path, preamble):
    content = dicom_bytes(dicom()) if preamble else bare(dicom(), implicit=True)
    packed = gzip.compress(content, mtime=0)
    assert np.array_equal(read(packed, tmp_path / "x.dcm.gz").pixels, EXPECTED)


def test_gzip_that_is_cut_off_or_explodes_or_holds_no_image_is_refused(tmp_path):
    packed = gzip.compress(dicom_bytes(dicom()))
    assert "cut off" in reason(packed[:-9], tmp_path / "x.dcm.gz")
    assert "expands" in reason(gzip.compress(bytes(2**27)), tmp_path / "x.dcm.gz")
    assert "not an image" in reason(gzip.compress(b"text"), tmp_path / "x.txt.gz")


# --- bits -----------------------------------------------------------------------------------------


def test_values_in_the_high_bits_are_moved_down():
    """BitsStored 12, HighBit 15, with an overlay below: it was noise."""
    noise = np.random.default_rng(0).integers(0, 16, PLAIN.shape, dtype=np.uint16)
    dataset = dicom(PLAIN << 4 | noise)
    dataset.BitsStored, dataset.HighBit = 12, 15
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    plain = changed(WindowCenter=2048, WindowWidth=4096)
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, read(dicom_bytes(plain)).pixels)


def test_a_wrong_high_bit_moves_nothing():
    dataset = dicom(PLAIN + 1)
    dataset.BitsStored, dataset.HighBit = 12, 15
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, EXPECTED)


def test_overlays_in_unused_bits_are_left_out():
    dataset = dicom(PLAIN | 0x8000)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 15)
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, EXPECTED)


def test_values_of_more_bits_than_declared_are_refused():
    """12 bits that were called 10 came out as noise."""
    words = reason(dicom_bytes(changed(BitsStored=10, HighBit=9)))
    assert "10 bits" in words and str(int(PLAIN.max())) in words and "exported again" in words


@pytest.mark.parametrize("extended", [True, False])
def test_signed_values_of_12_bits_are_read_with_their_sign(extended):
    values = PLAIN.astype(np.int16) - 2048
    dataset = dicom(values if extended else values & 0x0FFF)
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 1
    assert np.array_equal(read(dicom_bytes(dataset)).pixels, EXPECTED)


def test_packed_pixels_are_refused_by_their_bits():
    assert "12 bits" in reason(dicom_bytes(changed(BitsAllocated=12)))


# --- lengths and frames ---------------------------------------------------------------------------


def test_more_pixels_than_rows_and_columns_are_refused():
    """The image came out sheared."""
    words = reason(dicom_bytes(changed(Columns=59)))
    assert "4800 bytes" in words and "59 columns" in words and "size" in words


def test_two_frames_that_are_not_counted_are_refused_by_their_number():
    dataset = dicom()
    dataset.PixelData = PLAIN.tobytes() * 2
    assert "2 frames" in reason(dicom_bytes(dataset))


def test_the_byte_that_makes_a_length_even_is_no_pixel():
    odd = picture(17, 17)
    dataset = dicom(odd)
    dataset.PixelData = odd.tobytes() + b"\0"
    assert read(dicom_bytes(dataset)).pixels.shape == (17, 17)


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "shape"),
    [
        ({"PixelAspectRatio": [2, 1]}, (80, 60)),
        ({"PixelAspectRatio": [1, 2]}, (40, 120)),
        ({"PixelSpacing": [0.4, 0.2]}, (80, 60)),
        ({"ImagerPixelSpacing": [0.1, 0.15]}, (40, 90)),
    ],
)
def test_unequal_pixels_are_made_square(elements, shape):
    image = read(dicom_bytes(changed(**elements)))
    assert image.pixels.shape == shape == (image.height, image.width)
    assert image.notes == ["unequal pixel spacing corrected"]
    assert abs(float(image.pixels.mean()) - float(EXPECTED.mean())) < 2


@pytest.mark.parametrize("spacing", [[0.2, 0.2], [0, 0], [0.2, 0.2001], None])
def test_equal_pixels_are_left(spacing):
    dataset = dicom()
    dataset.PixelSpacing = spacing
    image = read(dicom_bytes(dataset))
    assert np.array_equal(image.pixels, EXPECTED) and image.notes == []


def test_an_absurd_spacing_is_not_believed_and_said():
    image = read(dicom_bytes(changed(PixelSpacing=[100, 0.2])))
    assert np.array_equal(image.pixels, EXPECTED)
    assert image.notes == ["pixel spacing not believed"]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (["R", "F"], EXPECTED[:, ::-1]),
        (["L", "H"], EXPECTED[::-1]),
        (["R", "H"], EXPECTED[::-1, ::-1]),
        (["F", "L"], EXPECTED.T),
        (["H", "L"], EXPECTED[::-1].T),
        (["F", "R"], EXPECTED[:, ::-1].T),
        (["LF", "FR"], EXPECTED),
    ],
)
def test_images_are_turned_upright_by_the_patient_orientation(orientation, stored):
    image = read(dicom_bytes(_eight_bit(stored, orientation)))
    assert np.array_equal(image.pixels, EXPECTED)
    assert image.notes == ([] if orientation == ["LF", "FR"] else ["orientation corrected"])


def _eight_bit(stored: np.ndarray, orientation: list[str]) -> Dataset:
    dataset = dicom(np.ascontiguousarray(stored))
    dataset.PatientOrientation = orientation
    return dataset


@pytest.mark.parametrize("orientation", [["A", "F"], ["X", "Y"], ["L"], [], ["L", "L"]])
def test_an_orientation_that_is_not_frontal_or_not_understood_turns_nothing(orientation):
    dataset = dicom()
    dataset.PatientOrientation = orientation
    image = read(dicom_bytes(dataset))
    assert np.array_equal(image.pixels, EXPECTED) and image.notes == []
