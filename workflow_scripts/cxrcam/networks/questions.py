"""A network of several findings as a network that is asked for one of them.

Its last layer keeps the weights of that finding and gets an output that is always 0: "not there".
The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)), and the map of z is its exact decomposition,
as before. So everything that explains or tests a network of two classes works on it.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from workflow_scripts.cxrcam.data.listing.findings_text import answers_of
from workflow_scripts.cxrcam.networks.models import ModelCard, load_model


def load_question(path: Path, finding: str | None) -> tuple[nn.Module, ModelCard]:
    """Read a model as `models.load_model`; of several findings, as a network that knows one.

    `finding` is None for networks of exclusive classes, which stay as they are.
    """
    model, card = load_model(path)
    return (model, card) if finding is None else asked_for(model, card, finding)


def asked_for(model: nn.Module, card: ModelCard, finding: str) -> tuple[nn.Module, ModelCard]:
    """A network of several findings with two outputs: no `finding`, and `finding`.

    The model is changed in place.
    """
    number = card.classes.index(finding)
    head = model.get_submodule(card.backbone.head)
    if not isinstance(head, nn.Linear | nn.Conv2d) or head.bias is None:
        raise TypeError(f"The last layer of {card.architecture} gives no logit a finding.")
    for name, tensor in (("weight", head.weight), ("bias", head.bias)):
        one = tensor.detach()[number]
        setattr(head, name, nn.Parameter(torch.stack([torch.zeros_like(one), one])))
    if isinstance(head, nn.Linear):
        head.out_features = 2
    else:
        head.out_channels = 2
    return model.eval(), replace(card, classes=answers_of(finding), findings=False)
