"""Fixtures that several test files share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from xdist.scheduler import LoadFileScheduling

# Examples may take their time: machines that run this are shared, and the first one of all waits
# for libraries. They are the same each time, so that a change fails by its own fault;
# `make test-faults` draws new ones.
settings.register_profile("same examples", deadline=None, derandomize=True)
settings.register_profile("new examples", deadline=None)
settings.load_profile("same examples")


class ByFile(LoadFileScheduling):
    """With `-n`, a process takes whole files, so that what their tests share is made once."""

    def _split_scope(self, nodeid: str) -> str:
        # Inputs tried are counted over all files of tests/fuzz, so these go to one process.
        if nodeid.startswith("tests/fuzz/"):
            return "fuzz"
        # Both look at one long run: a second process would only wait for it.
        if nodeid.startswith(("tests/workflow/test_paper.py", "tests/workflow/test_related.py")):
            return "paper"
        # Each kill is on its own: what they share takes less time than one of them.
        if nodeid.startswith("tests/faults/test_many_faults.py"):
            return nodeid
        return super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def smooth_noise(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """A small grey picture, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6)).astype("u1")
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def tiny_image(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a small picture under the test's folder and returns its path."""

    def write(name: str, seed: int = 0, height: int = 20, width: int = 24) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth_noise(seed, height, width)).save(path)
        return path

    return write


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """One thread for PyTorch: for networks this small, more of them only wait for each other."""
    import torch  # only here: tests without it do not wait for it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
