"""Figures of duplicates: what is shown is what was found, with totals of all, under any name."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.figures.duplicates import (
    conflict_pictures,
    duplicate_clusters_caption,
    duplicate_clusters_figure,
    label_conflicts_caption,
    label_conflicts_figure,
    largest_clusters,
)

GENERATOR = np.random.default_rng(0)
ODD = ["$a_1^2$ vs $b$", "_under^score", "Lung_Opacity_with_a_very_long_unbroken_name_that_goes_on"]


def pairs(*rows: tuple[str, str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["image_id_a", "image_id_b", "correlation", "kind"])


def star(centre: str, n: int) -> list[tuple[str, str, float, str]]:
    """Pairs of one image with n others."""
    return [(centre, f"{centre} copy {k}", 0.9 - k / 100, "re-encoded") for k in range(n)]


def drawn(table: pd.DataFrame, labels: str = "COVID"):
    """Figure of all that the table names, with pictures and where each came from."""
    names = sorted(set(table["image_id_a"]) | set(table["image_id_b"]))
    pictures = GENERATOR.integers(0, 256, (len(names), 8, 8)).astype(np.uint8)
    figure = duplicate_clusters_figure(table, names, [labels] * len(names), pictures, searched=1234)
    return figure, dict(zip(names, pictures, strict=True))


def shown(figure) -> list[np.ndarray]:
    """Pictures of a figure in reading order."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def words(figure) -> list[str]:
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    return [text.replace(r"\$", "$") for text in texts]


def conflicts(k: int, name: str = "image", data_set: str = "own") -> pd.DataFrame:
    table = pairs(*((f"{name} a{n}", f"{name} b{n}", 1 - n / 100, "mirrored") for n in range(k)))
    return table.assign(label_a=(ODD * k)[:k], label_b="Normal", data_set_b=data_set)


def conflict_figure(k: int, data_set: str = "own"):
    sides = GENERATOR.integers(0, 256, (2, k, 8, 8)).astype(np.uint8)
    table = conflicts(k, ODD[2], data_set)
    return label_conflicts_figure(table, *sides, source="own"), sides


LONG = pairs(*((f"{ODD[0]}/{ODD[2]}/{k}", f"{ODD[1]}/{k}", 0.8, "cropped") for k in range(20)))
EVERY = {
    "one cluster": lambda: drawn(pairs(*star("x", 1)))[0],
    "sizes that fill rows": lambda: drawn(pairs(*star("x", 9), *star("y", 3), *star("z", 2)))[0],
    "long names": lambda: drawn(LONG, ODD[2])[0],
    "no cluster": lambda: drawn(pairs())[0],
    "one conflict": lambda: conflict_figure(1)[0],
    "many conflicts": lambda: conflict_figure(14)[0],
    "conflicts with a data set of a long name": lambda: conflict_figure(4, "elsewhere" * 7)[0],
    "no conflict": lambda: conflict_figure(0)[0],
}


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_or_overlaps(name):
    figure = EVERY[name]()
    assert_nothing_is_cut_off_or_overlaps(figure)
    for axes in figure.axes:
        panel = axes.get_window_extent()
        assert panel.width == pytest.approx(panel.height)
        assert axes.images[0].get_clim() == (0, 255)  # contrast is not stretched
        assert figure.bbox.x0 <= panel.x0 and panel.x1 <= figure.bbox.x1
    assert figure.get_figwidth() <= 7.21


def test_clusters_hang_together_by_chains_and_the_largest_comes_first():
    table = pairs(
        *[
            ("p", "q", 0.9, "re-encoded"),
            ("a", "b", 0.9, "re-encoded"),
            ("c", "d", 0.8, "re-encoded"),
        ],
        *[("b", "c", 0.7, "cropped"), ("r", "s", 1.0, "exact")],
    )
    assert largest_clusters(table) == [["a", "b", "c", "d"], ["p", "q"], ["r", "s"]]
    many = pairs(*star("x", 9), *(row for k in range(15) for row in star(str(k), 1)))
    assert [len(cluster) for cluster in largest_clusters(many)] == [6, *[2] * 11]
    assert largest_clusters(pairs()) == []


def test_each_image_stands_with_its_name_label_and_closest_pair():
    table = pairs(
        ("p", "q", 0.71, "re-encoded"), ("q", "r", 0.95, "inverted"), ("p", "r", 0.72, "re-encoded")
    )
    figure, pictures = drawn(table, "$V$_1")
    for found, name in zip(shown(figure), ["p", "q", "r"], strict=True):
        np.testing.assert_array_equal(found, pictures[name])
    assert words(figure)[1:] == [
        *["Cluster 1: 3 images", "$V$_1", "p", "re-encoded 0.720"],
        *["$V$_1", "q", "inverted 0.950", "$V$_1", "r", "inverted 0.950"],
    ]


