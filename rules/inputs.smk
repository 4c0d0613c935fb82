# Which files and settings belong to a job: the input and param functions of all rules.

DESIGNS = find_designs(config)  # parts that the schemes play in the paper
FIGURES = ("history", "confusion", "roc", "precision_recall", "reliability")


def runs(dataset, task="*", scheme="*"):
    """Wildcards of all training runs of the configuration, in its order."""
    return [
        {"dataset": dataset, "task": t, "scheme": s, "fold": fold, "seed": seed}
        for t, s in configuration.experiments(config)
        if task in ("*", t) and scheme in ("*", s)
        for fold in range(1, configuration.fold_count(config, s) + 1)
        for seed in config["seeds"]
    ]


def of_runs(pattern, task="*", scheme="*"):
    """Input function: one file a run."""
    return lambda wildcards: [
        filled(pattern, **run)
        for run in runs(
            wildcards.dataset,
            getattr(wildcards, "task", task),
            getattr(wildcards, "scheme", scheme),
        )
    ]


def of_shards(pattern, dataset):
    """One file a shard of a data set."""
    return [filled(pattern, dataset=dataset, shard=shard) for shard in DATA_SETS[dataset].shards]


def cache_shards(wildcards):
    """All cache files of the data set."""
    return of_shards(rules.cache.output.shard, wildcards.dataset)


def decoded_facts(wildcards):
    """What decoding told of the images of the data set."""
    return of_shards(rules.cache.output.facts, wildcards.dataset)


def shard_fingerprint(wildcards):
    """Hash over names, sizes and times of the images of a shard."""
    return DATA_SETS[wildcards.dataset].shard_fingerprints[int(wildcards.shard)]


def phantom_root(wildcards):
    """Folder of the phantoms of a data set, which real ones do not have."""
    return str(DATA_SETS[wildcards.dataset].phantom_root)


def drawn_phantoms(wildcards):
    """Table of the phantoms, where the data set is drawn by us."""
    is_drawn = DATA_SETS[wildcards.dataset].settings["kind"] == "phantom"
    return rules.phantoms.output.table if is_drawn else []


def metadata_tables(wildcards):
    """The database's own tables (<class>.metadata.xlsx), where there are any."""
    settings = DATA_SETS[wildcards.dataset].settings
    if settings["kind"] != "class_folders":
        return []
    return sorted(
        str(path) for path in datasets.find_root(settings["root"]).glob("*.metadata.xlsx")
    )


def expected_table(wildcards):
    """Comparison with what the data set ought to hold, where the configuration says what."""
    expected = DATA_SETS[wildcards.dataset].settings.get("expected", {})
    return rules.expected.output[0] if any(expected.values()) else []


def design_of(scheme):
    """What decides a division. Not the number of repeats: another one leaves those there untouched."""
    name, design = configuration.division(config, scheme)
    return {
        "name": name,
        "design": {
            key: design[key]
            for key in sorted(design)
            if key not in ("train", "model", "repeats", "tasks", "shared_test_of")
        },
    }


def is_grouped(scheme):
    """Whether a scheme keeps patients and near-duplicates on one side of its divisions."""
    return bool(configuration.division(config, scheme)[1].get("grouped"))


def shared_test_design(scheme):
    """Design whose test part the sub-samples of a scheme must not draw from; {} if none."""
    _, design = configuration.division(config, scheme)
    return design_of(design["shared_test_of"]) if design.get("shared_test_of") else {}


MODELS = {scheme: configuration.model_settings(config, scheme) for scheme in config["schemes"]}
# Here, not in the input function below, whose faults Snakemake shows with a traceback.
for weights in {model["weights"] for model in MODELS.values()} - {"random", "imagenet"}:
    if not Path(weights).is_file():
        raise WorkflowError(
            f"model.weights: the file {weights!r} does not exist (looked from {Path.cwd()}). "
            "Correct the path, or set model.weights to random or imagenet."
        )


def pretrained_weights(wildcards):
    """File of pretrained weights, where the configuration wants any."""
    return weights_of(MODELS[wildcards.scheme])


def weights_of(model):
    """File of pretrained weights of some settings of `model`."""
    if model["weights"] == "random":
        return []
    if model["weights"] == "imagenet":
        return [filled(rules.weights.output[0], architecture=model["architecture"])]
    return model["weights"]


