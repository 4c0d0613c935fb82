"""Kinds of map beside our own: their names, and their classes in pytorch-grad-cam.

The library itself is not imported here: Snakemake reads this module for every command.
"""

from typing import Final, NamedTuple


class MapMethod(NamedTuple):
    """A kind of map by its name for readers, and the name of its class in pytorch-grad-cam."""

    title: str
    class_name: str


METHODS: Final = {
    "grad_cam": MapMethod("Grad-CAM", "GradCAM"),  # Selvaraju et al. 2017
    "grad_cam_plus_plus": MapMethod("Grad-CAM++", "GradCAMPlusPlus"),  # Chattopadhay et al. 2018
    "hires_cam": MapMethod("HiResCAM", "HiResCAM"),  # Draelos & Carin 2020
    "layer_cam": MapMethod("LayerCAM", "LayerCAM"),  # Jiang et al. 2021
    "score_cam": MapMethod("Score-CAM", "ScoreCAM"),  # Wang et al. 2020
    "eigen_cam": MapMethod("Eigen-CAM", "EigenCAM"),  # Muhammad & Yeasin 2020
}
"""By their names in ``audit.map_methods`` and ``cam.method``."""

TITLES: Final = {"exact": "evidence", **{name: m.title for name, m in METHODS.items()}}
"""Names for readers; ``exact`` is our own."""
