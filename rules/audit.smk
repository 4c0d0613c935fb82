# Whether the numbers can be believed.
#
# in   index, splits, cache, runs/.../{predictions.parquet, model.safetensors}, cam/.../maps.parquet, audit/.../covered.parquet,
#      audit/external.csv
# out  audit/: expected.csv, leaks.csv, duplicates.png, label_conflicts.png, sources.json, acquisition.json,
#      verdict.md; <task>/<scheme>/fold-<k>/: floors.parquet; seed-<s>/: maps.json, masked.csv, and of the
#      first fold and seed of a design map_tests.json;
#      map_methods.csv and .png, where other ways to make a map are asked for


rule expected:
    input:
        rules.index.output.images,
    output:
        "results/{dataset}/audit/expected.csv",
    log:
        f"{LOG}/audit/expected.log",
    benchmark:
        f"{BENCHMARK}/audit/expected.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("expected.py"),
        settings=lambda wildcards: DATA_SETS[wildcards.dataset].settings,
    message:
        "Comparing {wildcards.dataset} with what it ought to hold"
    script:
        "../workflow_scripts/expected.py"


rule audit_run:
    input:
        predictions=rules.predict_run.output.predictions,
        covered=rules.predict_run.output.covered,
        maps=rules.predict_run.output.maps,
        split=rules.splits.output[0],
        masks=rules.masks.output[0],
    output:
        masked=f"{AUDIT}/masked.csv",
        maps=f"{AUDIT}/maps.json",
    log:
        f"{log_folder(AUDIT)}/run.log",
    benchmark:
        f"{benchmark_folder(AUDIT)}/run.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code("audit_run.py"),
        classes=lambda wildcards: config["tasks"][wildcards.task]["classes"],
        input_part=lambda wildcards: configuration.input_part(config, wildcards.scheme),
    message:
        "Auditing {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/audit_run.py"


rule audit_leaks:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        splits=lambda wildcards: [
            filled(rules.splits.output[0], dataset=wildcards.dataset, **design)
            for design in divisions()
        ],
    output:
        report(
            "results/{dataset}/audit/leaks.csv",
            caption="captions/leaks.rst",
            category="Data",
            labels={"result": "twins across divisions"},
        ),
    log:
        f"{LOG}/audit/leaks.log",
    benchmark:
        f"{BENCHMARK}/audit/leaks.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("audit_leaks.py"),
        splits=[
            {**design, "grouped": config["schemes"][design["scheme"]].get("grouped", False)}
            for design in divisions()
        ],
    message:
        "Looking for twins across the splits"
    script:
        "../workflow_scripts/audit_leaks.py"


rule audit_duplicates:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        shards=cache_shards,
    output:
        png=report(
            "results/{dataset}/audit/duplicates.png",
            caption="captions/duplicates.rst",
            category="Data",
            labels={"result": "near-duplicates"},
        ),
        caption="results/{dataset}/audit/duplicates.txt",
    log:
        f"{LOG}/audit/duplicates.log",
    benchmark:
        f"{BENCHMARK}/audit/duplicates.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("audit_duplicates.py"),
        size=config["image"]["size"],
    message:
        "Drawing the near-duplicates of {wildcards.dataset}"
    script:
        "../workflow_scripts/audit_duplicates.py"


rule audit_label_conflicts:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        shards=cache_shards,
        overlaps=external_overlaps,
        external_images=external_indexes,
        external_shards=external_shards,
    output:
        png=report(
            "results/{dataset}/audit/label_conflicts.png",
            caption="captions/label_conflicts.rst",
            category="Data",
            labels={"result": "one picture under two labels"},
        ),
        caption="results/{dataset}/audit/label_conflicts.txt",
        table="results/{dataset}/audit/label_conflicts.csv",
    log:
        f"{LOG}/audit/label_conflicts.log",
    benchmark:
        f"{BENCHMARK}/audit/label_conflicts.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("audit_label_conflicts.py"),
        size=config["image"]["size"],
        external=config["external"],
    message:
        "Looking for pictures that bear two labels"
    script:
        "../workflow_scripts/audit_label_conflicts.py"


