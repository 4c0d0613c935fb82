"""Listings of data sets: nothing lost, nothing twice, and errors that say what to do."""

import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.cxrcam.data.listing.datasets import (
    class_sizes,
    find_root,
    list_images,
    listing_fingerprint,
    place,
    shard_count,
    shard_fingerprints,
    shard_number,
)
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile

PHANTOMS = Path("results/demo/phantoms")


def touch(folder: Path, *names: str) -> None:
    """Files by name: a listing never looks into them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def folders(root: Path, **settings) -> list[ImageFile]:
    return list_images({"kind": "class_folders", "root": str(root), **settings}, PHANTOMS)


def manifest(path: Path) -> list[ImageFile]:
    return list_images({"kind": "manifest", "path": str(path)}, PHANTOMS)


def written(folder: Path, text: str | bytes, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        manifest(path)
    return str(caught.value)


# --- one folder a class ---------------------------------------------------------------------------


def test_the_database_layout_gives_images_with_their_masks_and_lesions(tmp_path):
    touch(tmp_path, "COVID/images/COVID-1.png", "COVID/masks/COVID-1.png")
    touch(tmp_path, "COVID/lesions/COVID-1.png", "Normal/images/Normal-1.png")
    covid, normal = folders(tmp_path)
    assert covid.image_id == "COVID/COVID-1"
    assert covid.label == "COVID"
    assert Path(covid.path) == tmp_path / "COVID/images/COVID-1.png"
    assert Path(covid.mask_path) == tmp_path / "COVID/masks/COVID-1.png"
    assert Path(covid.lesion_mask_path) == tmp_path / "COVID/lesions/COVID-1.png"
    assert covid.size_bytes == len("COVID/images/COVID-1.png")
    assert (normal.image_id, normal.mask_path, normal.lesion_mask_path) == (
        *("Normal/Normal-1", "", ""),
    )


def test_the_flat_layout_gives_the_same_names_as_the_database_layout(tmp_path):
    touch(tmp_path / "flat", "COVID/a.png", "COVID/masks/a.png")
    touch(tmp_path / "deep", "COVID/images/a.png", "COVID/masks/a.png")
    flat, deep = folders(tmp_path / "flat"), folders(tmp_path / "deep")
    assert [i.image_id for i in flat] == [i.image_id for i in deep] == ["COVID/a"]
    assert flat[0].mask_path.endswith("COVID/masks/a.png")


@pytest.mark.parametrize(
    "name", ["Viral Pneumonia", "Påverkad lunga", "肺炎", "a.b", "x;y,z", "10%"]
)
def test_a_class_may_have_any_name(tmp_path, name):
    touch(tmp_path, f"{name}/images/1.png")
    (image,) = folders(tmp_path)
    assert (image.image_id, image.label) == (f"{name}/1", name)
    assert Path(image.path).is_file()


def test_a_subset_of_classes_leaves_the_others_out(tmp_path):
    touch(tmp_path, "A/1.png", "B/1.png", "C/1.png")
    assert class_sizes(folders(tmp_path, classes=["C", "A"])) == {"A": 1, "C": 1}


def test_a_listing_is_sorted_by_image_id_whatever_the_order_on_disk(tmp_path):
    names = [f"{c}/{n}.png" for c in "BA" for n in (10, 9, 1, 2)]
    touch(tmp_path, *names)
    ids = [image.image_id for image in folders(tmp_path)]
    assert ids == sorted(name.removesuffix(".png") for name in names)


def test_hidden_files_and_files_that_are_no_images_are_ignored(tmp_path):
    touch(tmp_path, "A/1.png", "A/._1.png", "A/Thumbs.db", "A/README.txt", "A/1.png.part")
    touch(tmp_path, ".hidden/1.png", "A.metadata.xlsx")
    (tmp_path / "A/folder.png").mkdir()
    assert [image.image_id for image in folders(tmp_path)] == ["A/1"]


@pytest.mark.parametrize("suffix", ["png", "PNG", "jpg", "JPEG", "tif", "tiff", "bmp", "dcm"])
def test_every_common_suffix_counts_in_capitals_too(tmp_path, suffix):
    touch(tmp_path, f"A/1.{suffix}")
    assert [image.image_id for image in folders(tmp_path)] == ["A/1"]


def test_files_that_differ_by_suffix_only_keep_it_as_part_of_their_name(tmp_path):
    touch(tmp_path, "A/1.png", "A/1.jpg", "A/2.png")
    assert [image.image_id for image in folders(tmp_path)] == ["A/1.jpg", "A/1.png", "A/2"]


def test_a_doubled_suffix_never_makes_two_images_of_one_name(tmp_path):
    touch(tmp_path, "A/1.png", "A/1.jpg", "A/1.png.png")
    touch(tmp_path, "B/1.png", "B/1.png.png")
    ids = [image.image_id for image in folders(tmp_path)]
    assert ids == ["A/1.jpg", "A/1.png", "A/1.png.png", "B/1", "B/1.png.png"]


def test_of_several_roots_the_first_that_exists_is_used(tmp_path):
    touch(tmp_path / "second", "A/1.png")
    touch(tmp_path / "third", "B/1.png")
    roots = [str(tmp_path / name) for name in ("first", "second", "third")]
    assert find_root(roots) == tmp_path / "second"
    assert place({"kind": "class_folders", "root": roots}) == str(tmp_path / "second")
    images = list_images({"kind": "class_folders", "root": roots}, PHANTOMS)
    assert [image.label for image in images] == ["A"]


def test_a_missing_root_is_named_with_every_candidate_and_the_way_out(tmp_path):
    with pytest.raises(DatasetError) as caught:
        find_root(["nowhere/a", "nowhere/b"])
    for words in ("'nowhere/a' or 'nowhere/b'", str(Path.cwd()), "root", "one folder a class"):
        assert words in str(caught.value)


def test_a_missing_class_folder_is_named_with_those_that_there_are(tmp_path):
    touch(tmp_path, "Normal/1.png", "COVID/1.png")
    with pytest.raises(DatasetError, match=r"'Covid' does not exist in .*Found: COVID, Normal"):
        folders(tmp_path, classes=["Covid"])


def test_a_folder_without_images_is_refused_with_what_was_expected(tmp_path):
    touch(tmp_path, "Normal/notes.txt")
    with pytest.raises(DatasetError, match=r"No image found in .*one folder a class.*Normal"):
        folders(tmp_path)


def test_a_file_name_that_is_not_utf_8_is_refused_by_name(tmp_path):
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / os.fsdecode(b"M\xfcller.png")).touch()
    with pytest.raises(DatasetError, match=r"M.*ller\.png.*not valid UTF-8: rename it") as caught:
        folders(tmp_path)
    str(caught.value).encode()  # can be printed and logged


def test_an_unknown_kind_of_data_set_is_named():
    with pytest.raises(DatasetError, match="'dicomweb'"):
        list_images({"kind": "dicomweb"}, PHANTOMS)


# --- manifests ------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder with files that manifests may list."""
    touch(tmp_path, "x.png", "y.png", "with, comma.png", "masks/x.png", "lesions/x.png")
    return tmp_path


