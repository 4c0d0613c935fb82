# CXR-CAM: train, audit and explain chest X-ray classifiers.
#
#   images on disk ─ cache ─ index ─ splits ─ train ─ predict_run ─ evaluate ─ tables, figures
#                  (decode once)                         └ cam (maps drawn over the X-rays)
#
# Settings: config.yaml, explained key by key in schemas/config.schema.yaml.
# Results: results/<dataset>/, explained in results/README.md.
# New images, with the networks of a finished run: snakemake predict --config predict_images=FOLDER

from snakemake.utils import min_version

min_version("9.19")


configfile: "config.yaml"


include: "rules/common.smk"


# What `snakemake --report` begins with.
report: "rules/captions/workflow.rst"


# Used with `--sdm apptainer` only.
container: config["compute"]["container"]


include: "rules/inputs.smk"
include: "rules/resources.smk"
include: "rules/messages.smk"
include: "rules/datasets.smk"
include: "rules/splits.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/cam.smk"
include: "rules/external.smk"
include: "rules/audit_data.smk"
include: "rules/audit_networks.smk"
include: "rules/verdict.smk"
include: "rules/mend.smk"
include: "rules/report.smk"
include: "rules/predict.smk"
include: "rules/export.smk"
include: "rules/paper.smk"
include: "rules/related.smk"
include: "rules/viewer.smk"
include: "rules/crate.smk"


wildcard_constraints:
    dataset=one_of(STUDY.data_sets),
    other=one_of(config["external"] or ["none"]),
    task=one_of([*config["tasks"], *STUDY.findings]),
    scheme=one_of(config["schemes"]),
    fold=r"\d+",
    seed=r"\d+",
    shard=r"\d{5}",
    features=one_of(STUDY.frozen) or "none",
    images=NEW_IMAGES_NAME,
    choice="auto|imagenet",


# Everything: tables, figures and maps of every run.
rule all:
    default_target: True
    input:
        "results/run_config.yaml",
        # Every file by name, so that a lost one is made again.
        run_files(),
        design_files(),
        study_files(
            rules.index,
            rules.tables,
            rules.comparisons,
            rules.audit_data,
            rules.audit_leaks,
            rules.audit_duplicates,
            rules.audit_suspects,
            rules.audit_subgroups,
            rules.audit_labels,
            rules.audit_verdict,
            rules.report,
            *([rules.map_methods] if config["audit"]["map_methods"] else []),
            *([rules.findings] if STUDY.findings else []),
            *([rules.audit_slices] if STUDY.sliced_runs else []),
            *([rules.external_table] if config["external"] else []),
            *([rules.mended_table] if config["compare_with"] else []),
        ),
        external_predictions(),
        [
            filled(output, dataset=other)
            for other in config["external"]
            for output in rules.audit_suspects.output
        ],
    message:
        f"All results of {config['dataset']}"


if workflow.is_main_process:
    for folder in changed_folders([*run_files(), *study_files(rules.report)]):
        logger.warning(
            f"{folder} has lost or gained files since it was made: delete it, and it is made again."
        )


onstart:
    checked(refuse_read_only_results, Path("results"))


onsuccess:
    print(
        f"\nThe whole log: {os.path.relpath(log[0])}",
        *found_in_words(),
        *made_files(),
        sep="\n",
    )
