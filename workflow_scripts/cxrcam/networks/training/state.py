"""All that decides how a training goes on, to a checkpoint and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from workflow_scripts.cxrcam.networks.training import distributed
from workflow_scripts.cxrcam.networks.training.checkpoints import State
from workflow_scripts.cxrcam.networks.training.step import Learner

Weights = dict[str, torch.Tensor]


@dataclass
class Position:
    """Where a run stands, apart from its tensors."""

    iteration: int = 0
    seen: int = 0  # images since the last evaluation
    rate: float = 0.0  # learning rate of the newest iteration
    seconds: float = 0.0  # of training alone
    wall_seconds: float = 0.0  # with evaluations
    history: list[dict[str, Any]] = field(default_factory=list)
    # State of the generator before it drew the current epoch: from it the rest can be drawn again.
    epoch_rng: dict[str, Any] = field(default_factory=dict)


def state_of(learner: Learner, at: Position, kept: Mapping[str, torch.Tensor]) -> State:
    """State of a training between two steps.

    Every process must call this; what each has for itself is numbered by its rank. `kept` are the
    weights of the best evaluation so far, where those are kept.
    """
    tensors = {f"model.{k}": v for k, v in learner.model.state_dict().items()}
    tensors |= {f"kept.{k}": v for k, v in kept.items()}
    if learner.sub_classes > 1:  # found anew on another device, they might be others
        tensors["labels.train"] = learner.training.labels
    own = {"sums.loss": learner.loss_sum, "sums.correct": learner.correct}
    own["rng.torch"] = torch.get_rng_state()
    if learner.device.type == "cuda":
        own["rng.cuda"] = torch.cuda.get_rng_state(learner.device)
    for name, value in own.items():
        everyone = enumerate(distributed.gathered(value))
        tensors |= {f"{name}.{rank}": of_rank for rank, of_rank in everyone}
    optimizer = learner.optimizer.state_dict()
    for number, of_parameter in optimizer["state"].items():
        tensors |= {f"optimizer.{number}.{k}": v for k, v in of_parameter.items()}
    groups = [{**group, "lr": at.rate} for group in optimizer["param_groups"]]
    return State(tensors, {"position": vars(at), "groups": groups})


def restored(learner: Learner, state: State) -> tuple[Position, Weights]:
    """Give a learner a state that `state_of` made; returns where it stood and what it kept."""
    named: dict[str, Weights] = {}
    for name, tensor in state.tensors.items():
        group, _, rest = name.partition(".")
        named.setdefault(group, {})[rest] = tensor
    learner.model.load_state_dict(named["model"])
    if learner.sub_classes > 1:
        learner.training.labels.copy_(named["labels"]["train"])
    rank = distributed.rank()
    learner.loss_sum.copy_(named["sums"][f"loss.{rank}"])
    learner.correct.copy_(named["sums"][f"correct.{rank}"])
    torch.set_rng_state(named["rng"][f"torch.{rank}"])
    if f"cuda.{rank}" in named["rng"]:
        torch.cuda.set_rng_state(named["rng"][f"cuda.{rank}"], learner.device)
    of_optimizer = _optimizer_state(learner.optimizer, named.get("optimizer", {}))
    groups = state.values["groups"]
    learner.optimizer.load_state_dict({"state": of_optimizer, "param_groups": groups})
    kept = {k: v.to(learner.device) for k, v in named.get("kept", {}).items()}
    return Position(**state.values["position"]), kept


def _optimizer_state(optimizer: torch.optim.Optimizer, tensors: Weights) -> dict[int, Weights]:
    """State of an optimiser by the number of each parameter."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    of_parameters: dict[int, Weights] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".")
        like = parameters[int(number)]
        # In the parameter's memory layout: sums over another one may differ in the last bit.
        if tensor.shape == like.shape:
            tensor = torch.empty_like(like).copy_(tensor)
        of_parameters.setdefault(int(number), {})[key] = tensor
    return of_parameters