def test_a_manifest_gives_path_label_and_every_known_column(pictures):
    table = written(
        pictures,
        "path,label,patient,source,split,mask_path,lesion_mask_path\n"
        "x.png,COVID,P1,Hannover,test,masks/x.png,lesions/x.png\ny.png,Normal,,,,,\n",
    )
    x, y = manifest(table)
    assert (x.image_id, x.label, x.patient, x.source, x.split) == (
        *("x", "COVID", "P1", "Hannover", "test"),
    )
    assert Path(x.path) == pictures / "x.png"
    assert Path(x.mask_path) == pictures / "masks/x.png"
    assert Path(x.lesion_mask_path) == pictures / "lesions/x.png"
    assert (y.patient, y.source, y.split, y.mask_path, y.lesion_mask_path) == ("", "", "", "", "")
    assert x.extra == y.extra == {}
    assert place({"kind": "manifest", "path": str(table)}) == str(table)


def test_further_columns_of_a_manifest_are_carried_along(pictures):
    table = written(pictures, "age,path,label,view\n61,x.png,COVID,PA\n,y.png,Normal,AP\n")
    assert [i.extra for i in manifest(table)] == [
        {"age": "61", "view": "PA"},
        {"age": "", "view": "AP"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nx.png,Überblähung\ny.png,B\n",
        "\ufeffpath,label\nx.png,Überblähung\ny.png,B\n",
        "path;label\nx.png;Überblähung\ny.png;B\n",
        "path\tlabel\r\nx.png\tÜberblähung\r\ny.png\tB\r\n",
        '"path","label"\r"x.png","Überblähung"\r"y.png","B"\r',
        " path , label \n x.png , Überblähung \n y.png , B \n",
        "path,label,,\n\nx.png,Überblähung,,\n,,,\ny.png,B,,\n,,,\n",
        "path,label\nx.png,Überblähung\ny.png,B\n".encode("latin-1"),
        "\n# made by hand\npath,label\nx.png,Überblähung\ny.png,B\n",
        "\ufeffsep=;\r\npath;label\r\nx.png;Überblähung\r\ny.png;B\r\n",
    ],
    ids="plain BOM semicolons tabs quotes blanks empty-cells latin-1 comment-first sep=".split(),
)
def test_what_spreadsheets_save_as_csv_is_read(pictures, text):
    images = manifest(written(pictures, text))
    assert [(i.image_id, i.label, i.extra) for i in images] == [
        ("x", "Überblähung", {}),
        ("y", "B", {}),
    ]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_quoted_values_may_hold_delimiters_and_line_breaks(pictures, delimiter):
    head = delimiter.join(("path", "label", "note"))
    row = delimiter.join(('"with, comma.png"', '"a;b"', '"two\nlines"'))
    (image,) = manifest(written(pictures, f"{head}\n{row}\n"))
    assert (image.image_id, image.label) == ("with, comma", "a;b")
    assert image.extra == {"note": "two\nlines"}


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0c", "\x1d"])
def test_characters_that_only_python_takes_for_line_breaks_stay_in_their_value(pictures, character):
    table = written(pictures, f"path,label,note\nx.png,A,one{character}two\ny.png,B,\n")
    assert [i.extra["note"] for i in manifest(table)] == [f"one{character}two", ""]


