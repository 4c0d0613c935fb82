"""What kinds of map are called. No library of them is imported here."""

from typing import Final

TITLES: Final = {
    "exact": "evidence",
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "hires_cam": "HiResCAM",
    "layer_cam": "LayerCAM",
    "score_cam": "Score-CAM",
    "eigen_cam": "Eigen-CAM",
}
"""Names for readers, by ``audit.map_methods`` and ``cam.method``; ``exact`` is our own."""
