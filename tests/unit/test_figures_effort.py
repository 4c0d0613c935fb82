"""Accuracy over iterations and time: the runs given, the watched part named, the target marked."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from workflow_scripts.cxrcam.contracts import HISTORY
from workflow_scripts.cxrcam.figures.effort import (
    accuracy_and_loss_caption,
    accuracy_and_loss_figure,
    accuracy_over_time_caption,
    accuracy_over_time_figure,
)

LONG = "$a_1$ Lung_Opacity_with_a_very_long_unbroken_name_that goes on and on"
COMPLETE, PART = "complete data set", "sub-samples of 900"


def history(runs=3, slope=0.1, seconds=2.0, steps=10):
    """Accuracy rises by `slope` an evaluation, the same in all runs, each a little later."""
    table = pd.DataFrame(
        {
            "run": run,
            "iteration": 10 * step,
            "epoch": step / 2,
            "seconds": seconds * step + run,
            "wall_seconds": 2 * seconds * step,
            "role": "test",
            "loss": 1.0 / step + 1,
            "accuracy": min(1.0, slope * step),
            "learning_rate": 1e-5,
        }
        for run in range(runs)
        for step in range(1, steps + 1)
    )
    assert set(HISTORY.names) <= set(table.columns)
    return table


def times(**seconds):
    """Two designs of a task or more; see `history`."""
    return pd.concat(
        history(seconds=length, slope=slope).assign(task=task, design=design)
        for task, slope in seconds.pop("tasks", {"two_class": 0.1}).items()
        for design, length in {COMPLETE: 2.0, PART: 1.0, **seconds}.items()
    )


def over_time(table, target=0.95):
    return accuracy_over_time_figure(table, target=target)


def words(figure):
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    return [text.replace(r"\$", "$").replace("\n", " ") for text in texts]


EVERY = {
    "one task": lambda: accuracy_and_loss_figure({"two_class": history()}),
    "one run": lambda: accuracy_and_loss_figure({"two_class": history(runs=1)}),
    "four tasks": lambda: accuracy_and_loss_figure(
        {name: history() for name in (LONG, "b", LONG + " c", "Normal, Viral Pneumonia, COVID")}
    ),
    "time, one task": lambda: over_time(times()),
    "time, logarithmic": lambda: over_time(
        times(**{LONG: 500.0}, tasks={LONG: 0.1, "three_class": 0.05})
    ),
    "time, five tasks": lambda: over_time(times(tasks={f"{LONG} {i}": 0.1 for i in range(5)})),
}


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_or_overlaps(name):
    figure = EVERY[name]()
    FigureCanvasAgg(figure).draw()
    # Tick labels beyond the limits are not drawn.
    ticks = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in [*axis.get_ticklabels(which="both"), axis.get_offset_text()]
    }
    texts = [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and id(text) not in ticks
    ]
    boxes = [text.get_window_extent() for text in texts]
    panels = [axes.get_window_extent() for axes in figure.axes if axes.get_visible()]
    for index, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        if not box.width:
            continue
        assert text.get_fontsize() >= 7
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text.get_text()
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text.get_text()
        for other in [*boxes[:index], *panels]:
            assert not box.padded(-2).overlaps(other.padded(-2)), text.get_text()


def test_curves_are_those_of_the_runs_and_their_mean():
    figure = EVERY["one task"]()
    accuracy, loss = figure.axes
    np.testing.assert_allclose(accuracy.lines[-1].get_ydata(), np.arange(1, 11) / 10)
    np.testing.assert_allclose(loss.lines[-1].get_ydata(), 1 / np.arange(1, 11) + 1)
    np.testing.assert_allclose(loss.lines[-1].get_xdata(), 10 * np.arange(1, 11))
    assert len(accuracy.lines) == 4  # three runs and their mean


def test_the_figure_says_that_the_papers_validation_is_its_test_set():
    said = " ".join(words(accuracy_and_loss_figure({"a": history()})))
    assert "The paper calls this validation; it is its test set" in said
    assert "n = 3 runs" in said
    caption = accuracy_and_loss_caption({"a": history(), LONG: history()}, source="ResNet18")
    for part in ("it is its test set", LONG, "n = 3", "ResNet18", "nats"):
        assert part in caption


def test_tasks_stand_in_the_given_order_and_share_their_scales():
    figure = accuracy_and_loss_figure({"b": history(), "a": history(slope=0.05)})
    left, right = figure.axes[:2]
    assert left.get_title().startswith("b") and right.get_title().startswith("a")
    assert left.get_ylim() == right.get_ylim()


def test_marks_stand_where_each_run_first_reached_the_target():
    # 0.8 is not yet 0.85; 0.9 is reached at the ninth evaluation, after 18 s and 0 to 2 s more.
    figure = over_time(times(), target=0.85)
    (axes,) = figure.axes
    marks = [line for line in axes.lines if line.get_marker() in {"o", "s"}]
    found = sorted(float(np.atleast_1d(line.get_xdata())[0]) for line in marks)
    assert found == [9, 10, 11, 18, 19, 20]
    assert all(float(np.atleast_1d(line.get_ydata())[0]) == 0.9 for line in marks)
    target = next(line for line in axes.lines if list(line.get_xdata()) == [0, 1])
    assert list(target.get_ydata()) == [0.85, 0.85]
    texts = " ".join(words(figure))
    assert "0.85 reached by 3 of 3 runs, median 19 s" in texts
    assert "0.85 reached by 3 of 3 runs, median 10 s" in texts


def test_runs_that_never_reach_the_target_are_said_to():
    figure = over_time(times(tasks={"a": 0.05}))
    assert " ".join(words(figure)).count("0.95 not reached (3 runs)") == 2


def test_reaching_it_exactly_counts():
    figure = over_time(times(), target=0.9)
    assert "0.9 reached by 3 of 3 runs, median 19 s" in " ".join(words(figure))


def test_time_is_logarithmic_only_where_designs_differ_much():
    near, far = over_time(times()), over_time(times(long=200.0))
    assert near.axes[0].get_xscale() == "linear"
    assert far.axes[0].get_xscale() == "log"
    assert far.axes[0].get_xlabel() == "training time (s, log scale)"


def test_long_times_are_told_in_minutes_or_hours():
    tables = {
        length: history(seconds=length).assign(task="a", design=COMPLETE)
        for length in (100.0, 2000.0)
    }
    labels = {k: over_time(t).axes[0].get_xlabel() for k, t in tables.items()}
    assert labels == {100.0: "training time (min)", 2000.0: "training time (h)"}


def test_designs_differ_by_colour_line_and_marker():
    figure = over_time(times())
    looks = [
        (line.get_color(), line.get_linestyle(), line.get_marker())
        for line in figure.axes[0].get_legend().get_lines()
    ]
    assert all(len(set(kind)) == len(looks) for kind in zip(*looks, strict=True))


def test_the_caption_of_time_stands_alone():
    caption = accuracy_over_time_caption(times(), source="ResNet18, two cores", target=0.95)
    for part in (COMPLETE, PART, "n = 3 runs", "95%", "two cores", "without evaluation"):
        assert part in caption
