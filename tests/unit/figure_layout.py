"""What every figure must keep to, whatever it shows."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

SMALLEST_LETTERS = 7  # points; what a journal prints


def assert_nothing_is_cut_off_or_overlaps(figure: Figure, *, on_panels: bool = False) -> None:
    """Check letters on the drawn figure: large enough, on the page, on no other text or panel.

    With `on_panels` they may stand on panels: a drawing whose one panel is the page.
    """
    FigureCanvasAgg(figure).draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent() for text in texts]
    panels = [] if on_panels else [axes.get_window_extent() for axes in figure.axes]
    for index, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        assert text.get_fontsize() >= SMALLEST_LETTERS
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text.get_text()
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text.get_text()
        for other in [*boxes[:index], *panels]:
            assert not box.padded(-1).overlaps(other.padded(-1)), text.get_text()
