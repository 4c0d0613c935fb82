"""`cam.method`: pictures of another kind of map, everything else as it was."""

import numpy as np
from PIL import Image

from tests.workflow.small_project import Project

PICTURE_SIDE, TITLE = 299, 26  # pixels of a panel, and above it
RUN = "results/small/cam/two_class/holdout/fold-1/seed-0"


def pictures(project: Project) -> dict[str, np.ndarray]:
    """Overlays of one run by their names."""
    return {
        file.name: np.asarray(Image.open(file))
        for file in sorted((project.folder / RUN / "overlays").glob("*.png"))
    }


def test_another_kind_of_map_changes_the_pictures_and_nothing_else(project: Project) -> None:
    before, results = pictures(project), project.results()
    project.change(cam={"method": "layer_cam"})
    project.run("--", f"{RUN}/overlays")
    after = pictures(project)
    assert list(after) == list(before)
    side, top = PICTURE_SIDE, TITLE
    new_maps = []
    for name, picture in after.items():
        # Left the X-ray, right the map on it, below the words. Some images have no evidence at all.
        same = picture == before[name]
        assert same[top : top + side, :side].all()
        new_maps.append(not same[top : top + side, -side:].all() and not same[top + side :].all())
    assert any(new_maps)
    changed = {name for name, made in project.results().items() if made != results.get(name)}
    kept = ("/overlays/", "/gallery/", "results/logs/", "results/benchmarks/")
    assert [name for name in sorted(changed) if not any(part in name for part in kept)] == []


def test_an_unknown_kind_is_refused_by_name(fresh: Project) -> None:
    fresh.change(cam={"method": "gradcam"})
    assert "cam.method" in fresh.refuse()
