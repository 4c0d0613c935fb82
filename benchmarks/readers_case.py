"""One file of `benchmarks.readers`, and what is right."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Case:
    """A file and what must become of it: `pixels`, or else a refusal with `words`.

    `near` is how far a grey level may be off, or, `on_average`, their mean; `note` must be among
    the image's notes.
    """

    kind: str
    name: str
    content: Callable[[], bytes]
    pixels: npt.NDArray[np.floating] | None = None
    words: str | None = None
    near: float = 0.5
    note: str | None = None
    on_average: bool = False
    file_name: str = "image.dcm"
