# What the networks look at, and where they are wrong.
#
# in   index, splits, cache, runs/.../{predictions.parquet, covered.parquet, features.parquet, maps.parquet, model.safetensors}
# out  audit/: subgroups.{csv,png}, slices.{csv,html}; <task>/<scheme>/fold-<k>/seed-<s>/: maps.json, masked.csv; of the
#      first fold and seed of a design map_tests.json; of the first seed of the headline probes.csv;
#      map_methods.csv and .png, where other ways to make a map are asked for


rule audit_run:
    input:
        predictions=rules.predict_run.output.predictions,
        covered=rules.predict_run.output.covered,
        maps=rules.predict_run.output.maps,
        split=rules.splits.output[0],
        masks=rules.masks.output[0],
    output:
        masked=f"results/{AUDIT}/masked.csv",
        maps=f"results/{AUDIT}/maps.json",
    log:
        f"results/logs/{AUDIT}/run.log",
    benchmark:
        f"results/benchmarks/{AUDIT}/run.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("audit_run.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        input_part=lambda wildcards: configuration.input_part(config, wildcards.scheme),
    message:
        "Auditing {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/audit_run.py"


rule audit_explanations:
    input:
        model=of_network(rules.train.output.model),
        predictions=rules.predict_run.output.predictions,
        split=rules.splits.output[0],
        shards=cache_shards,
        masks=lung_masks,
    output:
        f"results/{AUDIT}/map_tests.json",
    log:
        f"results/logs/{AUDIT}/explanations.log",
    benchmark:
        f"results/benchmarks/{AUDIT}/explanations.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=training_memory_mb, runtime=60),
        gpu=gpus,
    params:
        code=code("audit_explanations.py"),
        finding=lambda wildcards: STUDY.findings.get(wildcards.task, {}),
        explanation_images=config["audit"]["explanation_images"],
        precision=config["compute"]["precision"],
    message:
        "Testing the maps of {wildcards.task}/{wildcards.scheme}"
    script:
        "../workflow_scripts/audit_explanations.py"


rule audit_map_methods:
    input:
        model=of_network(rules.train.output.model),
        predictions=rules.predict_run.output.predictions,
        split=rules.splits.output[0],
        shards=cache_shards,
        masks=rules.masks.output[0],
    output:
        scores=f"results/{AUDIT}/map_methods.json",
        maps=f"results/{AUDIT}/map_methods.parquet",
    log:
        f"results/logs/{AUDIT}/map_methods.log",
    benchmark:
        f"results/benchmarks/{AUDIT}/map_methods.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=training_memory_mb, runtime=240),
        gpu=gpus,
    params:
        code=code("audit_map_methods.py"),
        finding=lambda wildcards: STUDY.findings.get(wildcards.task, {}),
        explanation_images=config["audit"]["explanation_images"],
        methods=config["audit"]["map_methods"],
    message:
        "Testing other maps of {wildcards.task}/{wildcards.scheme}"
    script:
        "../workflow_scripts/audit_map_methods.py"


rule map_methods:
    input:
        scores=of_runs(rules.audit_map_methods.output.scores, STUDY.explained_runs),
        maps=of_run(rules.audit_map_methods.output.maps, STUDY.headline_run),
        predictions=of_run(rules.predict_run.output.predictions, STUDY.headline_run),
        images=rules.index.output.images,
    output:
        table="results/{dataset}/audit/map_methods.csv",
        figure=report(
            "results/{dataset}/audit/map_methods.png",
            caption="captions/map_methods.rst",
            category="Maps",
            labels={"class": "all", "fold": "1", "seed": "first"},
        ),
    log:
        f"{LOG}/audit/map_methods.log",
    benchmark:
        f"{BENCHMARK}/audit/map_methods.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("map_methods.py"),
        runs=STUDY.explained_runs,
        shown=STUDY.headline,
        classes=STUDY.classes[STUDY.headline["task"]],
        max_pixels=config["image"]["max_pixels"],
    message:
        "Comparing ways to make a map"
    script:
        "../workflow_scripts/map_methods.py"


rule audit_probes:
    input:
        predictions=rules.predict_run.output.predictions,
        features=rules.predict_run.output.features,
        split=rules.splits.output[0],
        images=rules.index.output.images,
        columns=rules.audit_data.output.columns,
        # For the features before the training.
        model=rules.train.output.model,
        weights=lambda wildcards: weights_of(STUDY.models[wildcards.scheme]),
        shards=cache_shards,
        masks=lung_masks,
    output:
        f"results/{AUDIT}/probes.csv",
    log:
        f"results/logs/{AUDIT}/probes.log",
    benchmark:
        f"results/benchmarks/{AUDIT}/probes.tsv"
    wildcard_constraints:
        task=one_of(config["tasks"]),
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=training_memory_mb, runtime=60),
        gpu=gpus,
    params:
        code=code("audit_probes.py"),
        tasks=STUDY.headline_tasks,
        findings=STUDY.headline["task"] in STUDY.findings,
        names=STUDY.outputs(STUDY.network_of(STUDY.headline["task"])),
    message:
        "Looking for traits in what decides {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}"
    script:
        "../workflow_scripts/audit_probes.py"


rule audit_subgroups:
    input:
        predictions=of_runs(rules.predict_run.output.predictions, STUDY.headline_networks),
        splits=of_runs(rules.splits.output[0], STUDY.headline_networks),
        images=rules.index.output.images,
    output:
        table=in_report("results/{dataset}/audit/subgroups.csv", "Numbers", table="every subgroup"),
        figure=report(
            "results/{dataset}/audit/subgroups.png",
            caption="captions/subgroups.rst",
            category="Figures",
            labels={"figure": "subgroups"},
        ),
    log:
        f"{LOG}/audit/subgroups.log",
    benchmark:
        f"{BENCHMARK}/audit/subgroups.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("audit_subgroups.py"),
        runs=STUDY.headline_networks,
        findings=STUDY.headline["task"] in STUDY.findings,
        names=STUDY.outputs(STUDY.network_of(STUDY.headline["task"])),
        settings={key: config["audit"][key] for key in ("subgroups", "small_groups")},
    message:
        "Looking at the subgroups of {wildcards.dataset}"
    script:
        "../workflow_scripts/audit_subgroups.py"


rule audit_slices:
    input:
        predictions=of_runs(rules.predict_run.output.predictions, STUDY.sliced_runs),
        features=of_runs(rules.predict_run.output.features, STUDY.sliced_runs),
        splits=of_runs(rules.splits.output[0], STUDY.sliced_runs),
        images=rules.index.output.images,
        shards=cache_shards,
    output:
        table="results/{dataset}/audit/slices.csv",
        page="results/{dataset}/audit/slices.html",
    log:
        f"{LOG}/audit/slices.log",
    benchmark:
        f"{BENCHMARK}/audit/slices.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=by_images(amounts.suspects_memory_mb), runtime=30),
    params:
        code=code("audit_slices.py"),
        templates=page_templates("slices.html"),
        is_drawn=drawn_here,
        runs=STUDY.sliced_runs,
        headline=STUDY.headline,
        names=STUDY.classes[STUDY.headline["task"]],
    message:
        "Looking for images of {wildcards.dataset} on which the network is wrong together"
    script:
        "../workflow_scripts/audit_slices.py"
