"""The card of an exported network: what it is worth and its limits first.

Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, in the form that model hubs read: a
Markdown page with a YAML head.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from workflow_scripts.cxrcam.configuration.class_balance import reweighting, shares_sentence
from workflow_scripts.cxrcam.export.pages import render_page
from workflow_scripts.cxrcam.networks.weights.starting_weights import RANDOM, start_sentence
from workflow_scripts.cxrcam.terms import ROLES
from workflow_scripts.cxrcam.verdict.check import FAILED, NOT_ASSESSABLE, PASSED, is_judged


@dataclass(frozen=True)
class ModelCardPage:
    """All that the card shows of one run.

    Attributes
    ----------
    facts : mapping
        model.json, see `facts.network_facts`.
    verdict : mapping
        audit/verdict.json.
    metrics : mapping
        metrics.json of the run.
    parity : mapping
        parity.json.
    split : DataFrame
        The run's division: `label` and `role` of each image.
    is_grouped : bool
        Whether patients and near-duplicates stay on one side of the division.
    is_drawn : bool
        Whether the images are phantoms.
    """

    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    metrics: Mapping[str, Any]
    parity: Mapping[str, Any]
    split: pd.DataFrame
    is_grouped: bool
    is_drawn: bool

    @property
    def start(self) -> str:
        """What the network starts from."""
        sentence = start_sentence(self.verdict["starts"][self.facts["scheme"]])
        origin = self.facts["weights_origin"]
        return sentence if origin == RANDOM else f"{sentence} The file was {origin}."

    @property
    def shares(self) -> str:
        """Sentence on probabilities at other shares of the classes than the data's; or empty."""
        return shares_sentence(reweighting(self.facts["training"]))

    @property
    def is_judged(self) -> bool:
        """Whether the sentence of the verdict is about the design of this network."""
        headline = self.verdict["headline"]
        design = (self.facts["task"], self.facts["scheme"])
        return headline is not None and is_judged(headline, *design)

    def _checks(self, status: str) -> list[Mapping[str, Any]]:
        """Checks of the data, of this task or of this design, that came out so."""
        task, scheme = self.facts["task"], self.facts["scheme"]
        subjects = ("", task, f"{task}, {scheme}")
        return [
            check
            for check in self.verdict["checks"]
            if check["status"] == status and check["subject"] in subjects
        ]

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        """Checks that failed."""
        return self._checks(FAILED)

    @property
    def not_assessable(self) -> list[Mapping[str, Any]]:
        """Checks that could not be made."""
        return self._checks(NOT_ASSESSABLE)

    @property
    def n_passed(self) -> int:
        """Number of checks that passed."""
        return len(self._checks(PASSED))

    @property
    def floors(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Classifiers that cannot see lung detail, the best first."""
        floors = self.metrics["against_floors"]["floors"]
        return sorted(floors.items(), key=lambda floor: -floor[1]["accuracy"])

    @property
    def best_floor(self) -> str:
        """Name of the best of them."""
        return str(self.metrics["against_floors"]["best"])

    @property
    def gap(self) -> Mapping[str, Any]:
        """What the network gains over it."""
        gap: Mapping[str, Any] = self.metrics["against_floors"]["gap"]
        return gap

    @property
    def parts(self) -> list[tuple[str, list[int]]]:
        """Number of images of each class in each part of the division."""
        counts = self.split.groupby(["role", "label"]).size()
        return [
            (role, [int(counts.get((role, name), 0)) for name in self.facts["classes"]])
            for role in ROLES
            if (self.split["role"] == role).any()
        ]

    @staticmethod
    def with_interval(found: Mapping[str, Any], name: str) -> str:
        """A number of one class as "0.933 (0.787 to 0.982)"; a dash where there is none."""
        value, interval = found.get(name), found.get(f"{name}_interval")
        if value is None:
            return "–"
        if interval is None:
            return f"{value:.3f}"
        return "{:.3f} ({:.3f} to {:.3f})".format(value, *interval)


def _head(page: ModelCardPage) -> dict[str, Any]:
    """What model hubs read of the card."""
    facts, metrics = page.facts, page.metrics
    low, high = metrics["accuracy_interval"]
    best = page.metrics["against_floors"]["floors"][page.best_floor]
    measured = [
        {
            "type": "accuracy",
            "value": round(metrics["accuracy"], 4),
            "name": f"Accuracy (95 % interval {low:.3f} to {high:.3f}, n = {metrics['n']}; a "
            f"classifier that cannot see lung detail, {page.best_floor}, reaches "
            f"{best['accuracy']:.3f})",
        }
    ]
    if metrics["macro_auroc"] is not None:
        auroc = {"type": "roc_auc", "value": round(metrics["macro_auroc"], 4), "name": "AUROC"}
        measured.append(auroc)
    return {
        "license": "unknown",
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "tags": [
            *("chest-x-ray", "radiology", "class-activation-map", "research-use-only"),
            facts["architecture"],
        ],
        "datasets": [facts["dataset"]],
        "metrics": ["accuracy", "roc_auc"],
        "model-index": [
            {
                "name": "{dataset}-{task}-{scheme}-fold-{fold}-seed-{seed}".format(**facts),
                "results": [
                    {
                        "task": {"type": "image-classification", "name": facts["task"]},
                        "dataset": {
                            "type": facts["dataset"],
                            "name": facts["dataset"],
                            "split": "test",
                        },
                        "metrics": measured,
                    }
                ],
            }
        ],
    }


def model_card(page: ModelCardPage) -> str:
    """The card.

    Parameters
    ----------
    page : ModelCardPage

    Returns
    -------
    str
        A YAML head between lines of three dashes, then Markdown.
    """
    head = yaml.safe_dump(_head(page), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{head}---\n\n{render_page('model_card.md', card=page)}"
