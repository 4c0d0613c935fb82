# What all rules share: the checked configuration, the listing of the images, and the names of runs.
# Read by every job, so nothing heavy is imported and nothing is written or drawn here.

import csv
import hashlib
import json
from functools import lru_cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from workflow_scripts.cxrcam.configuration import resolution as configuration
from workflow_scripts.cxrcam.configuration.recipes import used_recipes
from workflow_scripts.cxrcam.data import datasets
from workflow_scripts.cxrcam.data.listed import list_data_set
from workflow_scripts.cxrcam.code_fingerprint import code_fingerprint
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.machine import has_gpu
from workflow_scripts.cxrcam.new_images import listing as new_images
from workflow_scripts.cxrcam.paper.designs import find_designs

PROJECT = Path(workflow.basedir)

# Libraries whose version decides results: a new torch makes trained models stale.
RESULT_LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "sklearn",
    "PIL",
    "cv2",
    "pydicom",
    "pytorch_grad_cam",
    "onnx",
    "onnxruntime",
)

RUN = "results/{dataset}/runs/{task}/{scheme}/fold-{fold}/seed-{seed}"
CAM = "results/{dataset}/cam/{task}/{scheme}/fold-{fold}/seed-{seed}"
AUDIT = "results/{dataset}/audit/{task}/{scheme}/fold-{fold}/seed-{seed}"
LOG = "results/logs/{dataset}"
BENCHMARK = "results/benchmarks/{dataset}"


def checked(action, *arguments):
    """Call a function of the library; a fault of the input ends the run with its one sentence."""
    try:
        return action(*arguments)
    except InputError as error:
        raise WorkflowError(str(error)) from None


for file in workflow.configfiles:
    checked(configuration.refuse_repeated_keys, Path(file))

REMOVED = configuration.removed_entries(config)
config = checked(
    configuration.resolve_configuration,
    config,
    configuration.load_schema(PROJECT / "schemas/config.schema.yaml"),
)
# What `--sdm conda` builds, relative to the files of rules.
ENVIRONMENT = {"cpu": "../envs/cxrcam-cpu.yaml", "cuda": "../envs/cxrcam.yaml"}[
    config["compute"]["environment"]
]

# The one that is trained on, then those that are only tested on; no other one is looked for.
DATA_SETS = {
    name: checked(
        list_data_set,
        config["datasets"][name],
        Path(f"results/{name}/phantoms"),
        config["image"]["shard_images"],
    )
    for name in [config["dataset"], *config["external"]]
}
checked(
    configuration.check_against_images,
    config,
    DATA_SETS[config["dataset"]].class_sizes,
    DATA_SETS[config["dataset"]].place,
)
for name in config["external"]:
    checked(
        configuration.check_external_images,
        config,
        name,
        DATA_SETS[name].class_sizes,
        DATA_SETS[name].place,
    )
checked(configuration.check_masks, config, DATA_SETS[config["dataset"]].images)


def one_of(names):
    """Wildcard constraint: one of the configuration's own names."""
    return "|".join(sorted(names))


def filled(pattern, **wildcards):
    """Path of a pattern. Not str.format alone, which does not know where object storage keeps a file."""
    if hasattr(pattern, "apply_wildcards"):
        return pattern.apply_wildcards(wildcards)
    return str(pattern).format(**wildcards)


@lru_cache(maxsize=None)  # asked again for each job of some rules
def code(script):
    """Fingerprint of a rule's code, passed as a param: see code_fingerprint.py.

    The script's name is for who reads why a job would run.
    """
    memory = Path(".snakemake/code.json")  # beside Snakemake's own
    fingerprint = code_fingerprint(
        PROJECT / "workflow_scripts" / script, PROJECT, RESULT_LIBRARIES, memory
    )
    return f"code of {script}: {fingerprint}"


def text_fingerprint(files):
    """Hash of the text of some files."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]


def phantom_settings(wildcards):
    """What decides how phantoms look; empty for real images."""
    settings = DATA_SETS[wildcards.dataset].settings
    if settings["kind"] != "phantom":
        return {}
    return {"code": code("phantoms.py"), **settings}


def in_report(files):
    """Pictures and CSV tables among the files go into Snakemake's own report too."""
    shown = lambda file: report(
        file,
        caption="captions/paper.rst",
        category="The paper",
        labels={"element": Path(file).stem.replace("_", " ")},
    )
    return [shown(file) if file.endswith((".png", ".csv")) else file for file in files]
