"""Compressed DICOM: the pixels of each kind are those that were compressed."""

import io
import struct

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from tests.unit.dicom_encoders import STREAMS, compressed, with_frames
from tests.unit.pictures import assert_plain, picture, read, reason
from tests.unit.test_dicom import dicom, dicom_bytes
from workflow_scripts.cxrcam.images import dicom_pixels
from workflow_scripts.cxrcam.images.limits import UnreadableImage

PLAIN = picture(64, 96).astype(np.uint16) * 16 + 5  # 12 bits in 16
EIGHT = picture(64, 96)
LOSSLESS = [
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.RLELossless,
    uid.DeflatedExplicitVRLittleEndian,
]


def plain(pixels: np.ndarray, bits: int) -> Dataset:
    dataset = dicom(pixels)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    return dataset


def deviation(content: bytes, dataset: Dataset) -> float:
    """Largest difference in grey levels between a compressed file and the uncompressed one."""
    expected = read(dicom_bytes(dataset)).pixels.astype(float)
    return float(np.abs(read(content).pixels - expected).max())


@pytest.mark.parametrize("syntax", LOSSLESS, ids=str)
@pytest.mark.parametrize(("pixels", "bits"), [(PLAIN, 12), (PLAIN * 8, 16), (EIGHT, 8)])
def test_lossless_compression_changes_no_pixel(syntax, pixels, bits):
    content = compressed(plain(pixels, bits), syntax)
    assert dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID == syntax
    assert deviation(content, plain(pixels, bits)) == 0


@pytest.mark.parametrize(
    ("syntax", "pixels", "bits"),
    [
        (uid.JPEGBaseline8Bit, EIGHT, 8),
        (uid.JPEGExtended12Bit, EIGHT, 8),
        (uid.JPEGExtended12Bit, PLAIN, 12),
        (uid.JPEGLSNearLossless, PLAIN, 12),
        (uid.JPEG2000, PLAIN, 12),
    ],
)
def test_lossy_compression_changes_pixels_little(syntax, pixels, bits):
    assert deviation(compressed(plain(pixels, bits), syntax), plain(pixels, bits)) <= 3


def test_values_that_lossy_compression_pushes_beyond_their_bits_are_no_fault():
    values = PLAIN.copy()
    values[20:40, 20:40] = 4095
    content = compressed(plain(values, 12), uid.JPEGLSNearLossless)
    assert deviation(content, plain(values, 12)) <= 1


def frame_of(content: bytes) -> tuple[Dataset, bytes]:
    dataset = dcmread(io.BytesIO(content))
    return dataset, next(generate_frames(dataset.PixelData, number_of_frames=1))


@pytest.mark.parametrize("syntax", LOSSLESS, ids=str)
@pytest.mark.parametrize("bits", [12, 16])
def test_signs_of_compressed_values_are_kept(syntax, bits):
    values = PLAIN.astype(np.int16) - 2048
    dataset = dicom(values)
    expected = dicom_bytes(dicom(values))
    if bits == 12 and syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        dataset = dicom(values & 0x0FFF)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    assert np.array_equal(read(compressed(dataset, syntax)).pixels, read(expected).pixels)


def test_the_sign_of_a_jpeg_2000_stream_wins():
    """PixelRepresentation 0 over a signed stream: the image was white throughout."""
    values = PLAIN.astype(np.int16) - 2048
    dataset, frame = frame_of(compressed(dicom(values), uid.JPEG2000Lossless))
    dataset.PixelRepresentation = 0
    content = with_frames(dataset, uid.JPEG2000Lossless, frame)
    assert deviation(content, dicom(values)) == 0


def test_the_bits_of_a_stream_win():
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), uid.JPEG2000Lossless))
    dataset.BitsStored, dataset.HighBit, dataset.BitsAllocated = 8, 7, 8
    content = with_frames(dataset, uid.JPEG2000Lossless, frame)
    assert deviation(content, plain(PLAIN, 12)) == 0


def test_a_jpeg_2000_tile_of_open_length_with_a_fill_byte_is_read():
    """Both are allowed; together they were called damaged."""
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), uid.JPEG2000Lossless))
    frame = frame[: frame.rindex(b"\xff\xd9") + 2]
    start = frame.index(b"\xff\x90\x00\x0a")
    frame = frame[: start + 6] + bytes(4) + frame[start + 10 :]
    header_end = 4 + struct.unpack_from(">H", frame, 4)[0]
    comment = b"" if len(frame) % 2 else struct.pack(">HHHx", 0xFF64, 5, 1)
    frame = frame[:header_end] + comment + frame[header_end:]
    assert len(frame) % 2  # so that a byte fills it up
    content = with_frames(dataset, uid.JPEG2000Lossless, frame)
    assert deviation(content, plain(PLAIN, 12)) == 0


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLosslessSV1, uid.RLELossless])
def test_two_compressed_frames_that_are_not_counted_are_refused_by_their_number(syntax):
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), syntax))
    assert "2 frames" in reason(with_frames(dataset, syntax, frame, frame))


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_fragments_of_one_frame_are_joined(syntax):
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), syntax))
    content = with_frames(dataset, syntax, frame, fragments=3)
    assert deviation(content, plain(PLAIN, 12)) == 0


