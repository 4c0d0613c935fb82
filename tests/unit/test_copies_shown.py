"""Copies as a reader sees them: riskiest first, one laid over the other, and a reader's no."""

import base64
import io
import logging
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from tests.shards import write_shard
from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.contracts import DUPLICATES
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.duplicates.alignment import OUTSIDE, SQUARES, checkerboard
from workflow_scripts.cxrcam.duplicates.risk import COLUMNS, copies_by_risk, without_rejected
from workflow_scripts.cxrcam.figures.duplicates import (
    cluster_heads,
    copies_caption,
    copies_figure,
    pair_pictures,
)
from workflow_scripts.cxrcam.report.audit_pages.copies import (
    MOST_OF_CLUSTER,
    drawn_pairs,
    render_copies,
)

GENERATOR = np.random.default_rng(0)
ODD = "$a_1^2$ <b>_under^score_with_a_very_long_unbroken_name_that_goes_on"
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def pairs(*rows: tuple[str, str, float, str]) -> pd.DataFrame:
    """Table as the search makes it."""
    values = [
        (a, b, kind, correlation, 0.9, *IDENTITY.ravel(), 60) for a, b, correlation, kind in rows
    ]
    return pd.DataFrame(values, columns=DUPLICATES.names)


def star(centre: str, n: int) -> list[tuple[str, str, float, str]]:
    """Pairs of one image with n others."""
    return [(centre, f"{centre} copy {k}", 0.9 - k / 100, "re-encoded") for k in range(n)]


def ranked(own: pd.DataFrame, labels=None, **others: pd.DataFrame) -> pd.DataFrame:
    """Ranked copies; images that `labels` does not name are Normal."""
    tables = {"own": own, **others}
    names = {*own["image_id_a"], *own["image_id_b"]}
    for table in others.values():
        names |= {*table["image_id_a"]}
    of = {"own": dict.fromkeys(names, "Normal") | (labels or {})}
    of |= {name: dict.fromkeys(table["image_id_b"], "Normal") for name, table in others.items()}
    return copies_by_risk(tables, of)


def ends(copies: pd.DataFrame) -> list[str]:
    return [f"{a}-{b}" for a, b in zip(copies["image_id_a"], copies["image_id_b"], strict=True)]


# --- order ----------------------------------------------------------------------------------------


def test_two_labels_come_first_then_two_data_sets_then_the_weakest():
    own = pairs(
        ("a", "b", 0.99, "re-encoded"),
        ("c", "d", 0.8, "cropped"),
        ("e", "f", 1.0, "exact"),
        ("g", "h", 0.95, "turned"),
        ("i", "j", 0.6, "other_exposure"),
    )
    copies = ranked(own, {"h": "COVID", "j": "COVID"}, far=pairs(("k", "a", 0.97, "brightened")))
    assert ends(copies) == ["g-h", "k-a", "i-j", "c-d", "a-b", "e-f"]
    assert copies["cluster"].tolist() == [1, 2, 3, 4, 5, 6]
    assert [*copies.columns[: len(COLUMNS)]] == [*COLUMNS]
    assert copies.iloc[0][["label_a", "label_b"]].tolist() == ["Normal", "COVID"]


def test_a_cluster_hangs_together_by_chains_and_its_worst_pair_says_where_it_stands():
    copies = ranked(
        pairs(
            ("p", "q", 0.9, "re-encoded"),
            ("a", "b", 0.95, "re-encoded"),
            ("b", "c", 0.72, "cropped"),
        )
    )
    assert ends(copies) == ["b-c", "a-b", "p-q"]
    assert copies["cluster"].tolist() == [1, 1, 2]


def test_an_image_of_another_data_set_is_not_the_one_of_that_name_at_home():
    copies = ranked(pairs(("a", "b", 0.9, "cropped")), far=pairs(("c", "a", 0.9, "cropped")))
    assert copies["cluster"].nunique() == 2


def test_without_copies_the_table_is_empty_but_has_its_columns():
    assert [*ranked(pairs()).columns[: len(COLUMNS)]] == [*COLUMNS]


