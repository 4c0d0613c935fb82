"""Compressed DICOM files, made by the encoders that come with the decoders."""

import warnings
from collections.abc import Callable

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.unit.test_dicom import dicom_bytes

Encode = Callable[[np.ndarray, int], bytes]

STREAMS: dict[uid.UID, Encode] = {
    uid.JPEGBaseline8Bit: lambda a, bits: imagecodecs.jpeg8_encode(a, level=99),
    uid.JPEGExtended12Bit: lambda a, bits: imagecodecs.jpeg8_encode(a, 99, bitspersample=bits),
    uid.JPEGLossless: lambda a, bits: imagecodecs.jpeg8_encode(
        a, lossless=True, predictor=6, bitspersample=bits
    ),
    uid.JPEGLosslessSV1: lambda a, bits: imagecodecs.jpeg8_encode(
        a, lossless=True, predictor=1, bitspersample=bits
    ),
    uid.JPEGLSLossless: lambda a, bits: imagecodecs.jpegls_encode(a),
    uid.JPEGLSNearLossless: lambda a, bits: imagecodecs.jpegls_encode(a, level=3),
    uid.JPEG2000Lossless: lambda a, bits: imagecodecs.jpeg2k_encode(
        a, codecformat="j2k", reversible=True, level=0, bitspersample=bits
    ),
    uid.JPEG2000: lambda a, bits: imagecodecs.jpeg2k_encode(
        a, codecformat="j2k", reversible=False, level=70, bitspersample=bits
    ),
    uid.HTJ2KLossless: lambda a, bits: imagecodecs.htj2k_encode(a, reversible=True),
    uid.HTJ2KLosslessRPCL: lambda a, bits: imagecodecs.htj2k_encode(a, reversible=True),
}


def compressed(dataset: Dataset, syntax: uid.UID) -> bytes:
    """A file of the same pixels, compressed."""
    if syntax in STREAMS:
        kind = "i" if dataset.PixelRepresentation else "u"
        values = np.frombuffer(dataset.PixelData, f"<{kind}{dataset.BitsAllocated // 8}")
        values = values.reshape(dataset.Rows, dataset.Columns)
        if kind == "i" and syntax not in uid.JPEG2000TransferSyntaxes:
            values = values.view(f"u{values.dtype.itemsize}")  # these kinds know no sign
        return with_frames(dataset, syntax, STREAMS[syntax](values, dataset.BitsStored))
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.RLELossless:
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.compress(syntax, generate_instance_uid=False)
    return dicom_bytes(dataset)


def with_frames(dataset: Dataset, syntax: uid.UID, *frames: bytes, fragments: int = 1) -> bytes:
    """A file of compressed frames."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(list(frames), fragments_per_frame=fragments)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dicom_bytes(dataset)
