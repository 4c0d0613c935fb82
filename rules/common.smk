# What all rules share: the checked configuration, the listing of the images, and the names of runs.
# Read by every job, so nothing heavy is imported and nothing is written or drawn here.

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from workflow_scripts.cxrcam import configuration, datasets
from workflow_scripts.cxrcam.code_fingerprint import code_fingerprint

PROJECT = Path(workflow.basedir)

# Libraries whose version decides results: a new torch makes trained models stale.
RESULT_LIBRARIES = ("torch", "torchvision", "numpy", "PIL", "pydicom")

RUN = "results/{dataset}/runs/{task}/{scheme}/fold-{fold}/seed-{seed}"
CAM = "results/{dataset}/cam/{task}/{scheme}/fold-{fold}/seed-{seed}"
LOG = "results/logs/{dataset}"
BENCHMARK = "results/benchmarks/{dataset}"


def checked(action, *arguments):
    """Call a function of the library; a fault of the input ends the run with its one sentence."""
    try:
        return action(*arguments)
    except (configuration.ConfigurationError, datasets.DatasetError) as error:
        raise WorkflowError(str(error)) from None


for file in workflow.configfiles:
    for repeated in configuration.duplicate_keys(Path(file)):
        raise WorkflowError(f"{file}: {repeated}")

config = checked(
    configuration.resolve_configuration,
    config,
    configuration.load_schema(PROJECT / "schemas/config.schema.yaml"),
)
SETTINGS = config["datasets"][config["dataset"]]
PHANTOM_ROOT = Path(f"results/{config['dataset']}/phantoms")
IMAGES = checked(datasets.list_images, SETTINGS, PHANTOM_ROOT)
checked(configuration.check_against_images, config, datasets.class_sizes(IMAGES), datasets.place(SETTINGS))

N_SHARDS = datasets.shard_count(len(IMAGES), config["image"]["shard_images"])
SHARDS = [f"{number:05d}" for number in range(N_SHARDS)]
SHARD_FINGERPRINTS = datasets.shard_fingerprints(IMAGES, N_SHARDS)


def one_of(names):
    """Wildcard constraint: one of the configuration's own names."""
    return "|".join(sorted(names))


def code(script):
    """Fingerprint of a rule's code, passed as a param: see code_fingerprint.py."""
    return code_fingerprint(PROJECT / "workflow_scripts" / script, PROJECT, RESULT_LIBRARIES)


def phantom_settings():
    """What decides how phantoms look; empty for real images."""
    if SETTINGS["kind"] != "phantom":
        return {}
    return {"code": code("phantoms.py"), **SETTINGS}


def runs(dataset, task="*", scheme="*"):
    """Wildcards of all training runs of the configuration, in its order."""
    return [
        {"dataset": dataset, "task": t, "scheme": s, "fold": fold, "seed": seed}
        for t in config["tasks"]
        if task in ("*", t)
        for s in config["schemes"]
        if scheme in ("*", s)
        for fold in range(1, configuration.fold_count(config["schemes"][s]) + 1)
        for seed in config["seeds"]
    ]


def of_runs(pattern, task="*", scheme="*"):
    """Input function: one file a run."""
    return lambda wildcards: [
        pattern.format(**run)
        for run in runs(wildcards.dataset, getattr(wildcards, "task", task), getattr(wildcards, "scheme", scheme))
    ]


def cache_shards(wildcards):
    """All cache files of the data set."""
    return [f"results/{wildcards.dataset}/cache/shard-{shard}.parquet" for shard in SHARDS]


def run_name(wildcards):
    """How a run is called in logs and on the progress bar."""
    return f"{wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
