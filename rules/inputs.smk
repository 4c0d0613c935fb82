# Which files belong to a job: input functions of all rules. Which runs there are, and what part
# each plays, the study tells: workflow_scripts/cxrcam/study/study.py.

FIGURES = ("history", "confusion", "roc", "precision_recall", "reliability")


# --- runs -----------------------------------------------------------------------------------------


def file_of(pattern, wildcards, **others):
    """File of a run; those of a network that answers several tasks lie below the task of the network."""
    run = {**wildcards, **others}
    if pattern in (*rules.train.output, rules.predict_run.output.features):
        run["task"] = STUDY.network_of(run["task"])
    return filled(pattern, **run)


def of_network(pattern):
    """Input function: a file of the network that answers the task of a job."""
    return lambda wildcards: file_of(pattern, wildcards)


def of_runs(pattern, runs=STUDY.runs):
    """Input function: one file a run."""
    return lambda wildcards: [file_of(pattern, run, dataset=wildcards.dataset) for run in runs]


def of_run(pattern, run):
    """Input function: the file of one run."""
    return lambda wildcards: file_of(pattern, run, dataset=wildcards.dataset)


def of_design(pattern):
    """Input function: one file a run of the job's task and scheme."""
    return lambda wildcards: [
        file_of(pattern, run) for run in STUDY.runs_of(wildcards.task, wildcards.scheme)
    ]


def run_files():
    """What every run leaves."""
    by_run = (rules.audit_run, rules.train, rules.predict_run, rules.evaluate, rules.cam)
    patterns = [pattern for rule in by_run for pattern in rule.output]
    return [
        *dict.fromkeys(file_of(pattern, run) for run in STUDY.runs for pattern in patterns),
        *(filled(rules.audit_explanations.output[0], **run) for run in STUDY.explained_runs),
        *(
            file_of(rules.audit_probes.output[0], run, dataset=config["dataset"])
            for run in STUDY.probed_runs
        ),
    ]


def design_files():
    """Figures of every task and scheme."""
    return [
        filled(pattern, dataset=config["dataset"], **design)
        for design in STUDY.designs
        for pattern in rules.figures.output
    ]


def study_files(*of_rules):
    """All outputs of rules that run once a study."""
    return [
        filled(pattern, dataset=config["dataset"]) for rule in of_rules for pattern in rule.output
    ]


def split_files():
    """Divisions of the images, one a run."""
    return [filled(rules.splits.output[0], **run) for run in STUDY.runs]


def floors_of_run(wildcards):
    """Floors of the split of a run, which may be that of another scheme."""
    base = STUDY.base_scheme(wildcards.scheme)
    return filled(rules.audit_floors.output[0], **{**wildcards, "scheme": base})


def of_findings(pattern, each_finding=False, of_division=False):
    """Input function: a file a run of networks with several findings, or one a run and finding.

    What belongs to a division, whatever its networks, may be that of another scheme.
    """
    return lambda wildcards: [
        filled(pattern, dataset=wildcards.dataset, task=task, scheme=scheme, **run)
        for design in STUDY.findings_designs
        for scheme in [STUDY.base_scheme(design["scheme"]) if of_division else design["scheme"]]
        for run in design["runs"]
        for task in (design["questions"] if each_finding else [design["task"]])
    ]


def floors_of_findings(wildcards):
    """Floors of each finding, of all runs of networks with several."""
    floors = of_findings(rules.audit_floors.output[0], each_finding=True, of_division=True)
    return floors(wildcards)


def findings_table(wildcards):
    """Table of all findings, where networks have several."""
    return filled(rules.findings.output[0], dataset=wildcards.dataset) if STUDY.findings else []


# --- the paper ------------------------------------------------------------------------------------

PAPER = "results/{dataset}/paper"


def paper_files(names, kinds):
    """Files of elements of the paper; pictures and CSV tables go into Snakemake's own report too."""
    shown = lambda file: report(
        file,
        caption="captions/paper.rst",
        category="The paper",
        labels={"element": Path(file).stem.replace("_", " ")},
    )
    files = [f"{PAPER}/{name}.{kind}" for name in names for kind in kinds]
    return [shown(file) if file.endswith((".png", ".csv")) else file for file in files]


# --- images ---------------------------------------------------------------------------------------


def of_shards(pattern, *data_sets, **others):
    """One file a shard, of one data set after the other."""
    return [
        filled(pattern, dataset=name, shard=shard, **others)
        for name in data_sets
        for shard in STUDY.data_sets[name].shards
    ]


def cache_shards(wildcards):
    """All cache files of the data set."""
    return of_shards(rules.cache.output.shard, wildcards.dataset)


def decoded_facts(wildcards):
    """What decoding told of the images of the data set."""
    return of_shards(rules.cache.output.facts, wildcards.dataset)


