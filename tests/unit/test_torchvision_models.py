"""torchvision comes without the compiler, in a process of its own: modules cannot be unloaded."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
IMPORT = "from workflow_scripts.cxrcam.networks.torchvision_models import torchvision\n"


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_compiler_stays_out_and_can_be_had_later() -> None:
    said = run(
        "import sys\n"
        + IMPORT
        + "print('torch._dynamo' in sys.modules, 'triton' in sys.modules)\n"
        + "import torch\n"
        + "from torch._dynamo.utils import is_compile_supported, counters\n"
        + "model = torchvision.models.resnet18().eval()\n"
        + "torch.optim.Adam(model.parameters())\n"
        + "print(tuple(model(torch.zeros(1, 3, 64, 64)).shape))\n"
    )
    assert said.splitlines() == ["False False", "(1, 1000)"]


def test_a_compiler_that_is_there_already_is_left_alone() -> None:
    said = run(
        "import sys, torch._dynamo\n"
        + "before = sys.modules['torch._dynamo']\n"
        + IMPORT
        + "print(sys.modules['torch._dynamo'] is before)\n"
    )
    assert said.splitlines() == ["True"]


def test_a_torchvision_that_asks_for_more_gets_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision/__init__.py").write_text("from torch._dynamo.utils import counters\n")
    said = run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        + IMPORT
        + "from torch._dynamo.utils import counters\n"
        + "print(torchvision.counters is counters)\n"
    )
    assert said.splitlines() == ["True"]