def frozen_layers(task, scheme):
    """Key and settings of the features that a training needs; None where it freezes nothing."""
    until = configuration.train_settings(config, task, scheme)["freeze_until"]
    if until is None:
        return None
    settings = {**MODELS[scheme], "freeze_until": until}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    return f"{settings['architecture']}-{until}-{digest}", settings


# Runs that freeze the same layers of the same weights share their features.
FROZEN = dict(filter(None, (frozen_layers(*e) for e in configuration.experiments(config))))


def frozen_features(wildcards):
    """Feature files of a training, where it freezes layers."""
    frozen = frozen_layers(wildcards.task, wildcards.scheme)
    if frozen is None:
        return []
    return [
        filled(rules.features.output[0], dataset=wildcards.dataset, features=frozen[0], shard=shard)
        for shard in DATA_SETS[wildcards.dataset].shards
    ]


def feature_weights(wildcards):
    """File of the weights whose early layers stay as they are."""
    return weights_of(FROZEN[wildcards.features])


def lung_masks(wildcards):
    """Masks of the data set, where the networks of a scheme see the lungs only, or all but them."""
    part = configuration.input_part(config, wildcards.scheme)
    return rules.masks.output[0] if part in configuration.LUNG_INPUTS else []


def gpus(wildcards):
    """GPUs that a job asks for: one, but none if this machine has none and runs the jobs itself.

    Otherwise `--resources gpu=1` would let jobs wait for each other for a GPU that is not there.
    """
    device = config["compute"]["device"]
    if device == "auto":
        return 0 if workflow.local_exec and not has_gpu() else 1
    return int(device == "cuda")


def processes(wildcards):
    """Processes that share a training: one a GPU."""
    return configuration.train_settings(config, wildcards.task, wildcards.scheme)["gpus"]


def divisions():
    """Every split that is drawn: task, scheme and fold; schemes that take another's are left out."""
    return [
        {"task": task, "scheme": scheme, "fold": fold}
        for task, scheme in configuration.experiments(config)
        if configuration.division(config, scheme)[0] == scheme
        for fold in range(1, configuration.fold_count(config, scheme) + 1)
    ]


def covered_designs():
    """What schemes trained on covered images see, and the scheme of the same images uncovered."""
    return {
        scheme: {"of": settings["of"], "input": settings["input"]}
        for scheme, settings in config["schemes"].items()
        if configuration.input_part(config, scheme) != configuration.WHOLE
    }


def floors_of_run(wildcards):
    """Floors of the split of a run, which may be that of another scheme."""
    base = configuration.division(config, wildcards.scheme)[0]
    return filled(rules.audit_floors.output[0], **{**wildcards, "scheme": base})


def headline_design():
    """Task and scheme of the number that the verdict judges: the honest one, else the first."""
    task, scheme = configuration.experiments(config)[0]
    honest = DESIGNS.honest
    if honest and (task, honest) in configuration.experiments(config):
        scheme = honest
    return {"task": task, "scheme": scheme}


def growing(amount):
    """MB of memory or minutes of a job; a retry asks for as much again."""
    return lambda wildcards, attempt: amount * attempt


