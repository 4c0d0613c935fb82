"""Small DICOM files of many kinds, on which the browser's page and the workflow are compared."""

import io
import struct
import warnings
from itertools import product

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset

from tests.unit.dicom_encoders import compressed
from tests.unit.pictures import picture
from tests.unit.test_dicom import dicom, dicom_bytes

PLAIN = picture().astype(np.uint16) * 16  # 12 bits in 16
SIGNED = (PLAIN.astype(np.int32) - 2048).astype(np.int16)


def with_elements(values: np.ndarray = PLAIN, **elements: object) -> Dataset:
    """A plain file with some elements set, or empty."""
    dataset = dicom(values)
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def written(dataset: Dataset, syntax: str) -> bytes:
    """The file in an uncompressed transfer syntax."""
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def with_table(
    values: np.ndarray,
    first: int,
    bits: int,
    data: bytes,
    vr: str,
    sequence: str = "VOILUTSequence",
) -> Dataset:
    """A file with a look-up table of 4,096 entries."""
    table = Dataset()
    table.LUTDescriptor = [4096, first, bits]
    table["LUTDescriptor"].VR = vr
    table.LUTData = data
    table["LUTData"].VR = "OW"
    if sequence == "ModalityLUTSequence":
        table.ModalityLUTType = "US"
    return with_elements(values, **{sequence: [table]})


def _plain() -> dict[str, Dataset]:
    unusual = np.full((40, 60), 1000, np.uint16) + PLAIN // 16
    unusual[0, :3] = 65535, 0, 60000
    unsigned_padding = with_elements(SIGNED.clip(-1000), PixelPaddingValue=2**16 - 1000)
    unsigned_padding["PixelPaddingValue"].VR = "US"
    return {
        "16 bits": dicom(),
        "12 bits": with_elements(BitsStored=12, HighBit=11),
        "12 bits, more used": with_elements(PLAIN * 4, BitsStored=12, HighBit=11),
        "8 bits": dicom(picture()),
        "8 bits, odd length": dicom(picture(41, 61)),
        "signed": dicom(SIGNED),
        "signed, 8 bits": dicom((picture().astype(int) - 128).astype(np.int8)),
        "MONOCHROME1": dicom(photometric="MONOCHROME1"),
        "outliers": dicom(unusual),
        "large, outliers": dicom(np.pad(np.tile(unusual, (25, 20)), ((0, 11), (0, 7)))),
        "one value": dicom(PLAIN * 0 + 7),
        "a size of its own": with_elements(Rows=39),
        "two frames": with_elements(NumberOfFrames=2, PixelData=PLAIN.tobytes() * 2),
        "one frame": with_elements(NumberOfFrames=1),
        "cut off": with_elements(PixelData=PLAIN.tobytes()[:-200]),
        "no photometric interpretation": with_elements(PhotometricInterpretation=""),
        "15 rows": dicom(PLAIN[:15]),
        "slope and intercept": with_elements(RescaleSlope="2.5", RescaleIntercept="-1000"),
        "empty slope": with_elements(RescaleSlope=None, RescaleIntercept=None),
        "slope 0": with_elements(RescaleSlope=0, RescaleIntercept=3),
        "negative slope": with_elements(RescaleSlope=-1, RescaleIntercept=4095),
        "padding": with_elements(PixelPaddingValue=int(PLAIN[0, 0])),
        "padding of a range": with_elements(PixelPaddingValue=0, PixelPaddingRangeLimit=900),
        "padding without sign": unsigned_padding,
        "padding, inverted": with_elements(
            PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0, PixelPaddingRangeLimit=600
        ),
        "padding of 8 bits": with_elements(picture(), PixelPaddingValue=int(picture()[5, 5])),
        "presentation shape": with_elements(PresentationLUTShape="INVERSE"),
        "square pixels": with_elements(PixelSpacing=[0.143, 0.143]),
        "pixels that cannot be": with_elements(PixelSpacing=[1, 9]),
    }