def drawn_phantoms(wildcards):
    """Tables of the phantoms, where the data set, or one of a union, is drawn by us."""
    drawn = drawn_parts(config["datasets"], wildcards.dataset)
    return [filled(rules.phantoms.output.table, dataset=name) for name in drawn]


def sources_listing(wildcards):
    """Listing of the data set, where a scheme leaves out one source after the other."""
    leaves_out = STUDY.base_scheme(wildcards.scheme) in STUDY.held_out
    return rules.listing.output[0] if leaves_out else []


def patient_key(wildcards):
    """Key of the hashes by which patients of DICOM files are known, where there can be some."""
    return rules.patient_key.output[0] if listed(wildcards).may_hold_dicom else []


def metadata_tables(wildcards):
    """The database's own tables (<class>.metadata.xlsx), where there are any."""
    return listed(wildcards).metadata_tables


def not_copies(wildcards):
    """Table of pairs that a reader found to be no copies, where the configuration names one."""
    return listed(wildcards).not_copies


def expected_table(wildcards):
    """Comparison with what the data set ought to hold, where the configuration says what."""
    expected = listed(wildcards).settings.get("expected", {})
    return rules.expected.output[0] if any(expected.values()) else []


def lung_masks(wildcards):
    """Masks of the data set, where the networks of a scheme see the lungs only, or all but them."""
    return rules.masks.output[0] if STUDY.needs_lung_masks(wildcards.scheme) else []


def sources_of_training(wildcards):
    """Index of the data set, where classes are balanced within its sources."""
    settings = configuration.train_settings(config, wildcards.task, wildcards.scheme)
    within = settings["sampling"] == "balanced_within_sources"
    return rules.index.output.images if within else []


# --- weights --------------------------------------------------------------------------------------


def weights_of(model):
    """File of pretrained weights of some settings of `model`; [] for random ones."""
    weights = model["weights"]
    if weights not in ("auto", "imagenet"):
        return [] if weights == "random" else weights
    return filled(rules.weights.output[0], architecture=model["architecture"], choice=weights)


def weights_stamp(*models):
    """Param that tells whether the user's own file of weights, or timm, was replaced."""
    files = [model["weights"] for model in models]
    stamps = stamp_files(file for file in files if file not in ("auto", "imagenet", "random"))
    with_timm = any(model["architecture"].startswith("timm:") for model in models)
    return [stamps, f"timm {metadata.version('timm')}"] if with_timm else stamps


def frozen_features(wildcards):
    """Feature files of a training, where it freezes layers."""
    frozen = STUDY.frozen_layers(wildcards.task, wildcards.scheme)
    if frozen is None:
        return []
    return of_shards(rules.features.output[0], wildcards.dataset, features=frozen[0])


def start_files(wildcards):
    """File of each scheme whose networks do not start from random weights, in the study's order."""
    files = [weights_of(STUDY.models[scheme]) for scheme in STUDY.starts]
    return [file for file in files if file]


# --- external data sets: tested on, never trained on ----------------------------------------------


def external_of(wildcards):
    """The external data sets, for the one that is trained on."""
    return config["external"] if wildcards.dataset == config["dataset"] else []


def external_overlaps(wildcards):
    """Images that the data set shares with each external one."""
    pattern = rules.external_overlap.output[0]
    others = external_of(wildcards)
    return [filled(pattern, dataset=wildcards.dataset, other=name) for name in others]


def external_indexes(wildcards):
    """Index of each external data set."""
    return [filled(rules.index.output.images, dataset=name) for name in external_of(wildcards)]


def external_predictions():
    """What the models say of external images, where all their classes are there."""
    return [
        filled(rules.external_predict.output[0], other=test["data_set"], **test)
        for test in STUDY.external_tests
        if not test["missing"]
    ]


# --- new images -----------------------------------------------------------------------------------


def of_answering(pattern):
    """Input function: a file a run of the answering design, for the finding of a job."""
    return lambda wildcards: [
        file_of(pattern, run) for run in STUDY.runs_of(wildcards.task, STUDY.answering["scheme"])
    ]


NAMED = config["predict_images"]
NEW_IMAGES = checked(new_images.list_new_images, NAMED) if NAMED else []
NEW_IMAGES_NAME = new_images.folder_name(NAMED) if NAMED else "none"
NEW_IMAGES_PAGE = f"results/{config['dataset']}/predict/{NEW_IMAGES_NAME}/" + (
    "findings.html" if STUDY.answering_findings else "index.html"
)
# A file that nobody makes: Snakemake names it when it refuses, before any job, to predict nothing.
NO_NEW_IMAGES = (
    "predict_images (it names no image yet; say which, as in: "
    "snakemake predict --config predict_images=FOLDER)"
)
