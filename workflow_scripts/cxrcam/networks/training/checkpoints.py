"""The newest state of a training run on disk, so that an interrupted run goes on where it stood.

A checkpoint is a safetensors file: tensors, and everything else as JSON in its metadata. It is
written whole or not at all, carries a checksum of all it holds, and names the experiment that it
belongs to; a damaged one, or one of another experiment, is refused and said so.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from workflow_scripts.cxrcam.files import atomic_path

METADATA_KEY = "cxrcam_checkpoint"

COST_SHARE = 0.02
"""Share of the time that writing checkpoints may take."""


class TrainingStopped(Exception):
    """Training was asked to stop, and its state is on disk."""


@dataclass(frozen=True)
class State:
    """Everything that decides how a run goes on."""

    tensors: Mapping[str, torch.Tensor]
    values: Mapping[str, Any]  # as JSON holds them

    def digest(self) -> str:
        """Checksum of all tensors and values (SHA-256, hexadecimal)."""
        total = hashlib.sha256(json.dumps(self.values, sort_keys=True).encode())
        for name in sorted(self.tensors):
            tensor = self.tensors[name].detach().cpu().contiguous()
            total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        return total.hexdigest()


@dataclass
class Checkpoints:
    """Where a run keeps its newest state, and when it writes the next."""

    path: Path
    fingerprint: str  # of settings, data and code: a state of another experiment is refused
    seconds: float  # between two checkpoints; more where writing one takes over 2 % of that
    log: logging.Logger
    writes: bool = True  # of several processes only the first one writes, and says when; all read
    stop_requested: bool = False
    parent: int = field(default_factory=os.getppid)  # process that wants the result
    _written: float = field(default_factory=lambda: time.monotonic())
    _cost: float = 0.0

    def request_stop(self, *_: object) -> None:
        """Ask the run to write its state and stop; a handler of signals."""
        self.stop_requested = True

    def due(self) -> bool:
        """Whether the state should be written now."""
        # Nobody would take the result of a job whose Snakemake has gone.
        self.stop_requested |= os.getppid() != self.parent
        waited = time.monotonic() - self._written
        over = waited >= max(self.seconds, self._cost / COST_SHARE)
        return self.stop_requested or (self.writes and over)

    def save(self, state: State) -> None:
        """Replace the checkpoint by a new state."""
        if not self.writes:
            return
        began = time.monotonic()
        tensors = {k: v.detach().cpu().contiguous() for k, v in state.tensors.items()}
        about = {
            "fingerprint": self.fingerprint,
            "digest": state.digest(),
            "values": state.values,
        }
        with atomic_path(self.path) as temporary:
            save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(about)})
        self._written = time.monotonic()
        self._cost = self._written - began

    def load(self) -> State | None:
        """The state to go on from; None where there is none that can be used."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as handle:
                about = json.loads((handle.metadata() or {})[METADATA_KEY])
                # Clones: the file may be replaced while its pages are still mapped.
                tensors = {name: handle.get_tensor(name).clone() for name in handle.keys()}
            state, fingerprint = State(tensors, about["values"]), about["fingerprint"]
            if state.digest() != about["digest"]:
                raise ValueError("its checksum is wrong")
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            self.log.warning(
                "The checkpoint %s is damaged (%s): it is not used, training starts anew.",
                self.path,
                error,
            )
            return None
        if fingerprint != self.fingerprint:
            self.log.warning(
                "The checkpoint %s is of another experiment (other settings, data or code, another "
                "device, or another number of threads or processes): it is not used, training "
                "starts anew.",
                self.path,
            )
            return None
        return state