def test_a_parquet_manifest_is_the_same_as_its_csv(pictures):
    rows = {"path": ["x.png", "y.png"], "label": ["A", "B"], "patient": ["7", None], "age": [61, 5]}
    pd.DataFrame(rows).to_parquet(pictures / "m.parquet")
    pd.DataFrame(rows).to_csv(pictures / "m.csv", index=False)
    assert manifest(pictures / "m.parquet") == manifest(pictures / "m.csv")
    assert [i.patient for i in manifest(pictures / "m.parquet")] == ["7", ""]


def test_paths_are_relative_to_the_manifest_or_absolute(pictures, monkeypatch, tmp_path_factory):
    table = written(pictures, f"path,label\nx.png,A\n{pictures / 'y.png'},B\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    by_label = {image.label: image for image in manifest(table)}
    assert by_label["A"].image_id == "x"
    assert by_label["B"].image_id == str(pictures / "y")
    assert all(Path(image.path).is_file() for image in by_label.values())


def test_manifest_rows_that_differ_by_suffix_only_have_their_own_names(pictures):
    touch(pictures, "x.jpg", "x.png.png")
    table = written(pictures, "path,label\nx.png,A\nx.jpg,A\nx.png.png,A\ny.png,A\n")
    assert [i.image_id for i in manifest(table)] == ["x.jpg", "x.png", "x.png.png", "y"]


def test_a_missing_manifest_is_named_with_the_way_out(tmp_path):
    message = refusal(tmp_path / "nowhere.csv")
    for words in ("nowhere.csv", str(Path.cwd()), "columns path and label", "`path`"):
        assert words in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\nx.png,A\n", ["no column path", "file, label", "first line"]),
        ("path,class\nx.png,A\n", ["no column label", "path, class"]),
        ("Path,Label\nx.png,A\n", ["Did you mean 'path' by 'Path'?", "'label' by 'Label'"]),
        ("path,label,width,manifest_width\nx.png,A,1,2\n", ["'width' and 'manifest_width'"]),
        ("\npath,label\nx.png,A\nz.png,B\n", ["Row 4", "'z.png'"]),
        (b"path,label\nx.png,\x81\n", ["none of UTF-8, UTF-16 and Windows-1252"]),
        ("", ["no column path and no column label", "none"]),
        ("path,label\n", ["lists no image", "one row an image"]),
        ("path,label\n,,\n\n", ["lists no image"]),
        ("path,label,label\nx.png,A,B\n", ["column 'label' more than once", "Keep one"]),
        ("path,label\nx.png,A\nz.png,B\n", ["Row 3", "'z.png'", "does not exist", "relative to"]),
        ("path,label\n\n\nx.png,A\n\nz.png,B\n", ["Row 6", "'z.png'"]),
        ("path,label\nx.png,\n", ["Row 2", "no label", "remove the row"]),
        ("path,label\n ,A\n", ["Row 2", "no path"]),
        ("path,label\nx.png,A,B\n", ["Row 2", "number of columns", "(2)", "quotes"]),
        ("path,label\nwith, comma.png,A\n", ["Row 2", "number of columns", "quotes"]),
        ("path,label\nx.png\n", ["Row 2", "number of columns"]),
        ("path,label\nmasks,A\n", ["Row 2", "'masks'", "no file"]),
        ("path,label\n.,A\n", ["Row 2", "'.'", "no file"]),
        ('path,label\nx.png,"A\ny.png,B\n', ["cannot be read as a table", "quotation mark"]),
        (
            "path,label,mask_path\nx.png,A,masks/z.png\n",
            ["Row 2", "mask_path 'masks/z.png'", "does not exist", "leave it empty"],
        ),
    ],
)
def test_a_bad_manifest_is_refused_with_the_row_the_value_and_the_way_out(pictures, text, words):
    table = written(pictures, text)
    message = refusal(table)
    assert str(table) in message
    for expected in words:
        assert expected in message


