"""Compressed DICOM files, made by the encoders that come with the decoders."""

import tempfile
import warnings
from pathlib import Path

from pydicom import uid
from pydicom.dataset import Dataset

from tests.unit.test_dicom import dicom_bytes

GDCM_NAMES = {
    uid.JPEGBaseline8Bit: "JPEGBaselineProcess1",
    uid.JPEGExtended12Bit: "JPEGExtendedProcess2_4",
    uid.JPEGLossless: "JPEGLosslessProcess14",
    uid.JPEGLosslessSV1: "JPEGLosslessProcess14_1",
    uid.JPEGLSLossless: "JPEGLSLossless",
    uid.JPEGLSNearLossless: "JPEGLSNearLossless",
    uid.JPEG2000Lossless: "JPEG2000Lossless",
}


def compressed(dataset: Dataset, syntax: uid.UID) -> bytes:
    """A file of the same pixels, compressed."""
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
        return dicom_bytes(dataset)
    if syntax in GDCM_NAMES:
        return by_gdcm(dataset, GDCM_NAMES[syntax])
    options = {"j2k_cr": [2]} if syntax == uid.JPEG2000 else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.compress(syntax, generate_instance_uid=False, **options)
    return dicom_bytes(dataset)


def by_gdcm(dataset: Dataset, name: str) -> bytes:
    """A file that GDCM compressed; it works on files."""
    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder) / "plain.dcm", Path(folder) / "made.dcm"
        plain.write_bytes(dicom_bytes(dataset))
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
        change.SetInput(reader.GetImage())
        assert change.Change(), name
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(made))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return made.read_bytes()
