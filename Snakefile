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


# Used with `--sdm apptainer` only.
container: config["compute"]["container"]


include: "rules/inputs.smk"
include: "rules/weights_inputs.smk"
include: "rules/external_inputs.smk"
include: "rules/new_images_inputs.smk"
include: "rules/resources.smk"
include: "rules/messages.smk"
include: "rules/datasets.smk"
include: "rules/splits.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/cam.smk"
include: "rules/external.smk"
include: "rules/audit.smk"
include: "rules/report.smk"
include: "rules/predict.smk"
include: "rules/export.smk"
include: "rules/paper.smk"
include: "rules/viewer.smk"
include: "rules/crate.smk"


wildcard_constraints:
    dataset=one_of(DATA_SETS),
    other=one_of(config["external"] or ["none"]),
    task=one_of(config["tasks"]),
    scheme=one_of(config["schemes"]),
    fold=r"\d+",
    seed=r"\d+",
    shard=r"\d{5}",
    features=one_of(FROZEN) or "none",
    images=NEW_IMAGES_NAME,
    choice="auto|imagenet",


# Everything: tables, figures and maps of every run.
rule all:
    default_target: True
    input:
        "results/run_config.yaml",
        f"results/{config['dataset']}/index/quarantine.csv",
        run_files(config["dataset"]),
        f"results/{config['dataset']}/audit/duplicates.png",
        f"results/{config['dataset']}/audit/label_conflicts.png",
        external_predictions(config["dataset"]),
        f"results/{config['dataset']}/audit/verdict.md",
        map_method_files(config["dataset"]),
        f"results/{config['dataset']}/tables/metrics.csv",
        f"results/{config['dataset']}/tables/summary.csv",
        f"results/{config['dataset']}/tables/comparisons.csv",
        f"results/{config['dataset']}/figures/accuracy.png",
        run_figures(config["dataset"]),
        f"results/{config['dataset']}/report/index.html",
    message:
        f"All results of {config['dataset']}"


onsuccess:
    show_summary(f"results/{config['dataset']}/tables/summary.csv")
    show_verdict(f"results/{config['dataset']}/audit/verdict.json")
    show_starting_weights(f"results/{config['dataset']}/audit/verdict.json")
    show_report(f"results/{config['dataset']}/report/index.html")
    show_predictions(new_images_page())