def test_an_image_without_label_is_named():
    with pytest.raises(ValueError, match="image 'b' of the pairs"):
        copies_by_risk({"own": pairs(("a", "b", 1.0, "exact"))}, {"own": {"a": "X"}})


# --- a reader's no --------------------------------------------------------------------------------

FOUND = pairs(("a", "b", 0.8, "cropped"), ("=c", "d", 0.8, "cropped"), ("e", "f", 1.0, "exact"))
LOG = logging.getLogger("test")


def rejected(tmp_path, text: str, other: str = "own") -> list[str]:
    file = tmp_path / "no.csv"
    file.write_text(text, encoding="utf-8")
    return ends(without_rejected(FOUND, file, "own", other, LOG))


def test_a_table_of_one_data_set_rejects_its_pairs_in_a_union(tmp_path):
    (tmp_path / "no.csv").write_text(
        "image_id_a,data_set_b,image_id_b\nb,one,a\nc,other,d\n", encoding="utf-8"
    )
    found = pairs(
        *(("one/a", "one/b", 0.8, "cropped"), ("one/c", "one/d", 0.8, "cropped")),
        ("two/a", "two/b", 0.8, "cropped"),
    )
    left = without_rejected(found, tmp_path / "no.csv", "one", "one", LOG, "one/")
    assert ends(left) == ["one/c-one/d", "two/a-two/b"]
    across = pairs(("one/c", "d", 0.8, "cropped"), ("two/c", "d", 0.8, "cropped"))
    left = without_rejected(across, tmp_path / "no.csv", "one", "other", LOG, "one/")
    assert ends(left) == ["two/c-d"]


def test_rejected_pairs_are_left_out_in_either_order_and_with_the_apostrophe_of_our_own_table(
    tmp_path,
):
    head = "image_id_a,image_id_b,kind"
    assert rejected(tmp_path, f"{head}\nb,a,cropped\n") == ["=c-d", "e-f"]
    assert rejected(tmp_path, f"{head}\n'=c,d,cropped\n") == ["a-b", "e-f"]
    assert rejected(tmp_path, "image_id_a;image_id_b\na;b\n") == ["=c-d", "e-f"]
    assert rejected(tmp_path, f"{head}\n") == ["a-b", "=c-d", "e-f"]


def test_rows_on_another_data_set_are_passed_over(tmp_path):
    text = "image_id_a,data_set_b,image_id_b\na,far,b\n=c,,d\n"
    assert rejected(tmp_path, text) == ["a-b", "e-f"]
    assert rejected(tmp_path, text, "far") == ["=c-d", "e-f"]
    # Across data sets the order says which is whose.
    assert rejected(tmp_path, text.replace("a,far,b", "b,far,a"), "far") == ["a-b", "=c-d", "e-f"]


def test_a_pair_that_was_not_found_is_warned_of(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        rejected(tmp_path, "image_id_a,image_id_b\na,b\na,x\n")
    assert "Left out 1 pairs" in caplog.text
    assert "1 rows of" in caplog.text and "row 3: 'a' and 'x'" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id_a,other\na,b\n", "has no column image_id_b"),
        ("image_id_a,image_id_b\ne,f\n", "Row 2 of .* the same pixel for pixel"),
        ('image_id_a,image_id_b\n"a,b\n', "quotation mark"),
    ],
)
def test_what_cannot_be_followed_is_refused(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message):
        rejected(tmp_path, text)


# --- one laid over the other ----------------------------------------------------------------------