def test_identical_images_are_closer_than_a_perfect_mirror_image():
    table = pairs(
        ("p", "q", 1.0, "mirrored"), ("p", "r", 1.0, "exact"), ("q", "r", 1.0, "re-encoded")
    )
    assert "exact 1.000" in words(drawn(table)[0])[4]


def test_the_title_counts_all_and_says_how_many_are_shown():
    few, _ = drawn(pairs(*star("x", 2), *star("y", 1)))
    assert words(few)[0] == "Near-duplicates among 1,234 images: 2 clusters, 5 images"
    many, _ = drawn(pairs(*(row for k in range(15) for row in star(str(k), 1))))
    assert words(many)[0].endswith(": 15 clusters, 30 images; showing 12")
    assert len(shown(many)) == 24


def test_a_cluster_with_more_images_than_a_row_says_what_is_left_out():
    figure, _ = drawn(pairs(*star("x", 10)))
    assert len(shown(figure)) == 6 and "Cluster 1: 11 images, 6 shown" in words(figure)


def test_without_anything_found_the_figures_and_captions_say_so():
    assert words(drawn(pairs())[0]) == ["No near-duplicates among 1,234 images"]
    assert words(conflict_figure(0)[0]) == ["No picture bears two different labels"]
    assert duplicate_clusters_caption(pairs(), 7, "X").startswith("No exact or near-duplicates")
    assert label_conflicts_caption(conflicts(0), "A", []) == (
        "No two images within A that show one picture bear different labels."
    )


def test_conflicts_stand_side_by_side_in_the_order_given():
    sides = GENERATOR.integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    table = conflicts(3)
    figure = label_conflicts_figure(table, *sides, source="own")
    for place, found in enumerate(shown(figure)):
        np.testing.assert_array_equal(found, sides[place % 2][place // 2])
    assert words(figure)[:6] == [
        *["3 pairs of one picture under two labels", "mirrored 1.000"],
        *["$a_1^2$ vs $b$", "image a0", "Normal", "image b0"],
    ]


def test_a_picture_of_another_data_set_says_so():
    table = pd.concat([conflicts(1), conflicts(1, data_set="elsewhere")])
    sides = GENERATOR.integers(0, 256, (2, 2, 8, 8)).astype(np.uint8)
    found = words(label_conflicts_figure(table, *sides, source="own"))
    assert "mirrored 1.000" in found and "mirrored 1.000 in elsewhere" in found


def test_more_conflicts_than_fit_are_counted():
    figure, sides = conflict_figure(14)
    assert words(figure)[0] == "14 pairs of one picture under two labels; showing 12"
    assert len(shown(figure)) == 24
    # Pictures of those that are shown are enough.
    fewer = label_conflicts_figure(conflicts(14), *sides[:, :12], source="own")
    assert len(shown(fewer)) == 24


def test_captions_stand_alone():
    caption = duplicate_clusters_caption(
        pairs(*star("x", 2), ("y", "z", 1.0, "exact")), 1234, "the demo"
    )
    for part in ("1,234 images of the demo", "2 clusters with 5 images", "1 exact, 2 re-encoded"):
        assert part in caption
    assert "2 pairs of images within A that" in label_conflicts_caption(conflicts(2), "A", [])
    assert "1 pair of images within A, or of A and B or C, that" in label_conflicts_caption(
        conflicts(1), "A", ["B", "C"]
    )


def test_pictures_of_conflicts_come_from_the_cache_of_their_own_data_set(monkeypatch):
    shades = {("own.parquet", "a"): 1, ("own.parquet", "b"): 2, ("else.parquet", "a"): 3}

    def read(shards, names, size):
        assert len(set(names)) == len(names), "asked for twice"
        return np.stack(
            [np.full((size, size), shades[shards[0], name], np.uint8) for name in names]
        )

    monkeypatch.setattr("workflow_scripts.cxrcam.figures.duplicates.read_pixels", read)
    table = pd.DataFrame(
        {"image_id_b": ["b", "a", "a", "b"], "data_set_b": ["own", "else", "own", "own"]}
    )
    shards = {"own": ["own.parquet"], "else": ["else.parquet"]}
    assert conflict_pictures(table, shards, 4)[:, 0, 0].tolist() == [2, 3, 1, 2]
