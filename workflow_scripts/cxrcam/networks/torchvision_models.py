"""torchvision's classifiers, without the compiler that importing them would load.

One layer of torchvision's detectors asks `torch._dynamo.utils` for one function, and with it come
triton, sympy and torch.distributed: 1.4 s and 150 MB in every job, nearly as much as PyTorch
itself, for something that no classifier uses. While torchvision is imported, a module with that one
function takes the compiler's place; afterwards the compiler can be imported as usual.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

COMPILER = "torch._dynamo"


def forget(package: str) -> None:
    """Let a package be imported anew."""
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """While this lasts, who imports the compiler gets a stand-in, unless it is loaded already."""
    if COMPILER in sys.modules:
        yield
        return
    utils = ModuleType(f"{COMPILER}.utils")
    # Asked when a detector's layer runs on a GPU: is it to be compiled? Without the compiler, no.
    utils.is_compile_supported = lambda device_type: False  # type: ignore[attr-defined]
    sys.modules |= {COMPILER: ModuleType(COMPILER), utils.__name__: utils}
    try:
        yield
    finally:
        forget(COMPILER)


try:
    with compiler_left_out():
        import torchvision
except (ImportError, AttributeError):
    # Another version of torchvision asks for more of the compiler: the slow way.
    forget("torchvision")
    import torchvision

__all__ = ["torchvision"]
