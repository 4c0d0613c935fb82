"""A Slurm of this machine's own for the tests of the profiles: `make test-cluster`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SLURM = Path(__file__).parent / "slurm.sh"


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running one-node Slurm with one GPU that is only a name."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("no Slurm was set up: that needs root and apt-get")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        begun = subprocess.run(
            ["bash", SLURM, "start", folder], stderr=subprocess.PIPE, text=True, check=False
        )
        if begun.returncode == 3:
            pytest.skip(f"no Slurm was set up: {begun.stderr.strip()}")
        assert begun.returncode == 0, begun.stderr
        yield
    finally:
        subprocess.run(["bash", SLURM, "stop", folder], check=True)
