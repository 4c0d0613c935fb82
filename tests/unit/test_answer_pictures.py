"""Pictures of new images: what the page shows, and says where nothing speaks for a class."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.report.answers.pictures import (
    PICTURE_SIDE,
    AnswerCard,
    Drawing,
    write_answer_pictures,
)

CELL = 32
SIZE = 224


def drawn(folder: Path, *, against: bool = False) -> list[AnswerCard]:
    """An image with evidence on both sides, one that has none for its class, and no input."""
    generator = np.random.default_rng(0)
    values = np.zeros((3, 1, 7, 7), dtype=np.float32)
    values[0, 0, 1, 5], values[0, 0, 5, 1] = 2.0, -2.0
    values[1] = -1.0
    paths = [folder / f"{k}.png" for k in range(3)]
    for path in paths:
        Image.fromarray(generator.integers(0, 255, (300, 300)).astype("u1")).save(path)
    rows = [
        {"image": path.name, "answer": "COVID", "abstained": False, "is_input": k < 2}
        | {"is_drawn": k == 1}
        | {"said": "COVID, 0.9", "notes": [], "explained": "COVID"}
        for k, path in enumerate(paths)
    ]
    drawing = Drawing("whole", 2.0, 2, 0.5, 10**6, ["Research use only."], against)
    return write_answer_pictures(
        rows, paths, RawMaps(values, SIZE, CELL, 0.0), folder / "page", drawing, 1
    )


def layer(folder: Path, file: str | None) -> np.ndarray:
    return np.asarray(Image.open(folder / "page" / str(file)).convert("RGBA"))[..., 3]


def test_evidence_is_drawn_where_the_map_has_it_and_the_rest_is_clear(tmp_path: Path) -> None:
    seen = layer(tmp_path, drawn(tmp_path)[0].evidence)
    assert seen.shape == (PICTURE_SIDE, PICTURE_SIDE)
    cell = CELL * PICTURE_SIDE // SIZE
    assert seen[cell, 5 * cell] > 0
    assert seen[5 * cell - 20 : 5 * cell + 20, cell - 20 : cell + 20].max() == 0
    assert (seen > 0).mean() < 0.05


def test_evidence_against_is_drawn_where_asked(tmp_path: Path) -> None:
    assert drawn(tmp_path)[0].against is None
    card, _, no_input = drawn(tmp_path, against=True)
    seen = layer(tmp_path, card.against)
    cell = CELL * PICTURE_SIDE // SIZE
    assert seen[5 * cell - 20 : 5 * cell + 20, cell - 20 : cell + 20].max() > 0
    assert not layer(tmp_path, card.evidence)[seen > 0].any()
    assert no_input.against is None


def test_what_has_no_evidence_says_so_and_what_is_no_input_has_no_map(tmp_path: Path) -> None:
    first, second, third = drawn(tmp_path)
    assert first.said == "COVID, 0.9"
    assert second.said == "COVID, 0.9; no evidence for COVID"
    assert not layer(tmp_path, second.evidence).any()
    assert third.evidence is None
    assert third.said == "COVID, 0.9"


@pytest.mark.parametrize("against", [False, True])
def test_the_captioned_picture_shows_the_xray_untouched_at_the_left(
    tmp_path: Path, against: bool
) -> None:
    card = drawn(tmp_path, against=against)[0]
    picture = np.asarray(Image.open(tmp_path / "page" / card.overlay))
    left = picture[26 : 26 + PICTURE_SIDE, :PICTURE_SIDE].astype(int)
    right = picture[26 : 26 + PICTURE_SIDE, -PICTURE_SIDE:].astype(int)
    assert np.ptp(left, axis=2).max() == 0, "grey"
    same = (left == right).all(axis=2)
    assert 0.8 < same.mean() < 1.0
