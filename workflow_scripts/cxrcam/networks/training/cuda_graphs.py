"""A training step recorded once as a CUDA graph, and replayed.

A ResNet18 starts some three hundred kernels a step. With a batch of six images a large GPU is done
with each of them before Python has started the next; a replay starts all of them at once. They are
the same kernels, so the numbers are the same.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from workflow_scripts.cxrcam.errors import InputError

WARM_UPS = 3
"""Steps before a recording: libraries set themselves up and choose their kernels in the first ones,
the optimiser makes its state, and what a recording reads must be there before it."""

Step = Callable[..., torch.Tensor]
Recorder = Callable[[Step, Sequence[torch.Tensor]], tuple[Callable[[], None], torch.Tensor]]


def record(step: Step, inputs: Sequence[torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
    """Record a step as a CUDA graph, without executing it.

    `step` makes a tensor of `inputs`, all on a GPU, and changes others in place; nothing in it may
    wait for the GPU.

    Returns
    -------
    replay : callable
        Does what `step` does, on what `inputs` then hold.
    result : tensor
        What each replay writes its result to.

    Raises
    ------
    InputError
        If something in the step cannot be recorded.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        # On the stream of the steps before: a gradient remembers the stream it is added up on.
        with _no_collection(), torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            result = step(*inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"The training step could not be recorded as a CUDA graph ({reason}): set "
            "compute.cuda_graphs: false, which takes no recording."
        ) from error
    return graph.replay, result


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without Python's garbage collector: an older recording that it frees would spoil this one."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class RecordedStep:
    """A step that is recorded when it is called for the fourth time, and then replayed.

    The steps before the recording are steps like all others, so that nothing has to be undone.

    Parameters
    ----------
    step : callable
        As for `record`. Its inputs have the same shapes each time.
    recorder : callable
        `record`, or what takes its place where there is no GPU.
    """

    def __init__(self, step: Step, recorder: Recorder = record) -> None:
        self._step, self._recorder = step, recorder
        self._calls = 0
        self._inputs: list[torch.Tensor] = []
        self._replay: Callable[[], None] | None = None
        self._result = torch.empty(0)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The step's result; a replay's is valid until the next one takes its place in memory."""
        self._calls += 1
        if self._calls <= WARM_UPS:
            return self._step(*inputs)
        if self._replay is None:
            self._inputs = [given.clone() for given in inputs]
            self._replay, self._result = self._recorder(self._step, self._inputs)
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._replay()
        return self._result


@contextmanager
def own_stream(gpu: torch.device) -> Iterator[None]:
    """Let a GPU compute what is started here on a stream of its own, where steps can be recorded.

    It waits for what was started before, and the end waits for it.
    """
    stream = torch.cuda.Stream(gpu)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(gpu))
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()
