"""A missing decoder is told before the run, with the number of files that need it."""

import numpy as np
import pytest
from PIL import Image
from pydicom import uid

from tests.unit.dicom_encoders import STREAMS, compressed
from tests.unit.pictures import picture
from tests.unit.test_dicom import dicom, dicom_bytes
from workflow_scripts.cxrcam.data.listing import decoders
from workflow_scripts.cxrcam.data.listing.decoders import missing_decoders_in_words


def stored(syntax):
    dataset = dicom(picture(64, 96).astype(np.uint16) * 16)
    dataset.BitsStored, dataset.HighBit = 12, 11
    return compressed(dataset, syntax) if syntax else dicom_bytes(dataset)


@pytest.fixture
def paths(tmp_path):
    """Two compressed DICOM files, two that are not, one TIFF, one JPEG and one PNG."""
    Image.fromarray(picture(64, 96)).save(tmp_path / "a.tif")
    Image.fromarray(picture(64, 96)).save(tmp_path / "b.JPG")
    Image.fromarray(picture(64, 96)).save(tmp_path / "c.png")
    (tmp_path / "d.dcm").write_bytes(stored(uid.JPEGLosslessSV1))
    (tmp_path / "1.2.840.77").write_bytes(stored(uid.JPEG2000Lossless))
    (tmp_path / "e.dcm").write_bytes(stored(None))
    (tmp_path / "f.dcm").write_bytes(stored(uid.RLELossless))
    return sorted(map(str, tmp_path.iterdir()))


def without(monkeypatch, *packages):
    find_spec = decoders.find_spec
    monkeypatch.setattr(
        decoders, "find_spec", lambda name: None if name in packages else find_spec(name)
    )


def test_nothing_is_said_where_all_are_installed(paths):
    assert missing_decoders_in_words("mine", paths) == []


@pytest.mark.parametrize(
    ("package", "n_files"), [("imagecodecs", 3), ("simplejpeg", 1), ("tifffile", 1), ("pydicom", 4)]
)
def test_a_missing_package_is_named_with_the_files_that_need_it(
    monkeypatch, paths, package, n_files
):
    without(monkeypatch, package)
    (sentence,) = missing_decoders_in_words("mine", paths)
    assert sentence.startswith(f"{n_files} of the 7 images of data set mine")
    assert f"pip install {package}" in sentence


def test_a_package_that_no_file_needs_is_not_missed(monkeypatch, paths):
    without(monkeypatch, *decoders.DECODERS)
    assert missing_decoders_in_words("mine", [path for path in paths if path.endswith("png")]) == []


@pytest.mark.parametrize("syntax", STREAMS, ids=str)
def test_each_kind_of_compression_is_recognised(monkeypatch, tmp_path, syntax):
    without(monkeypatch, "imagecodecs")
    dataset = dicom(picture(64, 96))
    (tmp_path / "x.dcm").write_bytes(compressed(dataset, syntax))
    assert len(missing_decoders_in_words("mine", [str(tmp_path / "x.dcm")])) == 1
