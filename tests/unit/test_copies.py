"""Copies: found and named however they were changed, and nobody else's picture taken for one."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from tests.shards import write_shard
from workflow_scripts.cxrcam.contracts import DUPLICATES
from workflow_scripts.cxrcam.data.cache import CacheError
from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.data.fingerprints import pixel_sha256, thumbnail
from workflow_scripts.cxrcam.duplicates import candidates
from workflow_scripts.cxrcam.duplicates.alignment import Fit, Overlay, overlay
from workflow_scripts.cxrcam.duplicates.candidates import candidate_pairs
from workflow_scripts.cxrcam.duplicates.kinds import kind_of
from workflow_scripts.cxrcam.duplicates.search import (
    find_cross_duplicates,
    find_duplicates,
    not_compared,
)
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints
from workflow_scripts.cxrcam.images.keypoints import (
    MOST_KEYPOINTS,
    NO_WORD,
    VIEWS,
    WORDS,
    Keypoints,
    keypoints,
)
from workflow_scripts.cxrcam.phantom.dataset import PhantomSettings, draw_phantom
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE
from workflow_scripts.cxrcam.workers import Workers

SIZE = 192
N = 10


@pytest.fixture(scope="module")
def originals() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [draw_phantom("Normal", rng, PhantomSettings(size=SIZE)).image for _ in range(N)]


def stored(folder: Path, pictures: dict[str, np.ndarray], shards: int = 1):
    """Fingerprints and cache shards of pictures of one size, as the cache jobs leave them."""
    names, files = sorted(pictures), []
    for number in range(shards):
        of_shard = names[number::shards]
        files.append(folder / f"shard-{number}.parquet")
        pixels = np.stack([pictures[name] for name in of_shard])
        write_shard(files[-1], of_shard, pixels, {})
    found = [keypoints(pictures[name]) for name in names]
    images = Fingerprints(
        names,
        [pixel_sha256(pictures[name]) for name in names],
        Keypoints(*(np.stack(part) for part in zip(*found, strict=True))),
        np.stack([thumbnail(pictures[name]) for name in names]),
    )
    return images, files


def searched(folder: Path, pictures: dict[str, np.ndarray], **settings) -> pd.DataFrame:
    return find_duplicates(*stored(folder, pictures), **settings)


def kinds(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    ends = zip(table["image_id_a"], table["image_id_b"], strict=True)
    return dict(zip(ends, table["kind"], strict=True))


# --- changes --------------------------------------------------------------------------------------


def jpeg(pixels: np.ndarray, quality: int = 30) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def cropped(pixels: np.ndarray, share: float) -> np.ndarray:
    cut = round(share * len(pixels))
    part = np.ascontiguousarray(pixels[cut:-cut, cut:-cut])
    return np.array(Image.fromarray(part).resize(pixels.shape, Image.Resampling.BILINEAR))


def shifted(pixels: np.ndarray, share: float) -> np.ndarray:
    by = round(share * len(pixels))
    moved = np.zeros_like(pixels)
    moved[by:, by:] = pixels[:-by, :-by]
    return moved


def turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    return np.array(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BILINEAR))


def on_a_page(pixels: np.ndarray) -> np.ndarray:
    page = Image.new("L", pixels.shape, 255)
    ImageDraw.Draw(page).text((5, 5), "Figure 2. On admission", fill=0)
    side = round(0.7 * len(pixels))
    page.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS), (40, 30))
    return np.array(page)


def annotated(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    drawing = ImageDraw.Draw(image)
    drawing.text((10, 10), "PORTABLE 12:40", fill=255)
    for x, y in ((60, 70), (120, 100)):
        drawing.line([(x, y), (x + 25, y + 20)], fill=255, width=4)
    return np.array(image)


CHANGES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "jpeg": ("re-encoded", jpeg),
    "brighter": ("brightened", lambda p: np.clip(p * 1.2, 0, 255).astype(np.uint8)),
    "gamma": ("brightened", lambda p: (255 * (p / 255) ** 0.7).astype(np.uint8)),
    "mirrored": ("mirrored", lambda p: np.ascontiguousarray(p[:, ::-1])),
    "inverted": ("inverted", lambda p: 255 - p),
    "cropped 3 %": ("cropped", lambda p: cropped(p, 0.03)),
    "cropped 12.5 %": ("cropped", lambda p: cropped(p, 0.125)),
    "shifted 5 %": ("shifted", lambda p: shifted(p, 0.05)),
    "shifted 10 %": ("shifted", lambda p: shifted(p, 0.1)),
    "turned 2": ("turned", lambda p: turned(p, 2)),
    "turned -5": ("turned", lambda p: turned(p, -5)),
    "upside down": ("turned", lambda p: np.ascontiguousarray(p[::-1, ::-1])),
    "inset": ("inset", on_a_page),
    "annotated": ("annotated", annotated),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_found_and_named_whichever_image_comes_first(tmp_path, originals, change):
    kind, changed = CHANGES[change]
    for first, second in (("a", "b"), ("b", "a")):
        pictures = {f"{first}{k}": pixels for k, pixels in enumerate(originals)}
        pictures |= {f"{second}{k}": changed(pixels) for k, pixels in enumerate(originals)}
        table = searched(tmp_path, pictures)
        found = kinds(table)
        assert all(a[1:] == b[1:] for a, b in found)  # no strangers
        assert len(found) >= N - 1
        assert list(found.values()).count(kind) >= N - 1


def test_the_transform_takes_the_second_image_to_its_place_in_the_first(tmp_path, originals):
    table = searched(tmp_path, {"a": originals[0], "b": cropped(originals[0], 0.125)})
    (row,) = table.to_dict("records")
    transform = [row[f"transform_{part}"] for part in ("xx", "xy", "x0", "yx", "yy", "y0")]
    assert np.allclose(transform, [0.75, 0, 0.125, 0, 0.75, 0.125], atol=0.01)
    assert row["overlap"] == pytest.approx(0.75**2, abs=0.02)
    assert row["correlation"] > 0.8 and row["inliers"] >= 10
    mirror = {"a": originals[0], "b": np.ascontiguousarray(originals[0][:, ::-1])}
    (row,) = searched(tmp_path, mirror).to_dict("records")
    transform = [row[f"transform_{part}"] for part in ("xx", "xy", "x0", "yx", "yy", "y0")]
    assert np.allclose(transform, [-1, 0, 1, 0, 1, 0], atol=0.01)
    assert row["overlap"] > 0.95


# --- strangers ------------------------------------------------------------------------------------


def test_strangers_in_one_burnt_in_frame_with_one_marker_are_no_copies(tmp_path, originals):
    framed = {}
    for k, pixels in enumerate(originals):
        image = Image.fromarray(pixels)
        drawing = ImageDraw.Draw(image)
        drawing.rectangle((4, 4, SIZE - 5, SIZE - 5), outline=255, width=3)
        for line in range(10, SIZE, 30):
            drawing.text((8, line), "DCHA PORTABLE", fill=255)
        framed[str(k)] = np.array(image)
    table = searched(tmp_path, framed)
    assert len(table) == 0


PULL = 3.5  # pixels of 192


def warped(pixels: np.ndarray, pull: float) -> np.ndarray:
    """As after another breath: the geometry changes smoothly by a few pixels, and so do details."""
    side = len(pixels)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wave = pull * np.sin(2 * np.pi * y / side) * np.cos(np.pi * x / side)
    return cv2.remap(pixels, x + wave, y + 0.7 * wave, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT)


def test_another_exposure_of_the_same_chest_is_named_so(tmp_path, originals):
    names = [
        kind
        for pixels in originals
        for kind in searched(tmp_path, {"a": pixels, "b": warped(pixels, PULL)})["kind"]
    ]
    assert names.count(OTHER_EXPOSURE) >= 3


@pytest.mark.parametrize(
    ("correlation", "inliers", "kind"),
    [(0.71, 20, "re-encoded"), (0.6, 60, OTHER_EXPOSURE), (0.6, 40, None)],
)
def test_an_exposure_needs_more_keypoints_that_fit_than_a_copy(correlation, inliers, kind):
    laid = Overlay(np.eye(2, 3), inliers, 1.0, correlation, False, False, 0.0, 1.0)
    assert kind_of(laid) == kind


def test_strangers_agree_too_little_whatever_transform_lays_them_over_each_other(originals):
    as_it_is = Fit(np.eye(2, 3), 60, VIEWS[0])
    assert overlay(originals[0], originals[1], as_it_is) is None
    same = overlay(originals[0], originals[0], as_it_is)
    assert same is not None and same.correlation > 0.99


# --- bounds ---------------------------------------------------------------------------------------


def test_identical_images_are_exact_pairs_and_so_are_their_neighbours(tmp_path, originals):
    pixels = originals[0]
    pictures = {"a": pixels, "b": originals[1], "c": pixels, "d": jpeg(pixels, 80), "e": pixels}
    assert kinds(searched(tmp_path, pictures)) == {
        ("a", "c"): "exact", ("a", "e"): "exact", ("c", "e"): "exact",
        ("a", "d"): "re-encoded", ("c", "d"): "re-encoded", ("e", "d"): "re-encoded",
    }  # fmt: skip


def test_thousands_of_identical_images_stay_few_rows(tmp_path, originals):
    pictures = {f"{k:04d}": originals[0] for k in range(300)} | {"x": originals[1]}
    table = searched(tmp_path, pictures)
    assert len(table) == 299 and set(table["image_id_a"]) == {"0000"}
    assert (table["kind"] == "exact").all() and (table["correlation"] == 1).all()


def test_a_word_that_all_images_share_costs_each_a_few_looks_only():
    """Copies of one picture, each encoded anew: all hang together, by few pairs each."""
    n = 3000
    one = np.random.default_rng(0).integers(0, 2**24, (1, MOST_KEYPOINTS, WORDS), np.uint32)
    with Workers(1) as workers:
        found = candidate_pairs(np.repeat(one, n, axis=0), 0, workers)
    assert len(found.a) <= n * candidates.MOST_PARTNERS
    assert not cluster_labels(n, np.stack([found.a, found.b], axis=1)).any()


def test_words_in_common_make_a_pair_from_a_number_on():
    rng = np.random.default_rng(0)
    some = rng.integers(0, 2**24, (40, MOST_KEYPOINTS, WORDS), np.uint32)
    least = candidates.LEAST_VOTES
    some[7, :least, 0] = some[3, :least, 0]
    some[9, : least - 1, 0] = some[4, : least - 1, 0]
    some[12, 20:, :] = some[11, 20:, :] = NO_WORD  # what is not there is not in common
    with Workers(1) as workers:
        found = candidate_pairs(some, 0, workers)
    assert [found.a.tolist(), found.b.tolist(), found.view.tolist()] == [[3], [7], [0]]


@pytest.mark.parametrize("view", [1, 2, 3])
def test_words_of_a_changed_image_are_those_of_the_image_with_known_bits_changed(originals, view):
    changed = originals[0]
    if VIEWS[view].mirrored:
        changed = np.ascontiguousarray(changed[:, ::-1])
    if VIEWS[view].inverted:
        changed = 255 - changed
    own, other = (set(keypoints(p).words[:, 0].tolist()) for p in (originals[0], changed))
    expected = set(VIEWS[view].of_words(keypoints(originals[0]).words)[:, 0].tolist())
    assert len(expected & other) > 0.3 * len(other)
    assert len(own & other) < 0.1 * len(other)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1), (32, 32), (300, 20)])
def test_images_of_any_shape_have_words_and_blank_ones_none(size):
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    found = keypoints(noise)
    assert found.words.shape == (MOST_KEYPOINTS, WORDS)
    assert found.points.shape == (MOST_KEYPOINTS, 2)
    for grey in (0, 90, 255):
        assert (keypoints(np.full(size, grey, np.uint8)).words == NO_WORD).all()


def test_what_cannot_be_compared_is_said(tmp_path, originals):
    black = np.zeros_like(originals[0])
    images, shards = stored(tmp_path, {"a": black, "b": originals[0]})
    (sentence,) = not_compared(images, shards)
    assert sentence.startswith("1 of 2 images show too little to be compared")
    small = [np.array(Image.fromarray(p).resize((32, 32))) for p in originals]
    images, shards = stored(tmp_path, {str(k): pixels for k, pixels in enumerate(small)})
    assert "Images are cached at 32 pixels" in not_compared(images, shards)[-1]
    assert len(find_duplicates(images, shards)) == 0


def test_blank_images_are_pairs_only_where_identical(tmp_path):
    black, grey = np.zeros((64, 64), np.uint8), np.full((64, 64), 90, np.uint8)
    table = searched(tmp_path, {"a": black, "b": grey, "c": black})
    assert kinds(table) == {("a", "c"): "exact"}


def test_no_images_give_an_empty_table_of_the_same_columns(tmp_path, originals):
    none = Fingerprints(
        [],
        [],
        Keypoints(
            np.empty((0, MOST_KEYPOINTS, WORDS), np.uint32),
            np.empty((0, MOST_KEYPOINTS, 2), np.uint16),
        ),
        np.empty((0, 32, 32), np.uint8),
    )
    table = find_duplicates(none, [])
    assert len(table) == 0 and list(table.columns) == DUPLICATES.names
    images, shards = stored(tmp_path, {"a": originals[0]})
    assert len(find_cross_duplicates(images, shards, none, [])) == 0
    assert len(find_cross_duplicates(none, [], images, shards)) == 0


def test_a_cache_file_that_is_none_is_named(tmp_path, originals):
    images, (shard,) = stored(tmp_path, {"a": originals[0], "b": jpeg(originals[0])})
    shard.write_bytes(b"nothing")
    with pytest.raises(CacheError, match="is damaged"):
        find_duplicates(images, [shard])


# --- sameness -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(originals) -> dict[str, np.ndarray]:
    """Some originals with copies of every kind."""
    pictures = {f"o{k}": pixels for k, pixels in enumerate(originals[:3])}
    for change, (_, changed) in CHANGES.items():
        pictures |= {f"{change} o{k}": changed(originals[k]) for k in range(3)}
    return pictures


def test_threads_and_shards_change_nothing(tmp_path, many, monkeypatch):
    alone = find_duplicates(*stored(tmp_path, many))
    assert len(set(alone["kind"])) >= 7
    monkeypatch.setattr(candidates, "BLOCK", 7)
    images, shards = stored(tmp_path, many, shards=4)
    together = find_duplicates(images, shards[::-1], threads=3)
    pd.testing.assert_frame_equal(alone, together, check_exact=True)


def test_the_table_has_the_columns_and_types_of_the_contract(tmp_path, many):
    table = find_duplicates(*stored(tmp_path, many))
    table.to_parquet(tmp_path / "pairs.parquet", index=False)
    written = pd.read_parquet(tmp_path / "pairs.parquet")
    assert list(written.columns) == DUPLICATES.names
    assert written.dtypes.astype(str).to_dict()["inliers"] == "int32"
    assert not table.duplicated(["image_id_a", "image_id_b"]).any()


# --- two data sets --------------------------------------------------------------------------------


def test_pairs_across_two_data_sets_are_those_of_one_that_cross(tmp_path, many, originals):
    """The same recall as within one data set."""
    names = sorted(many)
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    sets = [
        stored(tmp_path / folder, {name: many[name] for name in some})
        for folder, some in (("own", names[::2]), ("other", names[1::2]))
    ]
    found = find_cross_duplicates(*sets[0], *sets[1])
    within = {frozenset(pair) for pair in kinds(find_duplicates(*stored(tmp_path, many)))}
    sides = {name: k % 2 for k, name in enumerate(names)}
    crossing = {pair for pair in within if len({sides[name] for name in pair}) == 2}
    assert {frozenset(pair) for pair in kinds(found)} >= crossing and len(crossing) > 20
    assert all(sides[a] == 0 and sides[b] == 1 for a, b in kinds(found))


def test_one_name_may_stand_in_both_data_sets_and_identical_images_all_count(tmp_path, originals):
    own = stored(tmp_path, {"x": originals[0], "y": originals[0], "z": originals[1]})
    (tmp_path / "other").mkdir()
    other = stored(
        tmp_path / "other", {"x": originals[0], "w": jpeg(originals[0]), "v": originals[2]}
    )
    assert kinds(find_cross_duplicates(*own, *other)) == {
        ("x", "x"): "exact", ("y", "x"): "exact",
        ("x", "w"): "re-encoded", ("y", "w"): "re-encoded",
    }  # fmt: skip
