"""The study of a configuration: its images listed, and the one checked against the other."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.cxrcam.configuration import resolution as configuration
from workflow_scripts.cxrcam.configuration.findings import with_questions
from workflow_scripts.cxrcam.data.listing.listed import list_data_set
from workflow_scripts.cxrcam.data.listing.reader_decisions import check_new_labels
from workflow_scripts.cxrcam.data.listing.unions import with_members
from workflow_scripts.cxrcam.file_times import refuse_future_files
from workflow_scripts.cxrcam.study.study import Study


def list_study(config: Mapping[str, Any]) -> Study:
    """List the images of a study, and check the configuration against them.

    Parameters
    ----------
    config : mapping
        From `resolution.resolve_configuration`.

    Raises
    ------
    DatasetError
        As for `datasets.list_images`.
    ConfigurationError
        If tasks and schemes do not suit the images or lung masks that there are, if a file of
        weights is missing, or if new images are given to networks that need lung masks.
    InputError
        If a file that Snakemake compares times with is from the future.
    """
    data_sets = {
        name: list_data_set(
            with_members(config["datasets"], name),
            Path(f"results/{name}/phantoms"),
            config["image"]["shard_images"],
        )
        for name in [config["dataset"], *config["external"]]
    }
    own = data_sets[config["dataset"]]
    configuration.check_against_images(config, own.class_sizes, own.place)
    for name in config["external"]:
        other = data_sets[name]
        configuration.check_external_images(config, name, other.class_sizes, other.place)
    configuration.check_union_images(config, own.images)
    configuration.check_masks(config, own.images)
    configuration.check_parts(config, own.images)
    configuration.check_subgroups(config, own.images)
    held_out = configuration.held_out_values(config, own.images)
    study = Study(with_questions(config), data_sets, held_out)
    for name, listed in data_sets.items():
        check_new_labels(name, listed.decisions, listed.images, *study.asked_labels)
        for file, part in listed.not_copies_parts.items():
            if not os.path.isfile(file):  # noqa: PTH113 (never raises)
                raise configuration.ConfigurationError(
                    f"datasets.{part[:-1] or name}.not_copies: the file {file!r} does not exist "
                    f"(looked from {Path.cwd()}). Correct the path, or set it to null."
                )
        refuse_future_files([*listed.metadata_tables, *listed.not_copies])
    for weights in {model["weights"] for model in study.models.values()}:
        is_there = os.path.isfile(weights)  # noqa: PTH113 (never raises)
        if weights not in ("auto", "random", "imagenet") and not is_there:
            raise configuration.ConfigurationError(
                f"model.weights: the file {weights!r} does not exist (looked from {Path.cwd()}). "
                "Correct the path, or set model.weights to auto, imagenet or random."
            )
        refuse_future_files([weights])
    _check_first_study(config["compare_with"], data_sets)
    scheme = study.answering["scheme"]
    if config["predict_images"] and study.needs_lung_masks(scheme):
        raise configuration.ConfigurationError(
            f"predict_images: the networks of {scheme} need a lung mask of every image, which new "
            "images do not have: name another scheme as predict.scheme."
        )
    return study


def first_study_files(name: str | None) -> dict[str, Any]:
    """Files of the study that this one is compared with, by the names that the rule has for them.

    Parameters
    ----------
    name : str or None
        ``compare_with``.

    Returns
    -------
    dict
        Each a path, or [] for none: ``first_metrics``, ``first_verdict`` and, where that study has
        been tested elsewhere, ``first_external``.
    """
    if name is None:
        return {"first_metrics": [], "first_verdict": [], "first_external": []}
    external = f"results/{name}/audit/external.csv"
    return {
        "first_metrics": f"results/{name}/tables/metrics.csv",
        "first_verdict": f"results/{name}/audit/verdict.json",
        "first_external": external if Path(external).exists() else [],
    }


def _check_first_study(name: str | None, data_sets: Mapping[str, Any]) -> None:
    """Refuse to compare with a study that has not run, or that this one would overwrite."""
    if name is None:
        return
    if name in data_sets:
        raise configuration.ConfigurationError(
            f"compare_with is {name!r}, but this study uses that data set itself, and its results "
            "would be overwritten: give this study's data set another name under `datasets`, or "
            "set compare_with to null."
        )
    files = first_study_files(name)
    for path in (files["first_metrics"], files["first_verdict"]):
        if not os.path.isfile(path):  # noqa: PTH113 (never raises)
            raise configuration.ConfigurationError(
                f"compare_with is {name!r}, but {path!r} does not exist: run that study first, or "
                "set compare_with to null."
            )
