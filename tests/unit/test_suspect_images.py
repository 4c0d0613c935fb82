"""Images that stand out: each kind is found by its name, and sound phantoms are not."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workflow_scripts.cxrcam.audit.suspect_images import (
    BLANK,
    COLUMNS,
    DARK,
    FEWEST_OTHERS,
    HUGE,
    IN_COLOUR,
    NEARLY_BLANK,
    ODD_ASPECT,
    OVER_EXPOSED,
    PARTLY_BLANK,
    STRIP,
    THRESHOLDS,
    TINY,
    UNLIKE,
    grey_traits,
    likeness_to_others,
    suspect_images,
)
from workflow_scripts.cxrcam.data.fingerprints import thumbnail
from workflow_scripts.cxrcam.images.colour import MOST_COLOUR
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import FINDINGS, PhantomSettings
from workflow_scripts.cxrcam.report.audit_pages.suspects import (
    MOST_PICTURES,
    drawn_images,
    render_suspects,
)

SIDE = 96
N = 60
PHANTOMS = [
    draw_phantom(finding, phantom_rng(0, finding, number), PhantomSettings(size=SIDE)).image
    for finding in FINDINGS[:3]
    for number in range(1, N // 3 + 1)
]
NOISE = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def table(pictures: list[np.ndarray]) -> pd.DataFrame:
    """Rows of the index."""
    rows = [(f"A/{k}", "A", *one.shape[::-1]) for k, one in enumerate(pictures)]
    images = pd.DataFrame(rows, columns=["image_id", "label", "width", "height"])
    return images.assign(colourfulness=0.0)


def suspects(pictures: list[np.ndarray], groups: list[str] | None = None) -> pd.DataFrame:
    pictures = [np.ascontiguousarray(one) for one in pictures]
    traits = np.concatenate([grey_traits(resize_grey(one, 64)[None]) for one in pictures])
    images = table(pictures)
    thumbnails = np.stack([thumbnail(one) for one in pictures])
    found = likeness_to_others(thumbnails, groups or images["image_id"].tolist())
    return suspect_images(images, traits, *found)


def with_band(pixels: np.ndarray, share: float, grey: int) -> np.ndarray:
    """One grey for the lowest rows, but for a little noise as JPEG leaves."""
    changed = pixels.copy()
    rows = changed[round((1 - share) * len(pixels)) :]
    rows[:] = np.clip(grey + np.random.default_rng(0).integers(-1, 2, rows.shape), 0, 255)
    return changed


def reasons(found: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(found["image_id"], found["why"], strict=True))


# --- what is found --------------------------------------------------------------------------------


def test_sound_phantoms_do_not_stand_out():
    found = suspects(PHANTOMS)
    assert found.empty
    assert tuple(found.columns) == COLUMNS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: np.full_like(p, 90), BLANK),
        (lambda p: (p // 32 + 100).astype(np.uint8), NEARLY_BLANK),
        (lambda p: with_band(p, 0.4, 128), PARTLY_BLANK),
        (lambda p: np.rot90(with_band(p, 0.5, 0)), PARTLY_BLANK),
        (lambda p: np.rot90(with_band(p, 0.5, 255), 3), PARTLY_BLANK),
        (lambda p: (p * 0.1).astype(np.uint8), DARK),
        (lambda p: np.clip(p.astype(int) * 8, 0, 255).astype(np.uint8), OVER_EXPOSED),
        (lambda p: 255 - p, "perhaps with black and white exchanged"),
        (lambda p: np.rot90(p, 1), "perhaps turned by 90° to the left"),
        (lambda p: np.rot90(p, 3), "perhaps turned by 90° to the right"),
        (lambda p: np.rot90(p, 2), "perhaps upside down"),
        (lambda p: NOISE, UNLIKE),
        (lambda p: p[40:50], STRIP),
        (lambda p: p[30:70], ODD_ASPECT),
        (lambda p: np.asarray(Image.fromarray(p).resize((40, 40))), TINY),
        (lambda p: np.asarray(Image.fromarray(p).resize((6500, 6500))), HUGE),
    ],
)
def test_what_is_wrong_with_an_image_is_found_by_its_name(change, why):
    found = suspects([*PHANTOMS, change(PHANTOMS[7])])
    assert ("A/60", why) in reasons(found)
    assert set(found["image_id"]) == {"A/60"}
    row = found[found["why"] == why].iloc[0]
    assert row["threshold"] == THRESHOLDS[why]
    assert row["label"] == "A"


def test_a_collimated_edge_is_not_partly_blank():
    found = suspects([*PHANTOMS, with_band(PHANTOMS[7], 0.25, 0)])
    assert PARTLY_BLANK not in set(found["why"])


def test_a_photograph_that_is_like_the_others_in_grey_is_found_by_its_colour():
    images, traits = table(PHANTOMS), np.tile([[60.0, 0.2, 0.1, 0.0]], (N, 1))
    found = likeness_to_others(np.stack([thumbnail(one) for one in PHANTOMS]), images["image_id"])
    images.loc[[3, 7, 9], "colourfulness"] = [np.float32(MOST_COLOUR) - 0.001, 0.3, 0.5]
    images["colourfulness"] = images["colourfulness"].astype("float32")  # as the index has it
    rows = suspect_images(images, traits, *found)
    assert reasons(rows) == [("A/9", IN_COLOUR), ("A/7", IN_COLOUR)]
    assert rows["value"].tolist() == [0.5, 0.3]
    assert set(rows["threshold"]) == {MOST_COLOUR}


def test_a_few_bad_images_do_not_vouch_for_each_other():
    inverted = [255 - one for one in PHANTOMS[:2]]
    found = suspects([*PHANTOMS, *inverted])
    assert sorted(reasons(found)) == [
        (f"A/{k}", "perhaps with black and white exchanged") for k in (60, 61)
    ]


def test_an_image_has_all_its_reasons_and_the_gravest_come_first():
    bad = [NOISE[:30], np.full((SIDE, SIDE), 3, np.uint8)]
    found = suspects([*PHANTOMS, *bad])
    assert reasons(found) == [
        ("A/61", BLANK),
        ("A/60", UNLIKE),
        ("A/60", ODD_ASPECT),
        ("A/60", TINY),
    ]


# --- few images, and images that are all alike ----------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, FEWEST_OTHERS])
def test_few_images_do_not_tell_what_is_usual(n):
    assert suspects([*PHANTOMS[: n - 1], NOISE]).empty


def test_one_blank_image_is_blank():
    assert reasons(suspects([np.zeros((SIDE, SIDE), np.uint8)])) == [("A/0", BLANK)]


def test_images_that_are_all_the_same_do_not_stand_out():
    same = [PHANTOMS[0]] * 50
    assert suspects(same).empty
    assert suspects(same, ["one"] * 50).empty


def test_images_of_one_group_are_not_compared_with_each_other():
    pictures = [*PHANTOMS, *[255 - PHANTOMS[0]] * 10]
    groups = [*(f"p{k}" for k in range(N)), *["copies"] * 10]
    copies = {f"A/{k}" for k in range(N, N + 10)}
    assert copies <= set(suspects(pictures, groups)["image_id"])
    assert copies.isdisjoint(suspects(pictures)["image_id"]), "they vouch for each other"
    # The others are then too few.
    assert suspects(pictures[:10] + pictures[60:], groups[:10] + groups[60:]).empty


# --- the page -------------------------------------------------------------------------------------


def page_of(pictures: list[np.ndarray]) -> tuple[str, pd.DataFrame]:
    found, images = suspects(pictures), table(pictures)
    drawn = [int(name.split("/")[1]) for name in drawn_images(found)]
    pixels = np.stack([resize_grey(np.ascontiguousarray(pictures[k]), 64) for k in drawn])
    return render_suspects(found, pixels, images, dataset="<b>mine</b>"), found


def test_the_page_shows_each_image_once_with_its_reasons_and_its_aspect():
    bright = np.clip(PHANTOMS[0][:24] * 8.0, 0, 255).astype(np.uint8)
    page, found = page_of([*PHANTOMS, bright, np.zeros((SIDE, SIDE), np.uint8)])
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.index("A/61") < page.index("A/60"), "the gravest first"
    for words in ("2 of 62 images", "&lt;b&gt;mine", "96 × 24", "A 2 of 62", *found["why"]):
        assert words in page
    assert {BLANK, STRIP} < set(found["why"])
    uris = [part.split('"')[0] for part in page.split("data:image/jpeg;base64,")[1:]]
    sizes = [Image.open(io.BytesIO(base64.b64decode(uri))).size for uri in uris]
    # As large as they are cached; a strip stays high enough to be seen.
    assert sizes == [(64, 64), (64, 24)]


def test_the_page_draws_so_many_and_says_how_many_more_there_are():
    blank = [np.zeros((SIDE, SIDE), np.uint8)] * (MOST_PICTURES + 5)
    page, _ = page_of(blank)
    assert page.count("data:image") == MOST_PICTURES
    assert "5 more stand in" in page


def test_a_page_without_anything_says_so():
    images = table(PHANTOMS)
    empty = suspects(PHANTOMS)
    page = render_suspects(empty, np.empty((0, 64, 64), np.uint8), images, dataset="mine")
    assert "0 of 60 images" in page and "data:image" not in page