def _windows() -> dict[str, Dataset]:
    functions = product(("LINEAR", "LINEAR_EXACT", "SIGMOID", "CUBIC", ""), (2048.5, 1), (1500, 7))
    found = {
        f"window {function or 'unnamed'} {center} {width}": with_elements(
            WindowCenter=center, WindowWidth=width, VOILUTFunction=function
        )
        for function, center, width in functions
    }
    return found | {
        "several windows": with_elements(WindowCenter=[3000, 1], WindowWidth=[2001, 7]),
        "window after slope": with_elements(
            SIGNED, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=0, WindowWidth=3000.5
        ),
        "window of width 1": with_elements(WindowCenter=2000, WindowWidth=1),
        "window of width 0": with_elements(WindowCenter=2000, WindowWidth=0),
        "window of no width": with_elements(WindowCenter=2000, WindowWidth=None),
        "window with padding": with_elements(
            WindowCenter=2000, WindowWidth=1800, PixelPaddingValue=0, PixelPaddingRangeLimit=700
        ),
    }


def _tables() -> dict[str, Dataset]:
    rising = struct.pack("<4096H", *range(4096))
    squares = struct.pack("<4096H", *(x * x // 256 for x in range(4096)))
    return {
        "table": with_table(PLAIN, 0, 12, rising, "US"),
        "table of squares": with_table(PLAIN, 500, 16, squares, "US"),
        "table that uses few bits": with_table(PLAIN, 0, 16, rising, "US"),
        "table of 8 bits": with_table(PLAIN, 0, 8, bytes(x // 16 for x in range(4096)), "US"),
        "table below zero, SS": with_table(SIGNED, -2048, 12, rising, "SS"),
        "table below zero, US": with_table(SIGNED, 2**16 - 2048, 12, rising, "US"),
        "table that is too short": with_table(PLAIN, 0, 12, bytes(100), "US"),
        "table that shows nothing": with_table(PLAIN, 0, 12, bytes(8190) + b"\1\0", "US"),
        "modality table": with_table(PLAIN, 0, 16, squares, "US", "ModalityLUTSequence"),
    }


def _directions() -> dict[str, Dataset]:
    pairs = [a + b for a, b in product("LRHFAP", "LRHFAP") if a != b] + ["L", ""]
    return {f"directions {pair}": with_elements(PatientOrientation=list(pair)) for pair in pairs}


def _others() -> dict[str, Dataset]:
    groups = Dataset()
    groups.FrameVOILUTSequence = [Dataset()]
    groups.FrameVOILUTSequence[0].WindowCenter = 2000
    groups.FrameVOILUTSequence[0].WindowWidth = 1500
    return {
        "functional groups": with_elements(SharedFunctionalGroupsSequence=[groups]),
        "values in high bits": with_elements(PLAIN * 16, BitsStored=12, HighBit=15),
        "wide pixels": with_elements(PixelSpacing=[1, 2]),
        "colour": dicom(np.stack([picture()] * 3, -1), "RGB"),
    }


def dicom_kinds() -> dict[str, bytes]:
    """Files by name. What both are expected to read comes in both uncompressed syntaxes."""
    both = _plain() | _windows() | _tables() | _directions() | _others()
    files = {}
    for name, dataset in both.items():
        files[f"DICOM: {name}"] = dicom_bytes(dataset)
        files[f"DICOM: {name} (implicit)"] = written(dataset, uid.ImplicitVRLittleEndian)
    files["DICOM: deflated"] = written(dicom(), uid.DeflatedExplicitVRLittleEndian)
    files["DICOM: JPEG Lossless"] = compressed(dicom(), uid.JPEGLosslessSV1)
    files["DICOM: junk"] = bytes(128) + b"DICM" + bytes(99)
    files["DICOM: half of it"] = dicom_bytes(dicom())[:900]
    return files
