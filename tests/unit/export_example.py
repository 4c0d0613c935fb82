"""A network that was trained on nothing, and the results that its card is written from."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from workflow_scripts.cxrcam.export.facts import network_facts
from workflow_scripts.cxrcam.export.model_card import ModelCardPage
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier

EVIL = "`<b>`` | [x](javascript:1): # *"
CLASSES = ["Normal", EVIL]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def example_card(
    architecture: str, image_size: int = 64, input_size: int | None = None, sub_classes: int = 1
) -> ModelCard:
    """Card of a network for two classes."""
    return ModelCard(
        *(CLASSES, architecture, image_size, MEAN, STD, "random", "hash", "fingerprint"),
        {"epochs": 1, "learning_rate": 0.001, "watch": ["validation"]},
        input_size,
        sub_classes=sub_classes,
    )


def example_network(architecture: str, sub_classes: int = 1) -> torch.nn.Module:
    """Random weights; batch statistics of noise, without which signals of deep networks vanish."""
    backbone = Backbone(architecture, sub_classes=sub_classes)
    network = build_classifier(backbone, len(CLASSES), seed=0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    noise = torch.randn(4, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()):
        with torch.no_grad():
            network.train()(noise)
    return network.eval()


def example_facts(card: ModelCard) -> dict[str, Any]:
    """What model.json holds."""
    exact = card.backbone.map_kind == "exact"
    return network_facts(
        card,
        run={"dataset": EVIL, "task": "two", "scheme": "holdout", "fold": 1, "seed": 0},
        resampling="bilinear",
        blank="none",
        calibration={"temperature": 2.0, "n": 7},
        map_size=(2, 2) if exact else (1, 1),
        map_scale=3.5,
        model_sha256="0" * 64,
    )


def example_page(facts: dict[str, Any]) -> ModelCardPage:
    """All that a card shows, with a name from data wherever there can be one."""
    check = {"question": "?", "file": "f", "order": 1, "about": "limits", "clause": ""}
    check |= {"advice": "Look at them.", "mend": ""}
    checks = [
        check
        | {"name": f"{status} {subject}", "status": status, "subject": subject}
        # A name that breaks out of a list must not do so here.
        | {"finding": f"{EVIL}", "why": f"of {EVIL}\n# broken"}
        for status in ("failed", "not assessable", "passed")
        for subject in ("", "two", "two, holdout", "two, elsewhere")
    ]
    found = {"n": 6, "sensitivity": 0.5, "sensitivity_interval": [0.2, 0.8]}
    floor = {"accuracy_interval": [0.1, 0.9], "sees": "nothing"}
    metrics = {
        **{"n": 12, "accuracy": 0.75, "accuracy_interval": [0.47, 0.91], "macro_auroc": None},
        "per_class": {name: {**found, "specificity": None, "auroc": 0.5} for name in CLASSES},
        "calibration": {"expected_calibration_error_after": 0.125},
        "against_floors": {
            "floors": {"majority": floor | {"accuracy": 0.5}, "border": floor | {"accuracy": 0.7}},
            "best": "border",
            "gap": {"gap": 0.05, "low": -0.1, "high": 0.2},
        },
    }
    difference = {"n": 3, "logits": 1e-6, "probabilities": 1e-7, "maps": None}
    answers = {"n": 12, "same_answer": 1.0, "probabilities": 1e-4, "accuracy": 0.75}
    answers |= {"low": 0.47, "high": 0.91, "accuracy_of_run": 0.75}
    return ModelCardPage(
        facts=facts,
        verdict={
            "answer": "75 % right (47–91, n = 12): not proven.",
            "sentence": f"The network's 75 % is no recognition of {EVIL}.",
            "headline": {"task": "two", "scheme": "holdout"},
            "starts": {
                scheme: {"kind": "random", "origin": "random"}
                for scheme in ("holdout", "elsewhere")
            },
            "checks": checks,
        },
        metrics=metrics,
        parity={
            "files": {
                "model.onnx": {"bytes": 3_000_000, "difference": difference, "loss": answers},
                "model.pt2": {"bytes": 3_100_000, "difference": difference},
            }
        },
        split=pd.DataFrame(
            {"label": CLASSES * 6, "role": np.repeat(["train", "test"], 6)},
        ),
        is_grouped=True,
        is_drawn=False,
    )
