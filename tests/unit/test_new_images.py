"""Which files `predict_images` names, and what they are called; and whether they are in colour."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.test_dicom import dicom, dicom_bytes
from workflow_scripts.cxrcam.images.colour import colourfulness, may_hold_colour
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.new_images.answers import MOST_COLOUR
from workflow_scripts.cxrcam.new_images.listing import (
    NewImagesError,
    folder_name,
    list_new_images,
    new_images_fingerprint,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "a.jpg", "deep/er/a.png", "IM0001", ".hidden", ".git/x.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(name.encode())
    return tmp_path / "in"


def ids(named: object) -> list[str]:
    return [image.image_id for image in list_new_images(named)]


def test_a_folder_is_all_of_its_files_and_names_do_not_collide(folder: Path) -> None:
    assert ids(str(folder)) == ["IM0001", "a.jpg", "a.png", "deep/er/a.png"]
    assert ids(f"{folder}/") == ids(str(folder))


def test_a_file_a_glob_and_a_list_name_files_too(folder: Path) -> None:
    assert ids(str(folder / "a.png")) == ["a.png"]
    assert ids(f"{folder}/**/*.png") == ["a.png", "deep/er/a.png"]
    assert ids(f"{folder}/d*") == ["a.png"]
    both = [str(folder / "a.png"), f"{folder}/./a.png", f"{folder}/a.*"]
    assert ids(both) == ["a.jpg", "a.png"], "one file that is named twice is one image"


def test_names_with_special_characters_are_names_not_globs(folder: Path) -> None:
    odd = folder / "scan [1].png"
    odd.write_bytes(b"x")
    assert ids(str(odd)) == ["scan [1].png"]


def test_names_that_are_no_text_are_told_apart(folder: Path) -> None:
    # Bytes that no UTF-8 has, and a name that reads as their escape.
    for name in (b"r\xe9sum\xe9.png", rb"r\xe9sum\xe9.png"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)
    found = [image for image in list_new_images(str(folder)) if "sum" in image.image_id]
    assert len({image.image_id for image in found}) == 2
    assert all(Path(image.path).read_bytes() for image in found)
    assert all(image.image_id.encode() for image in found)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("nowhere", ["'nowhere'", "does not exist", "looked from"]),
        ("no*thing", ["'no*thing'", "matches no file", "quotes"]),
        ("empty", ["'empty'", "holds no file"]),
        ("hidden", ["'hidden'", "holds no file"]),
        ("dangling", ["'dangling'", "leads nowhere"]),
        ("x" * 5000, ["does not exist"]),
    ],
)
def test_what_names_nothing_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".x.png").touch()
    (tmp_path / "dangling").symlink_to("gone")
    with pytest.raises(NewImagesError) as caught:
        list_new_images(named)
    assert all(word in str(caught.value) for word in words), caught.value


def test_the_fingerprint_notices_what_comes_goes_and_changes(folder: Path) -> None:
    def now() -> str:
        return new_images_fingerprint(list_new_images(str(folder)))

    seen = [now()]
    (folder / "b.png").write_bytes(b"b")
    seen.append(now())
    (folder / "b.png").write_bytes(b"other")
    seen.append(now())
    os.utime(folder / "b.png", ns=(0, 0))
    seen.append(now())
    (folder / "b.png").unlink()
    assert now() == seen[0]
    assert len(set(seen)) == 4


def test_results_of_two_folders_never_share_a_place() -> None:
    names = [folder_name(n) for n in ("a/images", "b/images", "images/*.png", ["a/images", "c"])]
    assert [name[:7] for name in names] == ["images-"] * 4
    assert len(set(names)) == 4
    assert folder_name("a/images/") == names[0]
    assert all(c.isalnum() or c == "-" for c in folder_name("/data/Röntgen & <b>{x}</b> %s" * 9))
    assert folder_name("*.png").startswith("images-")


# --- colour ---------------------------------------------------------------------------------------


def colour_of(path: Path) -> float:
    return colourfulness(path.read_bytes(), read_grey(path, 10**8).mode)


def photo(side: int = 96) -> Image.Image:
    cells = np.random.default_rng(3).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.tif"])
def test_a_photograph_is_in_colour_whatever_it_is_stored_as(tmp_path: Path, name: str) -> None:
    photo().save(tmp_path / name)
    assert colour_of(tmp_path / name) > 2 * MOST_COLOUR


def test_grey_in_three_channels_and_a_coloured_label_are_no_photograph(tmp_path: Path) -> None:
    grey = photo().convert("L")
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").save(tmp_path / "rgb.png")
    labelled = grey.convert("RGB")
    labelled.paste((255, 0, 0), (5, 5, 20, 12))
    labelled.save(tmp_path / "labelled.jpg")
    assert colour_of(tmp_path / "grey.png") == colour_of(tmp_path / "rgb.png") == 0.0
    assert 0.0 < colour_of(tmp_path / "labelled.jpg") < MOST_COLOUR


def test_dicom_in_colour_is_in_colour_and_grey_dicom_is_not() -> None:
    assert not may_hold_colour("DICOM MONOCHROME1")
    encoded = dicom_bytes(dicom(np.asarray(photo(64)), "RGB"))
    assert colourfulness(encoded, "DICOM RGB") > 2 * MOST_COLOUR
