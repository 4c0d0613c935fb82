"""Every image is read right or set apart with a reason; never half, never with a traceback."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.fuzz import corpus
from tests.shards import write_shard
from tests.unit.pictures import MAX_PIXELS, NOWHERE, assert_plain, encoded, picture, read
from workflow_scripts.cxrcam.data.cache import CacheError, read_pixels
from workflow_scripts.cxrcam.data.decoding import decode_image, decode_images
from workflow_scripts.cxrcam.data.mask_cache import pack_masks
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage

SIZE = 16
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def check(case: corpus.Case, whole: np.ndarray | None = None) -> None:
    """The stated pixels, or a refusal in plain words; where either is right, no half image."""
    try:
        image = read_grey(Path(case.file_name), MAX_PIXELS, case.content)
    except UnreadableImage as error:
        assert_plain(str(error))
        assert case.pixels is None or isinstance(case.pixels, str), f"{case.name}: {error!s}"
        assert case.words in str(error), f"{case.name}: {error!s}"
        return
    assert not isinstance(case.pixels, str), f"{case.name} was accepted"
    assert image.pixels.dtype == np.uint8 and min(image.pixels.shape) >= 16, case.name
    expected = whole if case.pixels is None else case.pixels
    if expected is not None:
        assert image.pixels.shape == expected.shape, case.name
        difference = np.abs(image.pixels.astype(float) - expected).mean()
        assert difference <= case.near, f"{case.name}: {difference}"


def test_whole_images_of_every_kind_have_their_grey_values(tried) -> None:
    for case in corpus.unusual_images():
        check(case)
        tried("images: unusual, and wrong suffixes")


def test_images_cut_off_at_every_tenth_byte_are_refused_or_lose_no_pixel(tried) -> None:
    wholes = {name: read(content).pixels for name, (content, _, _) in corpus.good_images().items()}
    for case in corpus.truncated_images():
        check(case, wholes[case.name.split(",")[0]])
        tried("images: cut off")


def test_images_with_random_damage_are_refused_or_decoded(tried) -> None:
    wholes = {name: read(content).pixels for name, (content, _, _) in corpus.good_images().items()}
    for case in corpus.damaged_images(200):
        # Of these formats only PNG has checksums.
        check(case, wholes[case.name.split(",")[0]] if case.name.startswith("PNG") else None)
        tried("images: random damage")


def test_files_that_are_no_single_radiograph_are_refused(tried) -> None:
    for case in corpus.refused_images():
        check(case)
        tried("images: no single radiograph")


def test_dicom_with_faults_is_refused_or_rendered(tried) -> None:
    for case in corpus.dicom_files():
        check(case)
        tried("DICOM: faults and cut off")
    for case in corpus.damaged_dicom(500):
        check(case)
        tried("DICOM: random damage")


def test_jpeg_2000_in_a_file_named_dcm_is_read_by_its_content() -> None:
    """It was once refused as damaged DICOM."""
    for options in ({}, {"no_jp2": True}):
        content = encoded(Image.fromarray(picture()), "JPEG2000", **options)
        assert np.array_equal(read(content, Path("image.dcm")).pixels, picture())


def test_a_cache_job_sets_bad_files_apart_and_keeps_the_others(tmp_path, tried) -> None:
    """As the rule does it: files on disk, whatever they are called."""
    cases = [*corpus.refused_images(), *islice(corpus.unusual_images(), 0, None, 5)]
    files = []
    for number, case in enumerate(cases):
        name = corpus.NAMES[number % len(corpus.NAMES)]
        path = tmp_path / f"{number} {name}"
        path.write_bytes(case.content)
        files.append((f"{number} {name}", path))
    (tmp_path / "loop.png").symlink_to("loop.png")
    files += [("loop", tmp_path / "loop.png"), ("folder", tmp_path), ("null", Path("a\0b.png"))]
    facts, readable, pixels = decode_images(files, SIZE, "bilinear", MAX_PIXELS, threads=2)
    tried("cache: files of one shard", len(files))
    good = [
        name
        for (name, _), case in zip(files, cases, strict=False)
        if case.pixels is not corpus.REFUSED
    ]
    assert readable == good
    reasons = dict(
        zip(facts["image_id"].to_pylist(), facts["quarantine_reason"].to_pylist(), strict=True)
    )
    for name, reason in reasons.items():
        assert (reason is None) == (name in good), f"{name!r}: {reason}"
        if reason:
            assert_plain(reason)
    write_shard(tmp_path / "shard.parquet", readable, pixels, {})
    assert np.array_equal(read_pixels([tmp_path / "shard.parquet"], good, SIZE), pixels)
    pq.write_table(facts, tmp_path / "facts.parquet")
    assert pq.read_table(tmp_path / "facts.parquet").equals(facts)


def test_a_file_too_long_for_an_image_is_set_apart_unread(tmp_path, monkeypatch) -> None:
    """It was once read into memory first."""
    path = tmp_path / "sparse.png"
    with path.open("wb") as stream:
        stream.truncate(100 * 2**20)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read"))
    facts, _ = decode_image("A/x", path, SIZE, "bilinear", 1000)
    assert "more than an image" in facts["quarantine_reason"]


@given(st.binary(max_size=400), st.sampled_from([".png", ".dcm", ".jpg"]))
@settings(max_examples=150)
def test_noise_is_never_an_image(content: bytes, suffix: str) -> None:
    with pytest.raises(UnreadableImage) as caught:
        read_grey(NOWHERE.with_suffix(suffix), MAX_PIXELS, content)
    assert_plain(str(caught.value))


# --- what is kept of images -----------------------------------------------------------------------


def shard_content(folder: Path) -> tuple[bytes, list[str], np.ndarray]:
    ids = [f"A/{k}" for k in range(6)]
    pixels = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE), dtype=np.uint8)
    write_shard(folder / "whole.parquet", ids, pixels, {"size": SIZE})
    return (folder / "whole.parquet").read_bytes(), ids, pixels


def damaged_shards(content: bytes, every: int) -> Iterable[bytes]:
    for length in range(0, len(content), every):
        yield content[:length]
    rng = np.random.default_rng(3)
    for place in range(0, len(content), every):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)


def test_damaged_cache_shards_are_refused_or_give_the_pixels_that_were_kept(
    tmp_path, tried
) -> None:
    content, ids, pixels = shard_content(tmp_path)
    damaged = tmp_path / "shard.parquet"
    for broken in damaged_shards(content, 10):
        damaged.write_bytes(broken)
        tried("cache: damaged shards")
        try:
            found = read_pixels([damaged], ids, SIZE)
        except CacheError as error:
            assert "delete" in str(error)
        else:
            assert np.array_equal(found, pixels)


def test_masks_of_any_file_are_read_or_named(tmp_path, tried) -> None:
    inside = np.zeros((40, 60), np.uint8)
    inside[10:30, 10:50] = 255
    whole = encoded(Image.fromarray(inside))
    contents = {
        "whole": whole,
        "one bit": encoded(Image.fromarray(inside > 0)),
        "labels of 0 and 1": encoded(Image.fromarray(inside // 255)),
        "black": encoded(Image.fromarray(inside * 0)),
        **{f"{n} of {len(whole)} bytes": whole[:n] for n in range(0, len(whole), 10)},
        **{
            case.name: case.content
            for case in corpus.refused_images()
            if case.file_name.endswith(".png")
        },
    }
    usable = ["whole", "one bit"]  # lungs that are nowhere are no mask
    paths = []
    for number, content in enumerate(contents.values()):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(content)
    lungs = {"lung": list(map(str, paths)), "lesion": [None] * len(paths)}
    table, unreadable = pack_masks(list(contents), lungs, MAX_PIXELS, threads=2)
    tried("masks", len(contents))
    assert table["image_id"].to_pylist() == usable
    bad = [path for name, path in zip(contents, paths, strict=True) if name not in usable]
    for line, path in zip(unreadable, bad, strict=True):
        assert line.startswith(f"{path}: ")
        assert_plain(line.removeprefix(f"{path}: "))