def decoding_memory_mb(wildcards, attempt):
    """Pixels of a shard in several states, plus Python and the Snakemake around a cluster's job."""
    pixels = config["image"]["shard_images"] * config["image"]["size"] ** 2
    return attempt * (1000 + 4 * pixels // 2**20)


def search_memory_mb(*data_sets):
    """Thumbnails of the images, twice again as they are compared, and their names and sums."""
    n_images = sum(len(DATA_SETS[name].images) for name in data_sets)
    return int(3000 + 4.5 * n_images / 1000)


def audit_memory_mb(wildcards, attempt):
    """A KiB of facts an image; features and forests of as many as are drawn of them at most."""
    n_images = len(DATA_SETS[wildcards.dataset].images)
    return attempt * int(1500 + n_images / 1000 + min(n_images, 50_000) / 20)


def shard_features_mb(wildcards, attempt):
    """Pixels of a shard, and what frozen layers give of them (0.8 MB an image of 224, twice)."""
    n_images = min(len(DATA_SETS[wildcards.dataset].images), config["image"]["shard_images"])
    return attempt * int(2000 + 1.6 * n_images * (config["image"]["size"] / 224) ** 2)


def pixel_memory_mb(n_images):
    """Pixels of the two largest parts of a split, as far as they are not left on the disk."""
    pixels = n_images * config["image"]["size"] ** 2 / 2**20
    return min(pixels, 2 * config["compute"]["pixel_memory_mb"])


def training_memory_mb(wildcards, attempt):
    """Pixels in memory once, plus PyTorch and the activations of a batch; a retry asks for more."""
    size = config["image"]["size"]
    batch = configuration.train_settings(config, wildcards.task, wildcards.scheme)["batch_size"]
    n_images = len(DATA_SETS[wildcards.get("other", wildcards.dataset)].images)
    # A ResNet18 keeps about 25 MB of activations and gradients for an image of 224 pixels.
    return attempt * int(2000 + pixel_memory_mb(n_images) + batch * 25 * (size / 224) ** 2)


def fitting_memory_mb(wildcards, input, attempt):
    """As `training_memory_mb`; where layers are frozen, their features are read, then joined.

    Each of several processes holds everything.
    """
    features = sum(Path(file).stat().st_size for file in input.get("features") or [])
    one = training_memory_mb(wildcards, attempt) + attempt * int(2 * features / 2**20)
    return processes(wildcards) * one


def export_memory_mb(wildcards, input, attempt):
    """The network several times over, PyTorch's exporter and onnxruntime; a retry asks for more."""
    return attempt * int(3000 + 10 * Path(input.model).stat().st_size / 2**20)


def run_figures(dataset):
    """Figures of every task and scheme."""
    return [
        f"results/{dataset}/figures/{figure}-{task}-{scheme}.png"
        for task, scheme in configuration.experiments(config)
        for figure in FIGURES
    ]


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


def show_verdict(file):
    """Print the sentence of the audit under the headline."""
    if Path(file).exists():
        verdict = json.loads(Path(file).read_text(encoding="utf-8"))
        print(f"\nCan it be believed? {verdict['sentence']}\nEach check: {file[:-4]}md")


def show_report(page):
    """Say where all results can be looked at."""
    if Path(page).exists():
        print(f"\nAll results on one page: {page}")


def external_overlaps(wildcards):
    """Images that the data set shares with each external one."""
    return [
        filled(rules.external_overlap.output[0], dataset=wildcards.dataset, other=other)
        for other in config["external"]
    ]


def external_indexes(wildcards):
    """Index of each external data set."""
    return [filled(rules.index.output.images, dataset=other) for other in config["external"]]


def external_shards(wildcards):
    """Cache files of the external data sets, one set after the other."""
    return [
        shard
        for other in config["external"]
        for shard in of_shards(rules.cache.output.shard, other)
    ]


def external_tests(dataset):
    """Every run on every external data set, with the classes that the set lacks for it.

    Networks that were trained on covered images are experiments, not what would be used elsewhere.
    """
    return [
        {
            **run,
            "data_set": other,
            "missing": configuration.missing_classes(
                config, run["task"], DATA_SETS[other].class_sizes
            ),
        }
        for other in config["external"]
        for run in runs(dataset)
        if configuration.input_part(config, run["scheme"]) == configuration.WHOLE
    ]


def external_predictions(dataset):
    """What the models say of external images, where all their classes are there."""
    return [
        filled(rules.external_predict.output[0], other=test["data_set"], **test)
        for test in external_tests(dataset)
        if not test["missing"]
    ]


def external_table(wildcards):
    """Results on external data, where the configuration names any."""
    return rules.external_table.output[0] if config["external"] else []


def run_files(dataset):
    """What every run leaves; named in `all`, so that a lost file is made again."""
    patterns = [
        *rules.audit_run.output,
        *rules.train.output,
        *rules.predict_run.output,
        *rules.evaluate.output,
        *rules.cam.output,
    ]
    return [
        *(filled(pattern, **run) for run in runs(dataset) for pattern in patterns),
        *(filled(rules.audit_explanations.output[0], **run) for run in explained_runs(dataset)),
    ]


def split_files(dataset):
    """Divisions of the images, one a run."""
    return [filled(rules.splits.output[0], **run) for run in runs(dataset)]


def explained_runs(dataset):
    """Runs whose maps are tested: the first fold and seed of each design, as it takes time."""
    return [run for run in runs(dataset) if run["fold"] == 1 and run["seed"] == config["seeds"][0]]


def of_explained_runs(pattern):
    """Input function: one file a design."""
    return lambda wildcards: [filled(pattern, **run) for run in explained_runs(wildcards.dataset)]


def headline_run():
    """First fold and seed of the design that the verdict judges."""
    return {"fold": 1, "seed": config["seeds"][0], **headline_design()}


def of_headline_run(pattern):
    """Input function: the file of the first fold and seed of the design that the verdict judges."""
    return lambda wildcards: filled(pattern, dataset=wildcards.dataset, **headline_run())


def map_method_files(dataset):
    """Comparison of ways to make a map, where the configuration asks for any."""
    files = [rules.map_methods.output.table, rules.map_methods.output.figure]
    return [filled(file, dataset=dataset) for file in files if config["audit"]["map_methods"]]


def map_method_figure(wildcards):
    """Maps of several methods side by side, where the configuration asks for any."""
    return rules.map_methods.output.figure if config["audit"]["map_methods"] else []


def design_figures(wildcards):
    """Figures of every task and scheme, as the report shows them."""
    return [file.replace(".png", ".svg") for file in run_figures(wildcards.dataset)]


def main_run(task):
    """Run of a task that pictures are taken from: the complete set, first fold and seed."""
    schemes = [scheme for t, scheme in configuration.experiments(config) if t == task]
    scheme = DESIGNS.complete if DESIGNS.complete in schemes else schemes[0]
    return {
        "dataset": config["dataset"],
        "task": task,
        "scheme": scheme,
        "fold": 1,
        "seed": config["seeds"][0],
    }


def of_main_runs(pattern):
    """One file a task, of its main run."""
    return [filled(pattern, **main_run(task)) for task in config["tasks"]]


def network_runs(dataset):
    """Runs whose networks are compared: same divisions as the complete set, one recipe."""
    schemes = [
        name
        for name, scheme in config["schemes"].items()
        if name == DESIGNS.complete
        or (
            scheme.get("of") == DESIGNS.complete
            and name not in DESIGNS.recipes
            and configuration.input_part(config, name) == configuration.WHOLE
        )
    ]
    return [run for run in runs(dataset) if run["scheme"] in schemes]


# Images that `predict_images` names, and whose networks answer.
NEW_IMAGES = (
    checked(new_images.list_new_images, config["predict_images"])
    if config["predict_images"]
    else []
)
NEW_IMAGES_NAME = (
    new_images.folder_name(config["predict_images"]) if config["predict_images"] else "none"
)
ANSWERING = configuration.design_for_new_images(
    config, headline_design(), configuration.experiments(config)
)
if (
    NEW_IMAGES
    and configuration.input_part(config, ANSWERING["scheme"]) in configuration.LUNG_INPUTS
):
    raise WorkflowError(
        f"predict_images: the networks of {ANSWERING['scheme']} need a lung mask of every image, "
        "which new images do not have: name another scheme as predict.scheme."
    )
# A file that nobody makes: Snakemake names it when it refuses, before any job, to predict nothing.
NO_NEW_IMAGES = (
    "predict_images (it names no image yet; say which, as in: "
    "snakemake predict --config predict_images=FOLDER)"
)


def new_images_page():
    """Page of the new images, where there are any."""
    if not NEW_IMAGES:
        return []
    return f"results/{config['dataset']}/predict/{NEW_IMAGES_NAME}/index.html"


def answering_runs(dataset):
    """Folds and seeds of the design that answers for new images."""
    return runs(dataset, **ANSWERING)


def of_answering_runs(pattern):
    """Input function: one file a run of the design that answers for new images."""
    return lambda wildcards: [pattern.format(**run) for run in answering_runs(wildcards.dataset)]


def named_in_words(named):
    """What `predict_images` names, for readers."""
    return named if isinstance(named, str) else ", ".join(named or [])


def show_predictions(page):
    """Say where the answers for new images can be looked at."""
    if page and Path(page).exists():
        print(f"\nAnswers for {len(NEW_IMAGES)} new images (research use only): {page}")