def smooth(size: int = 96) -> np.ndarray:
    coarse = GENERATOR.integers(60, 200, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def test_a_checkerboard_of_copies_is_the_picture_itself():
    a = smooth()
    darker = np.rint(a * 0.5 + 20).astype(np.uint8)
    for b, inverted in ((a, False), (darker, False), (255 - a, True)):
        board = checkerboard(a, b, IDENTITY, inverted=inverted)
        assert np.abs(board.astype(int) - a).max() <= 2
    stranger = checkerboard(a, smooth(), IDENTITY).astype(int)
    side = len(a) // SQUARES
    assert np.abs(stranger - a)[:side, :side].max() == 0  # squares of the first
    assert np.abs(stranger - a)[:side, side : 2 * side].mean() > 10  # and of the second


def test_a_shifted_copy_is_laid_where_it_belongs_and_the_rest_is_dark():
    a = smooth()
    b = np.zeros_like(a)
    b[:, :72] = a[:, 24:]
    board = checkerboard(a, b, np.array([[1, 0, 0.25], [0, 1, 0]])).astype(int)
    assert np.abs(board - a)[:, 24:].max() <= 2
    np.testing.assert_array_equal(board[:, :24], np.rint(a[:, :24] * OUTSIDE))


def test_pictures_come_from_the_cache_of_their_own_data_set(tmp_path):
    pictures = {"own": {"a": smooth(), "b": smooth()}, "far": {"a": smooth()}}
    shards = {}
    for name, of in pictures.items():
        shards[name] = [tmp_path / f"{name}.parquet"]
        write_shard(shards[name][0], sorted(of), np.stack([of[key] for key in sorted(of)]), {})
    copies = ranked(pairs(("a", "b", 0.9, "cropped")), far=pairs(("b", "a", 0.9, "cropped")))
    across, within = pair_pictures(copies, shards)
    for (a, b, board), (left, right) in (
        (across, (pictures["own"]["b"], pictures["far"]["a"])),
        (within, (pictures["own"]["a"], pictures["own"]["b"])),
    ):
        np.testing.assert_array_equal(a, left)
        np.testing.assert_array_equal(b, right)
        np.testing.assert_array_equal(board, checkerboard(left, right, IDENTITY))


# --- figure ---------------------------------------------------------------------------------------


def drawn(copies: pd.DataFrame):
    pictures = GENERATOR.integers(0, 256, (len(cluster_heads(copies)), 3, 8, 8)).astype(np.uint8)
    return copies_figure(copies, pictures, own="own", searched=1234), pictures


def words(figure) -> list[str]:
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    return [text.replace(r"\$", "$") for text in texts]


MANY = ranked(pairs(*(row for k in range(15) for row in star(str(k), 1))))
EVERY = {
    "one cluster": ranked(pairs(*star("x", 1))),
    "three clusters": ranked(pairs(*star("x", 9), *star("y", 3), *star("z", 2))),
    "many clusters": MANY,
    "long names": ranked(
        pairs((f"{ODD}/a", f"{ODD}/b", 0.7, "other_exposure")),
        {f"{ODD}/a": ODD},
        **{"elsewhere" * 7: pairs((f"{ODD}/c", ODD, 0.7, "re-encoded"))},
    ),
    "none": ranked(pairs()),
}


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_or_overlaps(name):
    figure, _ = drawn(EVERY[name])
    assert_nothing_is_cut_off_or_overlaps(figure)
    for axes in figure.axes:
        panel = axes.get_window_extent()
        assert panel.width == pytest.approx(panel.height)
        assert axes.images[0].get_clim() == (0, 255)  # contrast is not stretched
        assert figure.bbox.x0 <= panel.x0 and panel.x1 <= figure.bbox.x1
    assert figure.get_figwidth() <= 7.21


def test_the_figure_shows_the_worst_pair_of_each_cluster():
    table = pairs(("p", "q", 0.71, "cropped"), ("q", "r", 0.95, "inverted"))
    figure, pictures = drawn(ranked(table, {"q": "$V$_1"}, far=pairs(("z", "y", 0.8, "exact"))))
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    np.testing.assert_array_equal(np.stack(shown), pictures.reshape(-1, 8, 8))
    assert words(figure) == [
        "Near-duplicates among 1,234 images: 2 clusters, 5 images",
        *[
            "Cluster 1: 3 images, two labels",
            "Normal",
            "p",
            "$V$_1",
            "q",
            "cropped",
            "correlation 0.710",
        ],
        *["Cluster 2: 2 images, right one in far", "Normal", "z", "Normal", "y", "exact"],
        "correlation 0.800",
    ]


def test_what_is_left_out_is_counted():
    figure, pictures = drawn(MANY)
    assert words(figure)[0].endswith(": 15 clusters, 30 images; showing 12")
    assert len(figure.axes) == 36 and len(pictures) == 12


def test_captions_stand_alone():
    copies = ranked(pairs(*star("x", 2), ("y", "z", 1.0, "exact")), {"z": "COVID"})
    caption = copies_caption(copies, "the demo", ["B", "C"], 1234)
    for part in (
        "the 1,234 images of the demo, and between these and B or C: 2 clusters with 5 images",
        *("1 exact, 2 re-encoded", "1 pair of one picture under two labels"),
    ):
        assert part in caption
    nothing = copies_caption(ranked(pairs()), "X", [], 7)
    assert nothing == "No exact or near-duplicates were found among the 7 images of X."
    assert words(drawn(ranked(pairs()))[0]) == ["No near-duplicates among 1,234 images"]


# --- page -----------------------------------------------------------------------------------------


def page(copies: pd.DataFrame, **settings) -> str:
    pictures = [np.full((3, 64, 64), k, np.uint8) for k in range(len(drawn_pairs(copies)))]
    about = {"own": "own", "external": [], "searched": 1234} | settings
    return render_copies(copies, pictures, **about)


def test_the_page_has_every_cluster_with_pictures_names_and_labels():
    copies = ranked(
        pairs(*star("x", MOST_OF_CLUSTER + 3), ("y", "z", 0.75, "other_exposure")),
        {"x copy 0": "COVID"},
        far=pairs((ODD, "w,1", 0.9, "mirrored")),
    )
    html = page(copies, external=["far"])
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    assert len(found) == len(copies) == MOST_OF_CLUSTER + 5
    for number, text in enumerate(found):
        with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
            assert picture.size == (3 * 64 + 8, 64)
            assert np.abs(np.asarray(picture, int)[:, :56] - number).max() <= 2
    titles = re.findall(r"<h2 [^>]*>([^<]*)<small>([^<]*)", html)
    assert titles == [
        ("Cluster 1 ", "7 pairs"),
        ("Cluster 2 ", "1 pair"),
        ("Cluster 3 ", "1 pair"),
    ]
    assert html.count("Two labels") == 1
    assert "between these and far" in html and "z</p>" in html and "w,1 in far</p>" in html
    assert "other exposure, correlation 0.750, overlap 90 %" in html
    assert "<b>_under" not in html  # names are escaped


def test_lines_of_the_page_are_a_table_of_pairs_that_are_no_copies(tmp_path):
    own, far = pairs(('a "1"', "=b,c", 0.9, "cropped")), pairs(("d", "e", 0.9, "cropped"))
    html = page(ranked(own, far=far), external=["far"])
    lines = [unescape(line) for line in re.findall(r'<code class="row">(.+?)</code>', html)]
    (tmp_path / "no.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert without_rejected(own, tmp_path / "no.csv", "own", "own", LOG).empty
    assert without_rejected(far, tmp_path / "no.csv", "own", "far", LOG).empty


def test_of_too_many_pairs_each_cluster_shows_its_first_ones(monkeypatch):
    monkeypatch.setattr("workflow_scripts.cxrcam.report.audit_pages.copies.MOST_PAIRS", 8)
    html = page(ranked(pairs(*star("x", 9), *star("y", 2))))
    assert "9 pairs, 4 shown" in html and "2 pairs</small>" in html


def test_a_page_of_more_than_fit_says_where_the_others_stand(monkeypatch):
    monkeypatch.setattr("workflow_scripts.cxrcam.report.audit_pages.copies.MOST_PAIRS", 10)
    html = re.sub(r"\s+", " ", page(MANY))
    assert "5 more clusters stand in" in html and "no more than 10 pairs are drawn" in html
    assert "more clusters" not in page(ranked(pairs(*star("x", 2))))


def test_a_page_without_copies_says_so():
    html = page(ranked(pairs()))
    assert "0 clusters of images" in html and "not_copies" not in html