@pytest.mark.parametrize("column", ["patient", "source"])
@pytest.mark.parametrize(
    ("one", "other"), [("P0", "p0"), ("1", "1.0"), ("01", "1"), ("Ｐ1", "P1"), ("A  b", "a b")]
)
def test_a_patient_or_source_in_two_spellings_is_refused_with_both_rows(
    pictures, column, one, other
):
    table = written(pictures, f"path,label,{column}\nx.png,A,{one}\ny.png,A,{other}\n")
    message = refusal(table)
    for words in ("Rows 2 and 3", repr(one), repr(other), "alike everywhere"):
        assert words in message


@pytest.mark.parametrize("words", [("NA", "nan"), ("unknown", "Unknown"), ("-", "None")])
def test_words_for_unknown_are_no_two_spellings_of_a_patient(pictures, words):
    rows = "".join(
        f"{name},A,{word}\n" for name, word in zip(("x.png", "y.png"), words, strict=True)
    )
    assert len(manifest(written(pictures, "path,label,patient\n" + rows))) == 2


@pytest.mark.parametrize("spelling", ["x.png", "./x.png", "masks/../x.png", "{folder}/x.png"])
def test_an_image_listed_twice_is_refused_however_it_is_spelt(pictures, spelling):
    again = spelling.format(folder=pictures)
    message = refusal(written(pictures, f"path,label\nx.png,A\ny.png,A\n{again},B\n"))
    for words in ("Row 4", repr(again), "first in row 2", "'A'", "'B'", "Keep one"):
        assert words in message


def test_text_that_calls_itself_parquet_is_refused_in_one_sentence(pictures):
    message = refusal(written(pictures, "path,label\nx.png,A\n", "m.parquet"))
    assert "m.parquet" in message
    assert "is not a Parquet file" in message


