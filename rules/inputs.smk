# Which files and settings belong to a job: the input and param functions of all rules.

FIGURES = ("history", "confusion", "roc", "precision_recall", "reliability")


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
        for run in runs(
            wildcards.dataset,
            getattr(wildcards, "task", task),
            getattr(wildcards, "scheme", scheme),
        )
    ]


def cache_shards(wildcards):
    """All cache files of the data set."""
    return [f"results/{wildcards.dataset}/cache/shard-{shard}.parquet" for shard in SHARDS]


def drawn_phantoms(wildcards):
    """Table of the phantoms, where the data set is drawn by us."""
    return rules.phantoms.output.table if SETTINGS["kind"] == "phantom" else []


def metadata_tables(wildcards):
    """The database's own tables (<class>.metadata.xlsx), where there are any."""
    if SETTINGS["kind"] != "class_folders":
        return []
    return sorted(
        str(path) for path in datasets.find_root(SETTINGS["root"]).glob("*.metadata.xlsx")
    )


def scheme_design(wildcards):
    """What decides one fold. Not the number of repeats: another one leaves those there untouched."""
    scheme = config["schemes"][wildcards.scheme]
    return {key: scheme[key] for key in sorted(scheme) if key not in ("train", "repeats")}


WEIGHTS = config["model"]["weights"]
# Here, not in the input function below, whose faults Snakemake shows with a traceback.
if WEIGHTS not in ("random", "imagenet") and not Path(WEIGHTS).is_file():
    raise WorkflowError(
        f"model.weights: the file {WEIGHTS!r} does not exist (looked from {Path.cwd()}). Correct "
        "the path, or set model.weights to random or imagenet."
    )


def pretrained_weights(wildcards):
    """File of pretrained weights, where the configuration wants any."""
    if WEIGHTS == "random":
        return []
    if WEIGHTS == "imagenet":
        return expand(rules.weights.output, architecture=config["model"]["architecture"])
    return WEIGHTS


def gpus(wildcards):
    """GPUs that a job asks for: one, but none if this machine has none and runs the jobs itself.

    Otherwise `--resources gpu=1` would let jobs wait for each other for a GPU that is not there.
    """
    device = config["compute"]["device"]
    if device == "auto":
        return 0 if workflow.local_exec and not has_gpu() else 1
    return int(device == "cuda")


def training_memory_mb(wildcards):
    """Pixels in memory once, plus PyTorch and the activations of a batch."""
    size = config["image"]["size"]
    batch = configuration.train_settings(config, wildcards.task, wildcards.scheme)["batch_size"]
    # A ResNet18 keeps about 25 MB of activations and gradients for an image of 224 pixels.
    return int(2000 + (len(IMAGES) * size**2) / 2**20 + batch * 25 * (size / 224) ** 2)


def run_figures(dataset):
    """Figures of every task and scheme."""
    return expand(
        "results/{dataset}/figures/{figure}-{task}-{scheme}.png",
        dataset=dataset,
        figure=FIGURES,
        task=config["tasks"],
        scheme=config["schemes"],
    )


def show_summary(table):
    """Print the headline of a finished run."""
    if not Path(table).exists():
        return
    with open(table, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    print(f"\nTest accuracy, all runs of a design together (95 % interval), from {table}:")
    for row in rows:
        print(
            f"  {row['task']:<14} {row['scheme']:<18} {float(row['pooled_accuracy']):.3f} "
            f"({float(row['pooled_accuracy_low']):.3f} to {float(row['pooled_accuracy_high']):.3f}), "
            f"n = {row['pooled_n']} in {row['n_runs']} run{'s' * (row['n_runs'] != '1')}"
        )


def run_files(dataset):
    """What every run leaves; named in `all`, so that a lost file is made again."""
    patterns = [
        *rules.train.output,
        *rules.predict.output,
        *rules.evaluate.output,
        *rules.cam.output,
    ]
    return [str(pattern).format(**run) for run in runs(dataset) for pattern in patterns]
