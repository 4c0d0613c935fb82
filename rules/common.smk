# What all rules share: the checked configuration, the study that it asks for, folders of results.
# Read by every job, so nothing heavy is imported and nothing is written or drawn here.

import os
import signal
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from workflow_scripts.cxrcam.code_fingerprint import code_fingerprint, text_fingerprint
from workflow_scripts.cxrcam.configuration import resolution as configuration
from workflow_scripts.cxrcam.configuration.drawn import drawn_parts, is_drawn
from workflow_scripts.cxrcam.configuration.replaced_kinds import without_replaced_kinds
from workflow_scripts.cxrcam.data.listing import datasets
from workflow_scripts.cxrcam.data.listing.combined_labels import combined_labels_in_words
from workflow_scripts.cxrcam.data.listing.decoders import missing_decoders_in_words
from workflow_scripts.cxrcam.data.listing.left_out import left_out_in_words
from workflow_scripts.cxrcam.data.listing.listed import image_settings
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.file_times import changed_folders, stamp_files
from workflow_scripts.cxrcam.folder_checks import (
    refuse_project_with_braces,
    refuse_python_with_blanks,
    refuse_read_only_results,
    refuse_unwritable_records,
)
from workflow_scripts.cxrcam.machine import has_gpu
from workflow_scripts.cxrcam.new_images import listing as new_images
from workflow_scripts.cxrcam.report.provenance import COMMAND, command_in_words
from workflow_scripts.cxrcam.study.listing import first_study_files, list_study
from workflow_scripts.cxrcam.terminal.interrupts import stop_jobs

# Not workflow.basedir: as a module of another workflow, that is the folder of the other one.
PROJECT = Path(workflow.current_basedir).parent

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
    "tifffile",
    "imagecodecs",
    "simplejpeg",
    "pytorch_grad_cam",
    "onnx",
    "onnxruntime",
)

# Of a run: the same folders below results, results/logs and results/benchmarks.
RUN = "{dataset}/runs/{task}/{scheme}/fold-{fold}/seed-{seed}"
CAM = "{dataset}/cam/{task}/{scheme}/fold-{fold}/seed-{seed}"
AUDIT = "{dataset}/audit/{task}/{scheme}/fold-{fold}/seed-{seed}"
LOG = "results/logs/{dataset}"
BENCHMARK = "results/benchmarks/{dataset}"


def checked(action, *arguments):
    """Call a function of the library; a fault of the input ends the run with its one sentence."""
    try:
        return action(*arguments)
    except InputError as error:
        raise WorkflowError(str(error)) from None


checked(refuse_project_with_braces, PROJECT)
if workflow.is_main_process:
    checked(refuse_unwritable_records, Path(".snakemake"))

for file in workflow.configfiles:
    checked(configuration.refuse_unclear_yaml, Path(file))

# Files in the order of merging: `configfile:` of the Snakefile, then those of the command line.
given_files = [Path(file) for file in workflow.config_settings.configfiles]
own_files = [file for file in map(Path, workflow.configfiles) if file not in given_files]
config = without_replaced_kinds(
    config,
    [
        *(checked(configuration.read_yaml, file) for file in [*own_files, *given_files]),
        workflow.config_settings.config,
    ],
)
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

if workflow.is_main_process and (found := configuration.networks_to_find(config)):
    # Only here and for networks that are not described: the import takes seconds.
    from workflow_scripts.cxrcam.networks.found import refuse_unusable

    checked(refuse_unusable, found)

STUDY = checked(list_study, config)
if workflow.is_main_process:
    for name, data_set in STUDY.data_sets.items():
        for sentence in left_out_in_words(name, data_set.left_out):
            logger.warning(sentence)
        for sentence in missing_decoders_in_words(name, (image.path for image in data_set.images)):
            logger.warning(sentence)
    listed_own = STUDY.data_sets[config["dataset"]]
    for sentence in combined_labels_in_words(listed_own.class_sizes, STUDY.classes):
        logger.warning(sentence)

if not workflow.deployment_settings.deployment_method:
    checked(refuse_python_with_blanks, sys.executable)


if workflow.is_main_process:
    # For the report. No param: another command would make it stale.
    os.environ[COMMAND] = command_in_words(sys.argv[1:])

if workflow.is_main_process and workflow.local_exec:
    signal.signal(signal.SIGINT, stop_jobs)


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


def listed(wildcards):
    """The data set of a job, as it is listed."""
    return STUDY.data_sets[wildcards.dataset]


def page_templates(name):
    """Fingerprint of what a page of the audit is made from."""
    templates = PROJECT / "workflow_scripts/cxrcam/report/templates"
    return text_fingerprint(templates / file for file in sorted(("base.css", "macros.html", name)))


def in_report(file, category, **labels):
    """An output that goes into Snakemake's own report too, with the caption of its name."""
    caption = f"captions/{Path(file).stem}.rst"
    return report(file, caption=caption, category=category, labels=labels)


def drawn_here(wildcards):
    """Whether the data set of a job holds phantoms."""
    return is_drawn(config["datasets"], wildcards.dataset)


def phantom_settings(wildcards):
    """What decides how phantoms look; empty for real images, and by data set for a union."""
    settings = {
        name: {"code": code("phantoms.py"), **image_settings(config["datasets"][name])}
        for name in drawn_parts(config["datasets"], wildcards.dataset)
    }
    return settings.get(wildcards.dataset, settings)
