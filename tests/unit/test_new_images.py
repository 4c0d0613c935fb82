"""Which files `predict_images` names, and what they are called."""

import os
from pathlib import Path

import pytest

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
