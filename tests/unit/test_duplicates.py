"""Near-duplicates: copies are confirmed and clustered, other patients left alone."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.data.fingerprints import dhash256, pixel_sha256, thumbnail
from workflow_scripts.cxrcam.duplicates import hash_search, search
from workflow_scripts.cxrcam.duplicates.search import confirmed_pairs, find_duplicates
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    normalised_thumbnails,
    pair_correlations,
)
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

REAL = Path(__file__).parents[3] / "shared" / "cxr" / "COVID-19_Radiography_Dataset"


# --- correlation ---------------------------------------------------------------------------------


def test_correlation_is_pearson_s_of_normalised_thumbnails():
    """Against a direct computation, window by window, in double precision."""
    generator = np.random.default_rng(0)
    thumbnails = generator.integers(0, 256, (2, 32, 32), dtype=np.uint8)
    normalised = np.empty((2, 32, 32))
    for k, small in enumerate(thumbnails):
        padded = np.pad(small.astype(float), 1, mode="symmetric")
        detail = np.empty((32, 32))
        for y in range(32):
            for x in range(32):
                detail[y, x] = small[y, x] - padded[y : y + 3, x : x + 3].mean()
        padded = np.pad(detail, 1, mode="symmetric")
        for y in range(32):
            for x in range(32):
                power = (padded[y : y + 3, x : x + 3] ** 2).mean()
                normalised[k, y, x] = detail[y, x] / (np.sqrt(power) + 4)
    expected = np.corrcoef(normalised.reshape(2, -1))[0, 1]
    ready = normalised_thumbnails(thumbnails)
    found = pair_correlations(np.array([[0, 1], [0, 0]]), ready, ready)
    assert found[0] == pytest.approx(expected, abs=0.002)
    assert found[1] == pytest.approx(1, abs=1e-5)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_correlation_is_symmetric_and_bounded(seed):
    thumbnails = np.random.default_rng(seed).integers(0, 256, (6, 32, 32), dtype=np.uint8)
    thumbnails[0] = 9
    ready = normalised_thumbnails(thumbnails)
    pairs = np.array([(i, j) for i in range(6) for j in range(6)])
    matrix = pair_correlations(pairs, ready, ready).reshape(6, 6)
    assert np.allclose(matrix, matrix.T, atol=1e-6)
    assert np.abs(matrix).max() <= 1 + 1e-5
    assert not matrix[0].any()  # one grey throughout resembles nothing, not even itself


# --- clusters ------------------------------------------------------------------------------------


def test_labels_are_the_smallest_member():
    pairs = np.array([[5, 3], [3, 4], [1, 6]])
    assert cluster_labels(7, pairs).tolist() == [0, 1, 2, 3, 3, 3, 1]
    assert cluster_labels(3, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]
    assert cluster_labels(0, np.empty((0, 2), np.int64)).tolist() == []


def test_labels_refuse_rows_that_do_not_exist():
    with pytest.raises(ValueError, match="index 3 exceeds"):
        cluster_labels(3, np.array([[0, 3]]))


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
@settings(max_examples=50)
def test_duplicates_always_share_a_label(pairs):
    labels = cluster_labels(30, np.array(pairs, np.int64).reshape(-1, 2))
    assert all(labels[a] == labels[b] for a, b in pairs)
    assert (labels <= np.arange(30)).all() and np.array_equal(labels[labels], labels)
    assert len(set(labels.tolist())) >= 30 - len(pairs)


# --- whole search --------------------------------------------------------------------------------


def picture(seed: int, side: int = 192) -> np.ndarray:
    """Structure at all scales, as in a radiograph: brightness falls off with frequency."""
    generator = np.random.default_rng(seed)
    total = np.zeros((side, side))
    for coarse in (4, 8, 16, 32, 64):
        grid = Image.fromarray(generator.integers(0, 256, (coarse, coarse), dtype=np.uint8))
        total += np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC), float) / coarse
    return np.interp(total, (total.min(), total.max()), (10, 240)).astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def brighter(pixels: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(np.rint(pixels * factor), 0, 255).astype(np.uint8)


def mirrored(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, ::-1])


COPIES = {
    "near": [
        lambda p: jpeg(p, 60),
        lambda p: jpeg(p, 90),
        lambda p: scaled(p, 0.9),
        lambda p: brighter(p, 1.1),
        lambda p: brighter(p, 0.9),
        lambda p: jpeg(scaled(brighter(p, 0.9), 0.9), 60),
    ],
    "mirrored": [mirrored, lambda p: jpeg(mirrored(p), 75)],
    "inverted": [lambda p: 255 - p, lambda p: jpeg(255 - p, 75)],
}


def fingerprinted(pictures: list[np.ndarray]) -> dict[str, object]:
    return {
        "pixel_sha256s": [pixel_sha256(pixels) for pixels in pictures],
        "dhashes": np.array([list(dhash256(pixels)) for pixels in pictures], np.uint8),
        "thumbnails": np.stack([thumbnail(pixels) for pixels in pictures]),
    }


def planted(
    originals: list[np.ndarray], threads: int = 1
) -> tuple[pd.DataFrame, set[tuple[str, str, str]]]:
    """Search originals together with copies of them; return what is found and what is there."""
    names = [f"original-{k}" for k in range(len(originals))]
    pictures, expected = list(originals), set()
    for k, pixels in enumerate(originals):
        for kind, copies in COPIES.items():
            for number, copy in enumerate(copies):
                names.append(f"{kind}-{number}-of-{k}")
                pictures.append(copy(pixels))
                expected.add((names[k], names[-1], kind))
    return find_duplicates(names, **fingerprinted(pictures), threads=threads), expected


def recall_and_false_pairs(found: pd.DataFrame, expected: set) -> tuple[float, int]:
    rows = set(
        zip(
            found["image_id_a"],
            found["image_id_b"],
            found["kind"].replace("exact", "near"),
            strict=True,
        )
    )
    family_a = found["image_id_a"].str.extract(r"(\d+)$")[0]
    family_b = found["image_id_b"].str.extract(r"(\d+)$")[0]
    return len(rows & expected) / len(expected), int((family_a != family_b).sum())


def test_planted_copies_are_found_and_nothing_else():
    found, expected = planted([picture(seed) for seed in range(40)])
    recall, false_pairs = recall_and_false_pairs(found, expected)
    assert recall == 1 and false_pairs == 0
    assert list(found.columns) == ["image_id_a", "image_id_b", "distance", "correlation", "kind"]
    assert not found.duplicated(["image_id_a", "image_id_b"]).any()
    assert (found["distance"] <= 36).all() and (found["correlation"] >= 0.67).all()


def test_threads_find_the_same_pairs(monkeypatch):
    monkeypatch.setattr(hash_search, "COLUMNS", 64)
    monkeypatch.setattr(hash_search, "BLOCK_PAIRS", 100)  # so that several threads judge
    pictures = [picture(seed) for seed in range(20)]
    alone, together = planted(pictures)[0], planted(pictures, threads=3)[0]
    assert set(alone["kind"]) >= {"near", "mirrored", "inverted"}
    pd.testing.assert_frame_equal(alone, together, check_exact=True)


def test_pairs_that_wait_to_be_aligned_are_aligned_a_few_at_a_time(monkeypatch):
    pictures = [picture(seed) for seed in range(8)]
    together = planted(pictures)[0]
    monkeypatch.setattr(search, "HELD_PAIRS", 5)
    for name, size in (("ROWS", 4), ("COLUMNS", 8), ("BLOCK_PAIRS", 10)):
        monkeypatch.setattr(hash_search, name, size)
    waiting = []
    original = search._aligned

    def noted(workers, promising, thumbnails):
        waiting.append(sum(len(found.pairs) for found in promising))
        return original(workers, promising, thumbnails)

    monkeypatch.setattr(search, "_aligned", noted)
    for threads in (1, 3):
        pd.testing.assert_frame_equal(planted(pictures, threads)[0], together, check_exact=True)
    assert len(waiting) > 10 and max(waiting) < sum(waiting) / 4


def test_kinds_can_be_left_out():
    pixels = picture(0)
    prints = fingerprinted([pixels, mirrored(pixels), picture(1)])
    del prints["pixel_sha256s"]
    assert confirmed_pairs(**prints)["kind"].tolist() == ["mirrored"]
    assert len(confirmed_pairs(**prints, kinds=["near", "inverted"])) == 0
    with pytest.raises(ValueError, match="'rotated'"):
        confirmed_pairs(**prints, kinds=["rotated"])


def cropped(pixels: np.ndarray, top: float, bottom: float, left: float, right: float):
    """Cut shares off the sides and enlarge to the old size."""
    height, width = pixels.shape
    part = pixels[
        round(height * top) : round(height * (1 - bottom)),
        round(width * left) : round(width * (1 - right)),
    ]
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def test_crops_of_3_percent_are_found_whichever_of_the_two_comes_first():
    rng, settings_of_phantoms = np.random.default_rng(4), PhantomSettings(size=128)
    originals = [draw_phantom("Normal", rng, settings_of_phantoms).image for _ in range(20)]
    for sides, least in (((0.03,) * 4, 19), ((0.02, 0.01, 0.02, 0.01), 15)):
        crops = [cropped(pixels, *sides) for pixels in originals]
        for pictures in (originals + crops, crops + originals):
            table = find_duplicates([str(k % 20) for k in range(40)], **fingerprinted(pictures))
            assert (table["image_id_a"] == table["image_id_b"]).all()
            assert table["image_id_a"].nunique() >= least
            assert table["kind"].isin(["cropped", "near"]).all()


def test_a_crop_is_no_pair_where_crops_are_not_looked_for():
    pixels = picture(0)
    prints = fingerprinted([pixels, cropped(pixels, *(0.03,) * 4)])
    del prints["pixel_sha256s"]
    assert confirmed_pairs(**prints)["kind"].tolist() == ["cropped"]
    assert confirmed_pairs(**prints, kinds=["cropped"])["kind"].tolist() == ["cropped"]
    assert len(confirmed_pairs(**prints, kinds=["near", "mirrored", "inverted"])) == 0


def test_a_plain_copy_is_called_near_though_it_fits_when_aligned_too():
    pixels = picture(0)
    prints = fingerprinted([pixels, jpeg(pixels, 70)])
    del prints["pixel_sha256s"]
    assert confirmed_pairs(**prints)["kind"].tolist() == ["near"]


def test_text_and_arrows_do_not_hide_a_copy():
    pixels = picture(1)
    written = pixels.copy()
    written[150:175, 30:160:2] = 250
    written[10:40, 10:60:3] = 0
    prints = fingerprinted([pixels, written, picture(2)])
    table = find_duplicates(list("abc"), **prints)
    assert table[["image_id_a", "image_id_b", "kind"]].values.tolist() == [["a", "b", "near"]]
    assert 0.67 <= table["correlation"][0] < 0.9


def test_strangers_that_agree_a_little_everywhere_are_not_claimed():
    """As phantoms do, which share one anatomy: correlation alone would take them for copies."""
    shared, mine, yours = (picture(seed).astype(float) for seed in (0, 1, 2))
    pictures = [(0.65 * shared + 0.35 * own).round().astype(np.uint8) for own in (mine, yours)]
    prints = fingerprinted(pictures)
    ready = normalised_thumbnails(prints["thumbnails"])
    correlation = pair_correlations(np.array([[0, 1]]), ready, ready)[0]
    assert 0.67 < correlation < 0.77
    assert len(find_duplicates(["a", "b"], **prints, radius=100)) == 0


def test_a_symmetric_image_is_no_duplicate_of_itself():
    pixels = picture(0)
    pixels[:, 96:] = pixels[:, 95::-1]
    prints = fingerprinted([pixels, picture(1)])
    assert len(find_duplicates(["a", "b"], **prints)) == 0


def test_identical_images_are_exact_and_their_neighbours_near():
    pixels = picture(0)
    prints = fingerprinted([pixels, picture(1), pixels, jpeg(pixels, 80), pixels])
    table = find_duplicates(list("abcde"), **prints)
    kinds = {
        (a, b): kind
        for a, b, kind in zip(table["image_id_a"], table["image_id_b"], table["kind"], strict=True)
    }
    assert kinds == {
        ("a", "c"): "exact", ("a", "e"): "exact", ("c", "e"): "exact",
        ("a", "d"): "near", ("c", "d"): "near", ("d", "e"): "near",
    }  # fmt: skip
    exact = table[table["kind"] == "exact"]
    assert (exact["distance"] == 0).all() and (exact["correlation"] == 1).all()


def test_blank_images_are_duplicates_only_where_identical():
    black, grey = np.zeros((64, 64), np.uint8), np.full((64, 64), 90, np.uint8)
    table = find_duplicates(list("abcd"), **fingerprinted([black, grey, black, picture(0)]))
    assert table[["image_id_a", "image_id_b", "kind"]].values.tolist() == [["a", "c", "exact"]]


def test_thousands_of_identical_images_stay_few_rows():
    prints = fingerprinted([picture(0), picture(1)])
    rows = [0] * 3000 + [1]
    table = find_duplicates(
        [str(k) for k in range(3001)],
        [prints["pixel_sha256s"][row] for row in rows],
        prints["dhashes"][rows],
        prints["thumbnails"][rows],
    )
    assert len(table) == 2999
    labels = cluster_labels(3001, table[["image_id_a", "image_id_b"]].astype(int).to_numpy())
    assert labels[:3000].max() == 0 and labels[3000] == 3000


def test_no_images_give_an_empty_table():
    table = find_duplicates([], [], np.empty((0, 32), np.uint8), np.empty((0, 32, 32), np.uint8))
    assert len(table) == 0 and list(table.columns)[-1] == "kind"


def test_wrong_shapes_and_unequal_numbers_are_named():
    with pytest.raises(ValueError, match="thumbnails are"):
        normalised_thumbnails(np.zeros((2, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="1 image_ids, 2 pixel_sha256s"):
        thumbnails = np.zeros((2, 32, 32), np.uint8)
        find_duplicates(["a"], ["x", "y"], np.zeros((2, 32), np.uint8), thumbnails)


def test_a_radius_out_of_range_is_named():
    prints = fingerprinted([picture(seed) for seed in range(3)])
    del prints["pixel_sha256s"]
    with pytest.raises(ValueError, match="radius is 300"):
        confirmed_pairs(**prints, radius=300)


# --- real X-rays ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_images():
    if not REAL.is_dir():
        pytest.skip(f"the real X-rays are not here: {REAL}")
    paths = sorted(REAL.glob("*/images/*.png"))
    return {
        f"{path.parts[-3]}/{path.stem}": read_grey(path, max_pixels=10**7).pixels for path in paths
    }


SEEN_BY_EYE = {
    frozenset({"COVID/COVID-1562", "COVID/COVID-452"}),
    frozenset({"COVID/COVID-20", "COVID/COVID-466"}),
    frozenset({"COVID/COVID-1541", "COVID/COVID-1568"}),
}
"""Shifted copies beside the 30 known clusters."""


def test_the_30_known_clusters_of_real_images_and_3_shifted_copies_are_found_and_no_others(
    real_images,
):
    table = find_duplicates(list(real_images), **fingerprinted(list(real_images.values())))
    is_crop = table["kind"] == "cropped"
    ends = table[["image_id_a", "image_id_b"]]
    assert {frozenset(pair) for pair in ends[is_crop].to_numpy().tolist()} == SEEN_BY_EYE
    row_of = {image_id: row for row, image_id in enumerate(real_images)}
    pairs = ends[~is_crop].map(row_of.__getitem__).to_numpy()
    sizes = np.bincount(cluster_labels(len(real_images), pairs))
    assert (sizes > 1).sum() == 30 and sizes[sizes > 1].sum() == 61
    assert ends.stack().str.startswith("COVID/").all()


def test_planted_copies_of_real_images_are_found(real_images):
    originals = list(real_images.values())[::35]
    found, expected = planted(originals)
    recall, false_pairs = recall_and_false_pairs(found, expected)
    assert recall >= 0.99 and false_pairs == 0
