"""The study: which networks are trained, on which images, and what part each of them plays.

The rules ask it which runs, divisions and settings belong to a job; paths are theirs. Snakemake
builds it whenever it reads the workflow (in every cluster job again), so nothing heavy is imported
and no image is opened.

A *design* is a task and a scheme. A *division* is one fold of a design. A *run* is one network,
trained on a division with one seed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict

from workflow_scripts.cxrcam.configuration import resolution as configuration
from workflow_scripts.cxrcam.configuration.class_balance import reweighting
from workflow_scripts.cxrcam.configuration.findings import (
    Finding,
    classes_of,
    labels_of,
)
from workflow_scripts.cxrcam.configuration.recipes import used_recipes
from workflow_scripts.cxrcam.data.listing.listed import ListedDataSet
from workflow_scripts.cxrcam.paper.designs import Designs, find_designs


class Design(TypedDict):
    """What is trained alike: keys of ``tasks`` and ``schemes``."""

    task: str
    scheme: str


class Division(Design):
    """One division of the images of a design; folds count from 1."""

    fold: int


class Training(Division):
    """One network of a division, whatever the data set."""

    seed: int


class Run(Training):
    """One network, by the wildcards of its files."""

    dataset: str


class ExternalTest(Run):
    """A run on an external data set, and the classes of its task that have no image there."""

    data_set: str
    missing: list[str]


@dataclass(frozen=True)
class Study:
    """All that a configuration asks to be trained and tested, in its order.

    Attributes
    ----------
    config : mapping
        From `findings.with_questions`.
    data_sets : mapping of str to ListedDataSet
        By name: the one that is trained on, then those that are only tested on.
    held_out : mapping of str to list of str
        From `resolution.held_out_values`.
    """

    config: Mapping[str, Any]
    data_sets: Mapping[str, ListedDataSet]
    held_out: Mapping[str, list[str]] = field(default_factory=dict)

    # --- runs -------------------------------------------------------------------------------------

    @cached_property
    def designs(self) -> list[Design]:
        """Every task with every scheme that is run with it."""
        pairs = configuration.experiments(self.config)
        return [{"task": task, "scheme": scheme} for task, scheme in pairs]

    @cached_property
    def runs(self) -> list[Run]:
        """Every run: all folds and seeds of all designs."""
        return [
            {"dataset": self.config["dataset"], **design, "fold": fold, "seed": seed}
            for design in self.designs
            for fold in range(1, self.fold_count(design["scheme"]) + 1)
            for seed in self.seeds_of(design["scheme"])
        ]

    def runs_of(self, task: str, scheme: str) -> list[Run]:
        """Runs of one design."""
        return [run for run in self.runs if (run["task"], run["scheme"]) == (task, scheme)]

    @cached_property
    def divisions(self) -> list[Division]:
        """Every division that is drawn; schemes that take those of another one are left out."""
        return [
            {**design, "fold": fold}
            for design in self.designs
            if self.base_scheme(design["scheme"]) == design["scheme"]
            for fold in range(1, self.fold_count(design["scheme"]) + 1)
        ]

    @cached_property
    def findings_designs(self) -> list[dict[str, Any]]:
        """Designs of networks with several findings: their labels, questions and runs."""
        asked: dict[tuple[str, str], dict[str, str]] = {}
        for design in self.designs:
            if finding := self.findings.get(design["task"]):
                questions = asked.setdefault((finding["network"], design["scheme"]), {})
                questions[finding["label"]] = design["task"]
        return [
            {
                "task": task,
                "scheme": scheme,
                "findings": list(questions),
                "questions": list(questions.values()),
                "runs": [
                    {"fold": run["fold"], "seed": run["seed"]}
                    for run in self.runs_of(next(iter(questions.values())), scheme)
                ],
            }
            for (task, scheme), questions in asked.items()
        ]

    def seeds_of(self, scheme: str) -> list[int]:
        """Seeds of the runs of a scheme: its own, else those of the study."""
        seeds: list[int] = self.config["schemes"][scheme]["seeds"] or self.config["seeds"]
        return seeds

    def fold_count(self, scheme: str) -> int:
        """Count the folds of a scheme."""
        values = self.held_out.get(self.base_scheme(scheme))
        return len(values) if values else configuration.fold_count(self.config, scheme)

    @cached_property
    def held_out_in_words(self) -> dict[str, list[str]]:
        """What each fold tests on, such as "scanner 2", by each scheme that leaves out sources."""
        bases = {scheme: self.base_scheme(scheme) for scheme in self.config["schemes"]}
        return {
            scheme: [f"{self.config['schemes'][base]['by']} {v}" for v in self.held_out[base]]
            for scheme, base in bases.items()
            if base in self.held_out
        }

    def held_out_value(self, scheme: str, fold: int) -> str | None:
        """Source on whose images a fold tests; None where its images are drawn."""
        values = self.held_out.get(self.base_scheme(scheme))
        return values[fold - 1] if values else None

    # --- parts that runs play ---------------------------------------------------------------------

    @cached_property
    def parts(self) -> Designs:
        """Parts that the schemes play in the paper; one of them is the honest design."""
        return find_designs(self.config)

    @cached_property
    def headline(self) -> Design:
        """Design of the number that the verdict judges: the honest one, else the first."""
        first = self.designs[0]
        honest: Design = {"task": first["task"], "scheme": self.parts.honest or ""}
        return honest if honest in self.designs else first

    @property
    def headline_reason(self) -> str:
        """Sentence on why the headline is the headline."""
        if self.headline["scheme"] == self.parts.honest:
            return (
                "It is the headline because nothing in its training saw a test image, its patient "
                "or its copies."
            )
        return (
            "It is the headline as the first design: none has `grouped`, `validation_fraction` and "
            "`keep: best_validation` together."
        )

    @cached_property
    def headline_tasks(self) -> list[str]:
        """Task of the headline; where its networks have several findings, those of all of them."""
        return list(self._findings_of(self.headline).values()) or [self.headline["task"]]

    def _findings_of(self, asked: Design) -> dict[str, str]:
        """Task by finding of all that the networks of a design find; none of exclusive classes."""
        for design in self.findings_designs:
            if asked["task"] in design["questions"] and asked["scheme"] == design["scheme"]:
                return dict(zip(design["findings"], design["questions"], strict=True))
        return {}

    @cached_property
    def headline_networks(self) -> list[Training]:
        """Networks of the headline, all folds and seeds, by their own task."""
        task, scheme = self.network_of(self.headline["task"]), self.headline["scheme"]
        return [
            {"fold": run["fold"], "seed": run["seed"], "task": task, "scheme": scheme}
            for run in self.runs_of(**self.headline)
        ]

    @cached_property
    def headline_folds(self) -> list[Training]:
        """First seed of all folds of the headline: what the report shows maps of."""
        return [
            {"fold": run["fold"], "seed": run["seed"], **self.headline}
            for run in self.runs_of(**self.headline)
            if run["seed"] == self.seeds_of(run["scheme"])[0]
        ]

    @property
    def headline_run(self) -> Training:
        """First fold and seed of the headline: what is exported."""
        return self.headline_folds[0]

    @cached_property
    def explained_runs(self) -> list[Run]:
        """First fold and seed of each design: maps are tested on these only, as it takes time."""
        return [self.runs_of(**design)[0] for design in self.designs]

    @cached_property
    def probed_runs(self) -> list[Training]:
        """First seed of all folds of the headline, by the task of its networks."""
        first = self.seeds_of(self.headline["scheme"])[0]
        return [run for run in self.headline_networks if run["seed"] == first]

    @property
    def sliced_runs(self) -> list[Training]:
        """Networks whose mistakes are looked at for groups.

        Those of one seed, as the features of two networks cannot be compared. None of findings:
        nothing says from which probability on they are called.
        """
        return [] if self.headline["task"] in self.findings else self.headline_folds

    @cached_property
    def label_runs(self) -> list[Run]:
        """Networks whose answers are set beside the labels.

        Of each task those of the headline's scheme, or else of the first that it is run with.
        """
        headline = self.headline["scheme"]
        runs = []
        for task in self.classes:
            schemes = [design["scheme"] for design in self.designs if design["task"] == task]
            for scheme in [headline] if headline in schemes else schemes[:1]:
                runs += self.runs_of(task, scheme)
        return runs

    @cached_property
    def main_runs(self) -> dict[str, Run]:
        """For pictures, task by task: the complete set if it is run, first fold and seed."""
        return {
            task: min(
                (run for run in self.explained_runs if run["task"] == task),
                key=lambda run: run["scheme"] != self.parts.complete,
            )
            for task in dict.fromkeys(run["task"] for run in self.explained_runs)
        }

    @cached_property
    def widest_task(self) -> str:
        """Task of `main_runs` that tells most classes apart, the first of several."""
        return max(self.main_runs, key=lambda task: len(self.classes[task]))

    @cached_property
    def network_runs(self) -> list[Run]:
        """Runs whose networks are compared: those of the complete set, and of its divisions.

        The recipe is the same for all of them, and images are whole.
        """
        return [
            run
            for run in self.runs
            if run["scheme"] == self.parts.complete
            or (
                self.config["schemes"][run["scheme"]].get("of") == self.parts.complete
                and run["scheme"] not in self.parts.recipes
                and self.system_of(run["scheme"]) is None
                and not self.is_covered(run["scheme"])
            )
        ]

    def system_of(self, scheme: str) -> str | None:
        """Key in `paper.published_systems` of what the networks of a scheme follow, or None."""
        system: str | None = self.config["schemes"][scheme]["system"]
        return system

    def division_in_words(self, scheme: str) -> str:
        """How the images of a scheme are divided, for the table of published systems."""
        base = self.base_scheme(scheme)
        if base == self.parts.complete:
            return "the paper's division"
        settings = self.config["schemes"][base]
        if settings["kind"] == "stratified_kfold":
            return f"{settings['folds']}-fold cross-validation"
        if settings["kind"] == "leave_one_out":
            return f"one {settings['by']} left out at a time"
        return "honest division" if base == self.parts.honest else base

    @cached_property
    def related_runs(self) -> list[Run]:
        """Runs of all schemes that follow a published system."""
        return [run for run in self.runs if self.system_of(run["scheme"])]

    @cached_property
    def answering(self) -> Design:
        """Design whose networks answer for new images.

        What ``predict`` leaves open is the headline's, or else the first that goes with the rest.
        """
        chosen = self.config["predict"]
        task = chosen["task"] or self.headline["task"]
        scheme = chosen["scheme"] or self.headline["scheme"]
        wanted: Design = {"task": task, "scheme": scheme}
        if wanted in self.designs:
            return wanted
        if chosen["scheme"] is None:
            return next(design for design in self.designs if design["task"] == task)
        return next(design for design in self.designs if design["scheme"] == scheme)

    @property
    def answering_runs(self) -> list[Run]:
        """All folds and seeds of the design that answers for new images."""
        return self.runs_of(**self.answering)

    @cached_property
    def answering_findings(self) -> dict[str, str]:
        """Task by finding that new images are asked for, where the networks have several."""
        return self._findings_of(self.answering)

    @cached_property
    def covered_designs(self) -> dict[str, dict[str, str]]:
        """Scheme by scheme: what networks trained on covered images see, and of whose divisions."""
        return {
            scheme: {"of": settings["of"], "input": settings["input"]}
            for scheme, settings in self.config["schemes"].items()
            if self.is_covered(scheme)
        }

    @cached_property
    def external_tests(self) -> list[ExternalTest]:
        """Every run on every external data set.

        Networks that were trained on covered images are experiments, not what would be used
        elsewhere.
        """
        sizes = {name: self.data_sets[name].class_sizes for name in self.config["external"]}
        return [
            {
                **run,
                "data_set": name,
                "missing": self._missing(run["task"], sizes[name]),
            }
            for name in sizes
            for run in self.runs
            if not self.is_covered(run["scheme"])
        ]

    def _missing(self, task: str, sizes: Mapping[str, int]) -> list[str]:
        """Classes of which a data set has no image; whether it has a finding, its table tells."""
        if task in self.findings:
            return []
        return configuration.missing_classes(self.config, task, sizes)

    # --- settings of designs ----------------------------------------------------------------------

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """Classes of each task; of one with findings, those of each finding."""
        tasks = self.config["tasks"]
        return {task: classes_of(tasks[task]) for task in tasks if classes_of(tasks[task])}

    @cached_property
    def findings(self) -> dict[str, Finding]:
        """What each task asks for that is one finding of a network with several."""
        tasks = self.config["tasks"]
        return {task: tasks[task]["finding"] for task in tasks if "finding" in tasks[task]}

    @cached_property
    def asked_labels(self) -> tuple[set[str], set[str]]:
        """Classes of the tasks that have some, and findings of the others."""
        networks = {finding["network"] for finding in self.findings.values()}
        tasks = self.classes.keys() - self.findings.keys()
        classes = {label for task in tasks for label in self.classes[task]}
        return classes, {label for network in networks for label in self.outputs(network)}

    def network_of(self, task: str) -> str:
        """Task whose networks answer; another one where it asks for one of several findings."""
        return self.findings[task]["network"] if task in self.findings else task

    def outputs(self, task: str) -> list[str]:
        """Names of the outputs of the networks of a task: classes, or findings."""
        settings = self.config["tasks"][task]
        return classes_of(settings) or labels_of(settings)

    def findings_of(self, task: str) -> dict[str, Any] | None:
        """Labels of a task with several findings, and what unclear entries mean; None of others."""
        asked: dict[str, Any] | None = self.config["tasks"][task].get("findings")
        return asked

    @cached_property
    def models(self) -> dict[str, dict[str, Any]]:
        """Settings of the networks of each scheme."""
        schemes = self.config["schemes"]
        return {scheme: configuration.model_settings(self.config, scheme) for scheme in schemes}

    @cached_property
    def starts(self) -> dict[str, str]:
        """``model.weights`` of each scheme that is run, in the order of the designs."""
        return {d["scheme"]: self.models[d["scheme"]]["weights"] for d in self.designs}

    def recipes(self, task: str, scheme: str) -> dict[str, dict[str, Any]]:
        """What of the recipes a training may look at, by the weights that it may start from."""
        train = configuration.train_settings(self.config, task, scheme)
        return used_recipes(self.models[scheme], train, self.config["recipes"])

    def frozen_layers(self, task: str, scheme: str) -> tuple[str, dict[str, Any]] | None:
        """Key and settings of the features that a training needs; None where it freezes nothing."""
        until = configuration.train_settings(self.config, task, scheme)["freeze_until"]
        if until is None:
            return None
        settings = {**self.models[scheme], "freeze_until": until}
        settings.pop("decompose", None)  # a matter of the last layer
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{settings['architecture']}-{until}-{digest}", settings

    @cached_property
    def frozen(self) -> dict[str, dict[str, Any]]:
        """Settings of features by key: one for all runs that freeze the same layers alike."""
        return dict(filter(None, (self.frozen_layers(**design) for design in self.designs)))

    def largest_batch(self, task: str, scheme: str) -> int:
        """Images of a training step; of several recipes that are possible, the most."""
        batch = configuration.train_settings(self.config, task, scheme)["batch_size"]
        if batch != "auto":
            return int(batch)
        return max(int(recipe["batch_size"]) for recipe in self.recipes(task, scheme).values())

    def reweighting(self, task: str, scheme: str) -> str:
        """What gives the classes other shares in training than in the data; see `reweighting`."""
        return reweighting(configuration.train_settings(self.config, task, scheme))

    @cached_property
    def reweighted(self) -> list[tuple[str, str, str]]:
        """Task, scheme and `reweighting` of each design that has one."""
        return [
            (design["task"], design["scheme"], what)
            for design in self.designs
            if (what := self.reweighting(**design))
        ]

    def is_covered(self, scheme: str) -> bool:
        """Whether the networks of a scheme see a part of each image only."""
        return configuration.input_part(self.config, scheme) != configuration.WHOLE

    def needs_lung_masks(self, scheme: str) -> bool:
        """Whether the networks of a scheme see the lungs only, or all but them."""
        return configuration.input_part(self.config, scheme) in configuration.LUNG_INPUTS

    # --- divisions of the images ------------------------------------------------------------------

    def base_scheme(self, scheme: str) -> str:
        """Scheme whose divisions a scheme takes, its own or those of another one."""
        return configuration.division(self.config, scheme)[0]

    def is_grouped(self, scheme: str) -> bool:
        """Whether patients and near-duplicates stay on one side of the divisions of a scheme."""
        return bool(configuration.division(self.config, scheme)[1].get("grouped"))

    def split_settings(self, scheme: str) -> dict[str, Any]:
        """What decides a division; not the number of repeats, so that more leave the first ones."""
        name, settings = configuration.division(self.config, scheme)
        without = ("train", "model", "repeats", "tasks", "shared_test_of", "system")
        return {
            "name": name,
            "design": {key: settings[key] for key in sorted(settings) if key not in without},
        }

    def shared_test_settings(self, scheme: str) -> dict[str, Any]:
        """`split_settings` whose test part the sub-samples of a scheme leave alone; {} if none."""
        shared = configuration.division(self.config, scheme)[1].get("shared_test_of")
        return self.split_settings(shared) if shared else {}

    def n_images(self, name: str) -> int:
        """Number of listed images of a data set."""
        return len(self.data_sets[name].images)
