"""PyTorch without its compiler, which is not used here.

An optimiser's step and an import of torchvision load `torch._dynamo`, and with it triton and sympy:
2.5 s of each job, as long as all that a training does before its first step.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """Give a stand-in to all who import the compiler while this lasts; later it can be had as ever.

    Where it is loaded already, nothing is done.
    """
    if COMPILER in sys.modules:
        yield
        return
    dynamo: Any = ModuleType(COMPILER)
    utils: Any = ModuleType(f"{COMPILER}.utils")
    # Optimisers mark functions that are not to be compiled.
    dynamo.disable = lambda function, *_, **__: function
    dynamo.graph_break = lambda: None
    # A layer of torchvision's detectors asks whether it is to be compiled.
    utils.is_compile_supported = lambda device: False
    stand_ins = {module.__name__: module for module in (dynamo, utils)}
    sys.modules |= stand_ins
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