def test_a_fill_byte_may_be_anything_that_decoders_write():
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), uid.JPEGLosslessSV1))
    content = with_frames(dataset, uid.JPEGLosslessSV1, frame.rstrip(b"\0") + b"\xff\0\0")
    assert deviation(content, plain(PLAIN, 12)) == 0


@pytest.mark.parametrize("syntax", STREAMS, ids=str)
def test_a_stream_that_is_cut_off_is_refused(syntax):
    """Decoders pad such images."""
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    content = compressed(plain(EIGHT if bits == 8 else PLAIN, bits), syntax)
    for length in range(len(content) // 2, len(content) - 20, len(content) // 9):
        assert "cut off" in reason(content[:length])
    dataset, frame = frame_of(content)
    for length in range(len(frame) // 2, len(frame) - 4, len(frame) // 9):
        assert "cut off" in reason(with_frames(dataset, syntax, frame[:length]))


def test_a_stream_of_another_size_is_refused_by_both_sizes():
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), uid.JPEGLosslessSV1))
    dataset.Rows = 65
    words = reason(with_frames(dataset, uid.JPEGLosslessSV1, frame))
    assert "96 x 65" in words and "96 x 64" in words and "exported again" in words


@pytest.mark.parametrize("syntax", STREAMS, ids=str)
def test_damaged_streams_are_refused_or_read_and_end_nothing(syntax):
    """Some decoders end the whole process."""
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    dataset, frame = frame_of(compressed(plain(EIGHT if bits == 8 else PLAIN, bits), syntax))
    rng = np.random.default_rng(5)
    for k in range(60):
        place = int(rng.integers(2, 200 if k % 3 else len(frame) - 10))
        junk = rng.bytes(int(rng.integers(1, 9)))
        broken = frame[:place] + junk + frame[place + len(junk) :]
        try:
            image = read(with_frames(dataset, syntax, broken))
            assert image.pixels.shape == PLAIN.shape
        except UnreadableImage as error:
            assert_plain(str(error))


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.HTJ2KLossless])
def test_a_missing_decoder_is_named_with_the_package_that_brings_it(syntax, monkeypatch):
    monkeypatch.setattr(dicom_pixels, "can_decode", lambda: False)
    words = reason(with_frames(dicom(), syntax, b"\xff\xd8\xff\xd9"))
    assert syntax.name in words and "pip install imagecodecs" in words


def test_videos_and_unknown_compressions_are_refused_for_what_they_are():
    assert "video" in reason(with_frames(dicom(), uid.MPEG2MPML, b"\0\0\1\xb3"))
    private = dicom_bytes(dicom()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.5.6.7.8.9.0\0")
    assert "exported again" in reason(private)


def test_colour_jpeg_is_read_and_other_compressed_colour_is_refused_by_name():
    import imagecodecs

    colour = np.stack([EIGHT, EIGHT[::-1], EIGHT // 2], axis=2)
    dataset = dicom(colour, "YBR_FULL_422")
    jpeg = imagecodecs.jpeg8_encode(colour, level=99)
    read_back = read(with_frames(dataset, uid.JPEGBaseline8Bit, jpeg))
    expected = read(dicom_bytes(dicom(colour, "RGB"))).pixels.astype(float)
    assert np.abs(read_back.pixels - expected).mean() < 3
    words = reason(with_frames(dicom(colour, "RGB"), uid.JPEGLosslessSV1, jpeg))
    assert "colours" in words and "exported again" in words


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit], ids=str)
def test_a_jpeg_that_has_lost_data_is_refused(syntax):
    noise = np.random.default_rng(1).integers(0, 256, (128, 128)).astype(np.uint8)
    whole = STREAMS[syntax](noise, 8)
    middle = len(whole) // 2
    assert read(with_frames(plain(noise, 8), syntax, whole)).pixels.std() > 50
    lost = whole[:middle] + whole[middle + 600 :]
    assert "has lost a part of its image data" in reason(with_frames(plain(noise, 8), syntax, lost))