rule audit_data:
    input:
        images=rules.index.output.images,
        listing=rules.listing.output[0],
        shards=cache_shards,
    output:
        sources="results/{dataset}/audit/sources.json",
        acquisition="results/{dataset}/audit/acquisition.json",
        floors="results/{dataset}/audit/floors.csv",
    log:
        f"{LOG}/audit/data.log",
    benchmark:
        f"{BENCHMARK}/audit/data.tsv"
    conda:
        ENVIRONMENT
    # Eighty forests. Trees of few images are grown too quickly for threads to pay.
    threads: lambda wildcards: min(4, 1 + len(DATA_SETS[wildcards.dataset].images) // 5000)
    resources:
        mem_mb=audit_memory_mb,
        runtime=growing(60),
    params:
        code=code("audit_data.py"),
        tasks={task: config["tasks"][task]["classes"] for task in config["tasks"]},
        size=config["image"]["size"],
    message:
        "Looking for what tells the classes apart without lungs"
    script:
        "../workflow_scripts/audit_data.py"


rule audit_floors:
    input:
        split=rules.splits.output[0],
        shards=cache_shards,
    output:
        "results/{dataset}/audit/{task}/{scheme}/fold-{fold}/floors.parquet",
    log:
        f"{LOG}/audit/{{task}}/{{scheme}}/fold-{{fold}}/floors.log",
    benchmark:
        f"{BENCHMARK}/audit/{{task}}/{{scheme}}/fold-{{fold}}/floors.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=audit_memory_mb,
        runtime=growing(60),
    params:
        code=code("audit_floors.py"),
        classes=lambda wildcards: config["tasks"][wildcards.task]["classes"],
        size=config["image"]["size"],
    message:
        "Floors of {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}"
    script:
        "../workflow_scripts/audit_floors.py"


rule audit_explanations:
    input:
        model=rules.train.output.model,
        predictions=rules.predict_run.output.predictions,
        split=rules.splits.output[0],
        shards=cache_shards,
        masks=lung_masks,
    output:
        f"{AUDIT}/map_tests.json",
    log:
        f"{log_folder(AUDIT)}/explanations.log",
    benchmark:
        f"{benchmark_folder(AUDIT)}/explanations.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=training_memory_mb,
        runtime=growing(60),
    params:
        code=code("audit_explanations.py"),
        explanation_images=config["audit"]["explanation_images"],
        precision=config["compute"]["precision"],
    message:
        "Testing the maps of {wildcards.task}/{wildcards.scheme}"
    script:
        "../workflow_scripts/audit_explanations.py"


rule audit_map_methods:
    input:
        model=rules.train.output.model,
        predictions=rules.predict_run.output.predictions,
        split=rules.splits.output[0],
        shards=cache_shards,
        masks=rules.masks.output[0],
    output:
        scores=f"{AUDIT}/map_methods.json",
        maps=f"{AUDIT}/map_methods.parquet",
    log:
        f"{log_folder(AUDIT)}/map_methods.log",
    benchmark:
        f"{benchmark_folder(AUDIT)}/map_methods.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=training_memory_mb,
        runtime=growing(240),
    params:
        code=code("audit_map_methods.py"),
        explanation_images=config["audit"]["explanation_images"],
        methods=config["audit"]["map_methods"],
    message:
        "Testing other maps of {wildcards.task}/{wildcards.scheme}"
    script:
        "../workflow_scripts/audit_map_methods.py"


rule map_methods:
    input:
        scores=of_explained_runs(rules.audit_map_methods.output.scores),
        maps=of_headline_run(rules.audit_map_methods.output.maps),
        predictions=of_headline_run(rules.predict_run.output.predictions),
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
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("map_methods.py"),
        runs=lambda wildcards: explained_runs(wildcards.dataset),
        shown=headline_design(),
        classes=config["tasks"][headline_design()["task"]]["classes"],
        max_pixels=config["image"]["max_pixels"],
    message:
        "Comparing ways to make a map"
    script:
        "../workflow_scripts/map_methods.py"


rule audit_verdict:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        leaks=rules.audit_leaks.output[0],
        sources=rules.audit_data.output.sources,
        acquisition=rules.audit_data.output.acquisition,
        floors=rules.audit_data.output.floors,
        metrics=rules.tables.output.metrics,
        masked=of_runs(rules.audit_run.output.masked),
        maps=of_runs(rules.audit_run.output.maps),
        map_tests=of_explained_runs(rules.audit_explanations.output[0]),
        raw_maps=of_runs(rules.predict_run.output.maps),
        predictions=of_runs(rules.predict_run.output.predictions),
        expected=expected_table,
        external=external_table,
        models=of_explained_runs(rules.train.output.model),
        starts=start_files,
    output:
        page=report(
            "results/{dataset}/audit/verdict.md",
            caption="captions/verdict.rst",
            category="A verdict",
            labels={"page": "can the number be believed?"},
        ),
        json="results/{dataset}/audit/verdict.json",
        checklist="results/{dataset}/audit/claim_2024.md",
        masked=report(
            "results/{dataset}/audit/masked_inputs.csv",
            caption="captions/masked_inputs.rst",
            category="A verdict",
            labels={"page": "accuracy on covered images"},
        ),
        calibration="results/{dataset}/audit/calibration.csv",
        repeatability="results/{dataset}/audit/repeatability.json",
    log:
        f"{LOG}/audit/verdict.log",
    benchmark:
        f"{BENCHMARK}/audit/verdict.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        code=code("audit_verdict.py"),
        runs=lambda wildcards: runs(wildcards.dataset),
        explained_runs=lambda wildcards: explained_runs(wildcards.dataset),
        classes={task: config["tasks"][task]["classes"] for task in config["tasks"]},
        covered=covered_designs(),
        headline=headline_design(),
        weights=START_WEIGHTS,
        made=lambda wildcards: [*map(str, [*rules.all.input, *split_files(wildcards.dataset)])],
    message:
        "Judging whether the numbers can be believed"
    script:
        "../workflow_scripts/audit_verdict.py"
