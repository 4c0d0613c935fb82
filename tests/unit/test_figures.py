"""Figures: same bytes twice, names print literally, nothing collides, nothing global changes."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from workflow_scripts.cxrcam.code_fingerprint import import_closure
from workflow_scripts.cxrcam.drawing.style import (
    PNG_DPI,
    fitted,
    literal,
    save_captioned,
    save_figure,
    wrapped,
)
from workflow_scripts.cxrcam.figures.confusion import confusion_figure
from workflow_scripts.cxrcam.figures.curves import precision_recall_figure, roc_figure
from workflow_scripts.cxrcam.figures.history import history_figure
from workflow_scripts.cxrcam.figures.overview import accuracy_overview_figure
from workflow_scripts.cxrcam.figures.reliability import reliability_figure
from workflow_scripts.cxrcam.maps.gallery import choose_images, gallery
from workflow_scripts.cxrcam.metrics.classification import classification_metrics
from workflow_scripts.cxrcam.terms import DRAWN

MODULES = Path(__file__).parents[2] / "workflow_scripts" / "cxrcam"

ODD = ["$a_1^2$ vs $b$", "_under^score", "Bilateral interstitial pneumonia of unknown origin"]
LONG = "Lung_Opacity_with_a_very_long_unbroken_name_that_goes_on"


def predictions(classes, n=40, runs=2, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, len(classes), n * runs)
    truth[: len(classes)] = np.arange(len(classes))
    truth[n : n + len(classes)] = np.arange(len(classes))
    scores = generator.dirichlet(np.ones(len(classes)), n * runs) + np.eye(len(classes))[truth]
    table = pd.DataFrame(
        scores / scores.sum(axis=1, keepdims=True),
        columns=[f"probability_{name}" for name in classes],
    )
    table["label"] = np.array(classes, dtype=object)[truth]
    table["run"] = np.repeat(np.arange(runs), n)
    table["image_id"] = [f"image {k}" for k in range(n * runs)]
    table["group"] = np.arange(n * runs)
    return table


def history(runs=2):
    return pd.DataFrame(
        {
            "run": run,
            "role": role,
            "iteration": step,
            "epoch": step / 10,
            "loss": 1 / (step + run),
            "accuracy": 1 - 1 / (step + run + 1),
        }
        for run in range(runs)
        for role in ("train", "test")
        for step in range(1, 31, 3)
    )


def metrics_table():
    return pd.DataFrame(
        {
            "task": ["two_class"] * 3 + [ODD[0]],
            "scheme": ["holdout", "kfold", "kfold", LONG],
            "fold": [0, 0, 1, 0],
            "seed": 0,
            "n": [60, 60, 60, 90],
            "correct": [57, 55, 60, 80],
            "majority_share": [0.5, 0.5, 0.55, 0.34],
            "floor_histogram": [0.9, 0.8, 0.7, 0.6],
            "floor_centre_black": [0.8, 0.7, 0.6, 0.5],
        }
    )


def small_gallery(n=6, evidence=None, lung_mask=None, is_drawn=False, **other):
    generator = np.random.default_rng(0)
    grey = generator.integers(0, 255, (n, 32, 32)).astype(np.uint8)
    maps = generator.random((n, 32, 32)) if evidence is None else evidence
    records = pd.DataFrame(
        {
            "image_id": [f"${i}_x$" for i in range(n)],
            "label": ODD[0],
            "predicted": [ODD[0], ODD[1]] * (n // 2),
            "probability": np.linspace(0.5, 0.9, n),
            "is_drawn": is_drawn,
        }
    )
    pictures = [
        {"grey": image, "evidence": of, "lung_mask": lung_mask, "lesion_mask": None}
        for image, of in zip(grey, maps, strict=True)
    ]
    given = {
        "class_name": ODD[0], "total": n, "wrong": n // 2, "scale_max": 3.0,
        "method": None, "opacity": 0.5, "against": False,
    }  # fmt: skip
    return gallery(pictures, records, **(given | other))


EVERY = {
    "confusion": lambda: confusion_figure(np.arange(9).reshape(3, 3), ODD),
    "roc": lambda: roc_figure(predictions(ODD), ODD, title="ROC"),
    "precision_recall": lambda: precision_recall_figure(predictions(ODD), ODD, title="PR"),
    "reliability": lambda: reliability_figure(predictions(ODD), ODD, title="Reliability"),
    "history": lambda: history_figure(history(), title="History"),
    "overview": lambda: accuracy_overview_figure(metrics_table()),
    "gallery": small_gallery,
}


def texts(figure):
    """Every text of a figure as it is drawn: escapes undone, line breaks as spaces."""
    return [
        text.get_text().replace(r"\$", "$").replace("\n", " ")
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible()
    ]


def lines_of(figure):
    return " | ".join(texts(figure))


@pytest.mark.parametrize("name", list(EVERY))
def test_the_same_figure_is_the_same_bytes_twice(name, tmp_path):
    before = dict(matplotlib.rcParams)
    for turn in ("a", "b"):
        png, svg = save_figure(EVERY[name](), tmp_path / turn / "fold-0.5")
        assert (png.name, svg.name) == ("fold-0.5.png", "fold-0.5.svg")
    for suffix in ("png", "svg"):
        first, second = (tmp_path / turn / f"fold-0.5.{suffix}" for turn in ("a", "b"))
        assert first.read_bytes() == second.read_bytes(), suffix
    assert b"<dc:date>" not in svg.read_bytes()
    assert dict(matplotlib.rcParams) == before
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [png.name, svg.name]


@pytest.mark.parametrize("name", list(EVERY))
def test_letters_are_at_least_seven_points(name):
    sizes = {text.get_fontsize() for text in EVERY[name]().findobj(Text) if text.get_text()}
    assert min(sizes) >= 7.0


CROWDED = {
    "confusion of ten": lambda: confusion_figure(
        np.full((10, 10), 1000), [f"{i} {LONG}" for i in range(10)], title=LONG * 3
    ),
    "roc of ten": lambda: roc_figure(
        predictions([f"{i} {LONG}" for i in range(10)], n=60),
        [f"{i} {LONG}" for i in range(10)],
        title=LONG * 3,
    ),
    "gallery of six": lambda: small_gallery(
        6, total=10**6, wrong=10**5, class_name=LONG * 3, method="LayerCAM", against=True
    ),
    "gallery of two": lambda: small_gallery(2),
}


@pytest.mark.parametrize("name", [*EVERY, *CROWDED])
def test_every_text_lies_on_the_page_and_on_no_other_text(name, monkeypatch):
    drawn = []
    draw = Text.draw

    def recording_draw(self, renderer, *args, **kwargs):
        if self.get_text().strip() and self.get_visible():
            drawn.append((self.get_text(), self.get_window_extent(renderer)))
        return draw(self, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", recording_draw)
    figure = (EVERY | CROWDED)[name]()
    figure.set_dpi(PNG_DPI)
    FigureCanvasAgg(figure).draw()
    assert len(drawn) > 5
    page = figure.bbox
    for position, (text, box) in enumerate(drawn):
        assert page.x0 - 1 <= box.x0 < box.x1 <= page.x1 + 1, text
        assert page.y0 - 1 <= box.y0 < box.y1 <= page.y1 + 1, text
        for other_text, other in drawn[position + 1 :]:
            # One pixel of tolerance: boxes include the spacing around the letters.
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(width, height) <= 1, (text, other_text)


def test_dollars_underscores_and_carets_print_literally():
    assert literal("$a_1^2$") == r"\$a_1^2\$"
    figure = Figure()
    text = figure.text(0, 0, literal("$a_1^2$"))
    assert text._preprocess_math(text.get_text()) == ("$a_1^2$", False)
    for name in ("confusion", "roc", "gallery"):
        figure = EVERY[name]()
        assert "$a_1^2$ vs $b$" in lines_of(figure), name
        for text in figure.findobj(Text):
            assert text._preprocess_math(text.get_text())[1] is False, text.get_text()


def test_names_that_begin_with_an_underscore_survive():
    assert "_under^score" in lines_of(EVERY["confusion"]())
    assert "_under^score" in lines_of(EVERY["roc"]())


def test_long_names_are_cut_and_break_after_underscores():
    assert wrapped(LONG, 1.0, 7.0, 2).split("\n")[0].endswith("_")
    assert len(wrapped(LONG, 1.0, 7.0, 2).split("\n")) == 2
    assert wrapped("Viral Pneumonia", 0.6, 7.0) == "Viral\nPneumonia"
    assert wrapped("COVID", 3.0, 7.0) == "COVID"
    assert "…" in fitted(LONG, 1.0, 7.0)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_curves_have_a_panel_for_each_class_but_one_for_two(k):
    classes = [f"class {i}" for i in range(k)]
    for draw in (roc_figure, precision_recall_figure):
        figure = draw(predictions(classes, n=60), classes, title="Curves")
        assert len(figure.axes) == (1 if k == 2 else k)


def test_the_second_of_two_classes_is_the_positive_one():
    figure = roc_figure(predictions(["Normal", "COVID"]), ["Normal", "COVID"], title="ROC")
    assert "positive: COVID" in lines_of(figure)


def test_the_roc_legend_gives_n_and_the_area_with_its_interval():
    table = predictions(["Normal", "COVID"], n=30, runs=3)
    shown = lines_of(roc_figure(table, ["Normal", "COVID"], title="ROC"))
    from sklearn.metrics import roc_auc_score

    area = roc_auc_score(table["label"] == "COVID", table["probability_COVID"])
    assert f"3 runs pooled, 90 answers AUROC {area:.3f} 95 % CI " in shown
    assert "each of 3 runs AUROC " in shown
    assert "chance" in shown


def test_the_interval_of_a_single_run_is_the_one_that_its_metrics_have():
    table = predictions(["Normal", "COVID"], n=30)
    table = table[table["run"] == table["run"].iloc[0]]
    stored = {"auroc_interval": [0.123, 0.456], "auprc_interval": [0.234, 0.567]}
    metrics = [{"per_class": {"COVID": stored}}]
    for draw, interval in ((roc_figure, "0.123–0.456"), (precision_recall_figure, "0.234–0.567")):
        shown = lines_of(draw(table, ["Normal", "COVID"], title="Curves", metrics=metrics))
        assert f"95 % CI {interval}" in shown


def test_the_curve_of_a_sure_network_has_the_area_that_its_metrics_have():
    table = predictions(["Normal", "COVID"], n=40)
    # Log-odds of 20 and more: in float32 the probability of COVID is 1 for every image.
    odds = 20.0 + 10.0 * table["probability_COVID"].to_numpy()
    table["probability_COVID"] = (1 / (1 + np.exp(-odds))).astype(np.float32)
    table["probability_Normal"] = (1 / (1 + np.exp(odds))).astype(np.float32)
    assert table["probability_COVID"].nunique() == 1
    columns = ["probability_Normal", "probability_COVID"]
    metrics = classification_metrics(
        table["label"], table[columns].to_numpy(), ["Normal", "COVID"], seed=0
    )
    areas = {metrics["macro_auroc"], *(one["auroc"] for one in metrics["per_class"].values())}
    assert max(areas) - min(areas) < 1e-12
    assert min(areas) > 0.6
    shown = lines_of(roc_figure(table, ["Normal", "COVID"], title="ROC"))
    assert f"AUROC {metrics['macro_auroc']:.3f} 95 %" in shown


def test_a_class_without_test_images_is_not_assessable():
    table = predictions(["a", "b", "c"])
    table = table[table["label"] != "c"]
    shown = lines_of(roc_figure(table, ["a", "b", "c"], title="ROC"))
    assert "not assessable: no test image is of this class" in shown


def test_confusion_shows_counts_shares_and_empty_rows():
    shown = texts(confusion_figure([[9, 1], [0, 0]], ["Normal", "COVID"]))
    assert "90 % 9" in shown
    assert "10 % 1" in shown
    assert "Normal (n = 10)" in shown
    assert shown.count("–") == 2
    with pytest.raises(ValueError, match=r"\(2, 2\) for 3 classes"):
        confusion_figure([[1, 2], [3, 4]], ["a", "b", "c"])


def test_reliability_points_are_the_accuracy_of_the_bins():
    table = pd.DataFrame(
        {"probability_a": [0.8] * 4, "probability_b": [0.2] * 4, "label": ["a", "a", "a", "b"]}
    ).assign(run="one", image_id=["1", "2", "3", "4"])
    figure = reliability_figure(table, ["a", "b"], title="Reliability")
    (point,) = figure.axes[0].containers[0].lines[0].get_xydata()
    assert point == pytest.approx([0.8, 0.75])
    assert "this run, 4 answers, ECE 0.050" in lines_of(figure)


def test_reliability_of_several_seeds_counts_each_image_once():
    def length(table: pd.DataFrame) -> float:
        figure = reliability_figure(table, ["a", "b"], title="Reliability")
        (bars,) = figure.axes[0].containers[0].lines[2]
        return float(np.ptp(bars.get_segments()[0][:, 1]))

    table = pd.DataFrame({"probability_a": 0.8, "probability_b": 0.2, "label": list("aaab") * 5})
    table = table.assign(run=0, image_id=[str(k) for k in range(20)])
    again = table.assign(run=1)
    assert length(pd.concat([table, again])) == pytest.approx(length(table))
    others = again.assign(image_id=[str(k) for k in range(20, 40)])
    assert length(pd.concat([table, others])) < length(table)


def test_history_has_a_panel_for_each_number_and_role_and_draws_the_mean():
    figure = history_figure(history(runs=2), title="History")
    assert len(figure.axes) == 4
    loss = figure.axes[0]
    thin, thick = loss.lines[:2], loss.lines[2]
    assert len(loss.lines) == 3
    np.testing.assert_allclose(
        thick.get_ydata(), np.mean([line.get_ydata() for line in thin], axis=0), atol=1e-12
    )
    assert thick.get_linewidth() > thin[0].get_linewidth()
    assert "iteration (10 batches an epoch)" in lines_of(figure)


def test_a_role_without_a_loss_keeps_its_name():
    table = history(runs=2)
    table.loc[table["role"] == "train", "loss"] = float("nan")
    shown = texts(history_figure(table, title="History"))
    assert {"training", "test", "not recorded"} <= set(shown)


def test_a_spike_of_the_loss_does_not_flatten_the_other_curves():
    table = history(runs=2)
    assert history_figure(table, title="History").axes[0].get_yscale() == "linear"
    table.loc[table.index[3], "loss"] = 50.0
    assert history_figure(table, title="History").axes[0].get_yscale() == "log"


def test_history_mean_ends_where_the_shortest_run_ends():
    table = history(runs=2)
    table = table[(table["run"] == 0) | (table["iteration"] <= 16)]
    assert history_figure(table, title="History").axes[0].lines[2].get_xdata().max() == 16


def test_overview_names_every_floor():
    shown = texts(accuracy_overview_figure(metrics_table()))
    assert "floor: histogram" in shown and "floor: centre black" in shown


def test_overview_prints_every_accuracy_with_its_wilson_interval():
    shown = lines_of(accuracy_overview_figure(metrics_table()))
    # 57 of 60, the paper's size of test set: 86 to 98 %.
    assert "0.950 (0.863–0.983)" in shown
    assert "1.000 (0.940–1.000)" in shown
    assert "fold 1, seed 0, n = 60" in shown
    sources = metrics_table().assign(held_out=[None, "source a", "source b", None])
    shown = lines_of(accuracy_overview_figure(sources))
    assert "fold 1, source b, seed 0, n = 60" in shown and "fold 0, seed 0, n = 90" in shown


def test_mistakes_come_first_then_falling_confidence_and_take_no_more_than_half():
    records = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "label": "x",
            "predicted": ["x", "y"] * 3,
            "probability": np.linspace(0.5, 0.9, 6),
        }
    )
    assert choose_images(records, 4)["image_id"].tolist() == ["f", "d", "e", "c"]
    assert choose_images(records[records["predicted"] == "y"], 2)["image_id"].tolist() == ["f", "d"]


def test_gallery_says_of_each_image_what_the_network_called_it():
    shown = texts(small_gallery(6, total=150, wrong=23))
    assert sum(text.startswith("✗ called") for text in shown) == 3
    assert shown.count("✓ correct") == 3
    assert "research use only" in shown
    assert "+3 at full colour" in shown
    assert "True class $a_1^2$ vs $b$: 6 of 150 test images" in shown
    assert "(23 of all 150 are mistakes)" in " | ".join(shown)


def test_gallery_calls_drawn_images_drawn():
    assert not any("drawn" in text.lower() for text in texts(small_gallery(6)))
    assert DRAWN in texts(small_gallery(6, is_drawn=True, total=10**6))
    assert "2 of them drawn images" in texts(small_gallery(6, is_drawn=[True, True] + [False] * 4))


def test_gallery_explains_outlines_only_if_there_are_any():
    mask = np.zeros((32, 32), bool)
    mask[8:20, 8:20] = True
    shown = texts(small_gallery(6, lung_mask=mask))
    assert "lung" in shown
    assert "lesion" not in shown


def test_gallery_says_of_which_images_it_shows_no_evidence():
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(6, 32, 32))
    maps[2] = -1.0
    shown = texts(small_gallery(6, evidence=maps))
    assert sum(text.startswith("no evidence") for text in shown) == 1
    assert "probability 0.660" in shown


def test_pyplot_is_never_used():
    modules = [*(MODULES / "figures").glob("*.py"), *(MODULES / "maps").glob("*.py")]
    assert len(modules) > 20
    for module in modules:
        source = module.read_text(encoding="utf-8")
        assert "import pyplot" not in source, module
        assert "matplotlib.pyplot" not in source, module


def test_the_gallery_does_not_depend_on_the_curves():
    """A change of a curve must not make the maps of every run stale."""
    files = import_closure(MODULES / "maps/gallery.py", MODULES.parents[1])
    used = {path.relative_to(MODULES.parents[1]).as_posix() for path in files}
    package = "workflow_scripts/cxrcam"
    assert f"{package}/maps/overlays.py" in used
    curves = ("curves", "confusion", "history", "overview", "reliability", "effort")
    assert not used & {f"{package}/figures/{name}.py" for name in curves}
    assert not [name for name in used if name.startswith(f"{package}/metrics/")]


def test_a_caption_stands_beside_its_figure(tmp_path):
    figure = EVERY[next(iter(EVERY))]()
    save_captioned(figure, tmp_path / "figure 1.5", "What it shows: Ä.", kinds=["png"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure 1.5.png", "figure 1.5.txt"]
    assert (tmp_path / "figure 1.5.txt").read_text("utf-8") == "What it shows: Ä.\n"
