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
for weights in {model["weights"] for model in MODELS.values()} - {"auto", "random", "imagenet"}:
    if not Path(weights).is_file():
        raise WorkflowError(
            f"model.weights: the file {weights!r} does not exist (looked from {Path.cwd()}). "
            "Correct the path, or set model.weights to auto, imagenet or random."
        )


def pretrained_weights(wildcards):
    """File of pretrained weights, where the configuration wants any."""
    return weights_of(MODELS[wildcards.scheme])


def weights_of(model):
    """File of pretrained weights of some settings of `model`."""
    if model["weights"] == "random":
        return []
    if model["weights"] in ("auto", "imagenet"):
        file = rules.weights.output[0]
        return filled(file, architecture=model["architecture"], choice=model["weights"])
    return model["weights"]


def recipes_of(task, scheme):
    """What of the recipes a training may look at, by the weights that it may start from."""
    train = configuration.train_settings(config, task, scheme)
    return used_recipes(MODELS[scheme], train, config["recipes"])


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


def run_figures(dataset):
    """Figures of every task and scheme."""
    return [
        f"results/{dataset}/figures/{figure}-{task}-{scheme}.png"
        for task, scheme in configuration.experiments(config)
        for figure in FIGURES
    ]


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


def headline_folds():
    """First seed of all folds of the design that the verdict judges."""
    run = headline_run()
    folds = configuration.fold_count(config, run["scheme"])
    return [{**run, "fold": fold} for fold in range(1, folds + 1)]


def of_headline_folds(pattern):
    """Input function: one file a fold of the design that the verdict judges."""
    return lambda wildcards: [
        filled(pattern, dataset=wildcards.dataset, **run) for run in headline_folds()
    ]


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