def test_a_manifest_without_permission_is_refused_in_one_sentence(pictures, monkeypatch):
    table = written(pictures, "path,label\nx.png,A\n")

    def denied(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert "cannot be read" in refusal(table)


# --- phantoms -------------------------------------------------------------------------------------


def test_phantoms_are_listed_before_they_are_drawn(tmp_path):
    settings = {"kind": "phantom", "images_per_class": {"Normal": 1, "COVID": 2}}
    images = list_images(settings, tmp_path / "not there yet")
    assert [i.image_id for i in images] == ["COVID/COVID-1", "COVID/COVID-2", "Normal/Normal-1"]
    assert class_sizes(images) == {"COVID": 2, "Normal": 1}
    assert class_sizes(images, ["Empty", "COVID"]) == {"Empty": 0, "COVID": 2, "Normal": 1}
    assert all(i.mask_path and i.source == "phantom" for i in images)
    assert [bool(i.lesion_mask_path) for i in images] == [True, True, False]
    assert place(settings) == "the phantoms"


# --- shards and fingerprints ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["class_folders", "manifest", "phantom"])
def test_a_job_of_one_shard_lists_just_what_the_whole_listing_says_of_it(tmp_path, kind):
    names = [f"{label}/{number}.png" for label in "AB" for number in range(6)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    rows = "".join(f"{name},{name[0]}\n" for name in names)
    (tmp_path / "manifest.csv").write_text("path,label\n" + rows, encoding="utf-8")
    settings = {
        "class_folders": {"root": str(tmp_path)},
        "manifest": {"path": str(tmp_path / "manifest.csv")},
        "phantom": {"images_per_class": {"A": 6, "B": 6}},
    }[kind] | {"kind": kind}
    everything = list_images(settings, tmp_path)
    for number in range(8):  # some of the shards are empty
        wanted = [i for i in everything if shard_number(i.image_id, 8) == number]
        listed = list_images(settings, tmp_path, lambda name, k=number: shard_number(name, 8) == k)
        assert listed == wanted
        whole, own = (shard_fingerprints(some, 8)[number] for some in (everything, listed))
        assert whole == own


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_shards_are_a_power_of_two_and_no_more_than_needed(n_images, shard_images):
    count = shard_count(n_images, shard_images)
    assert count & (count - 1) == 0
    assert count * shard_images >= n_images
    assert count == 1 or count // 2 * shard_images < n_images


@given(st.text(), st.integers(1, 64))
def test_every_image_has_a_shard(image_id, n_shards):
    assert 0 <= shard_number(image_id, n_shards) < n_shards


def test_the_shard_of_an_image_is_the_same_on_every_machine_and_day():
    # Python's own hash() differs from process to process.
    assert [shard_number(f"COVID/COVID-{k}", 64) for k in range(1, 6)] == [21, 52, 46, 53, 18]


def test_doubling_the_shards_sends_an_image_to_its_own_or_one_new_shard():
    for k in range(200):
        assert shard_number(f"A/{k}", 8) % 4 == shard_number(f"A/{k}", 4)


def test_images_spread_evenly_over_the_shards():
    counts = [0] * 8
    for k in range(4000):
        counts[shard_number(f"COVID/COVID-{k}", 8)] += 1
    assert min(counts) > 420
    assert max(counts) < 580


def changed_shards(before: list[ImageFile], after: list[ImageFile], n_shards: int = 8) -> set[int]:
    pairs = zip(
        shard_fingerprints(before, n_shards), shard_fingerprints(after, n_shards), strict=True
    )
    return {number for number, (old, new) in enumerate(pairs) if old != new}


def test_adding_one_image_changes_the_fingerprint_of_its_shard_alone(tmp_path):
    touch(tmp_path, *(f"A/{k}.png" for k in range(30)))
    before = folders(tmp_path)
    touch(tmp_path, "A/new.png")
    assert changed_shards(before, folders(tmp_path)) == {shard_number("A/new", 8)}


def test_removing_one_image_changes_the_fingerprint_of_its_shard_alone(tmp_path):
    touch(tmp_path, *(f"A/{k}.png" for k in range(30)))
    before = folders(tmp_path)
    (tmp_path / "A/7.png").unlink()
    assert changed_shards(before, folders(tmp_path)) == {shard_number("A/7", 8)}


@pytest.mark.parametrize("change", ["size", "time"])
def test_replacing_a_file_changes_the_fingerprint_of_its_shard_alone(tmp_path, change):
    touch(tmp_path, *(f"A/{k}.png" for k in range(30)))
    before = folders(tmp_path)
    file = tmp_path / "A/7.png"
    status = file.stat()
    if change == "size":
        file.write_bytes(b"longer than it was")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        file.write_bytes(file.read_bytes()[::-1])
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    after = folders(tmp_path)
    assert changed_shards(before, after) == {shard_number("A/7", 8)}
    assert listing_fingerprint(before) != listing_fingerprint(after)


def test_nothing_changes_when_nothing_changed(tmp_path):
    touch(tmp_path, *(f"A/{k}.png" for k in range(9)))
    assert changed_shards(folders(tmp_path), folders(tmp_path)) == set()
    assert listing_fingerprint(folders(tmp_path)) == listing_fingerprint(folders(tmp_path))


@pytest.mark.parametrize("edited", ["x.png,B,P1,3", "x.png,A,P2,3", "x.png,A,P1,4"])
def test_a_corrected_label_decodes_nothing_anew_but_renews_the_listing(pictures, edited):
    head = "path,label,patient,age\n"
    before = manifest(written(pictures, f"{head}x.png,A,P1,3\ny.png,B,,\n"))
    after = manifest(written(pictures, f"{head}{edited}\ny.png,B,,\n"))
    assert changed_shards(before, after) == set()
    assert listing_fingerprint(before) != listing_fingerprint(after)


def test_another_number_of_shards_renews_all_of_them(tmp_path):
    touch(tmp_path, "A/1.png")
    images = folders(tmp_path)
    assert not set(shard_fingerprints(images, 2)) & set(shard_fingerprints(images, 4))
