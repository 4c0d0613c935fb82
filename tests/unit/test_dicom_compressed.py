"""Compressed DICOM: the pixels of each kind are those that were compressed."""

import io
import struct

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder

from tests.unit.dicom_encoders import compressed
from tests.unit.pictures import picture, read, reason
from tests.unit.test_dicom import dicom, dicom_bytes

pytest.importorskip("gdcm", reason="python-gdcm is not installed")
pytest.importorskip("openjpeg", reason="pylibjpeg-openjpeg is not installed")

PLAIN = picture(64, 96).astype(np.uint16) * 16 + 5  # 12 bits in 16
EIGHT = picture(64, 96)
LOSSLESS = [
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
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
    assert deviation(compressed(plain(pixels, bits), syntax), plain(pixels, bits)) <= 4


def frame_of(content: bytes) -> tuple[Dataset, bytes]:
    dataset = dcmread(io.BytesIO(content))
    return dataset, next(generate_frames(dataset.PixelData, number_of_frames=1))


def with_frame(dataset: Dataset, *frames: bytes) -> bytes:
    dataset.PixelData = encapsulate(list(frames))
    dataset["PixelData"].is_undefined_length = True
    return dicom_bytes(dataset)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLosslessSV1])
def test_signs_of_compressed_values_are_kept(syntax):
    values = PLAIN.astype(np.int16) - 2048
    dataset = dicom(values)
    assert deviation(compressed(dicom(values), syntax), dataset) == 0


def test_the_sign_of_a_jpeg_2000_stream_wins():
    """PixelRepresentation 0 over a signed stream: the image was white throughout."""
    values = PLAIN.astype(np.int16) - 2048
    dataset, frame = frame_of(compressed(dicom(values), uid.JPEG2000Lossless))
    dataset.PixelRepresentation = 0
    assert deviation(with_frame(dataset, frame), dicom(values)) == 0


def test_a_jpeg_2000_tile_of_open_length_with_a_fill_byte_is_read():
    """Both are allowed; together they were called damaged."""
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), uid.JPEG2000Lossless))
    frame = frame[: frame.rindex(b"\xff\xd9") + 2]
    start = frame.index(b"\xff\x90\x00\x0a")
    comment = b"" if len(frame) % 2 else struct.pack(">HHHx", 0xFF64, 5, 1)
    frame = frame[: start + 6] + bytes(4) + frame[start + 10 :]
    siz_end = 4 + struct.unpack_from(">H", frame, 4)[0]
    frame = frame[:siz_end] + comment + frame[siz_end:]
    assert len(frame) % 2  # so that a byte fills it up
    assert deviation(with_frame(dataset, frame), plain(PLAIN, 12)) == 0


def test_two_compressed_frames_that_are_not_counted_are_refused_by_their_number():
    for syntax in (uid.JPEG2000Lossless, uid.JPEGLosslessSV1, uid.RLELossless):
        dataset, frame = frame_of(compressed(plain(PLAIN, 12), syntax))
        assert "2 frames" in reason(with_frame(dataset, frame, frame)), syntax.name


def test_fragments_of_one_frame_are_joined():
    dataset, frame = frame_of(compressed(plain(PLAIN, 12), uid.JPEGLosslessSV1))
    dataset.PixelData = encapsulate([frame], fragments_per_frame=3)
    dataset["PixelData"].is_undefined_length = True
    assert deviation(dicom_bytes(dataset), plain(PLAIN, 12)) == 0


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_a_compressed_file_that_is_cut_off_is_refused(syntax):
    content = compressed(plain(PLAIN, 12), syntax)
    for length in range(len(content) // 2, len(content) - 20, len(content) // 9):
        assert reason(content[:length])


@pytest.mark.parametrize(
    ("syntax", "package"),
    [
        (uid.JPEGLosslessSV1, "python-gdcm"),
        (uid.JPEGLSLossless, "python-gdcm"),
        (uid.HTJ2KLossless, "pylibjpeg-openjpeg"),
    ],
)
def test_a_missing_decoder_is_named_with_the_package_that_brings_it(syntax, package, monkeypatch):
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = syntax
    words = reason(with_frame(dataset, b"\xff\xd8\xff\xd9"))
    assert syntax.name in words and f"pip install {package}" in words.replace("pylibjpeg py", "py")


def test_videos_and_unknown_compressions_are_refused_for_what_they_are():
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    assert "video" in reason(with_frame(dataset, b"\0\0\1\xb3"))
    private = dicom_bytes(dicom()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.5.6.7.8.9.0\0")
    assert "exported again" in reason(private)
