# Whether the numbers can be believed.
#
# in   index, splits, cache, runs/.../{predictions.parquet, features.parquet, model.safetensors}, cam/.../maps.parquet, audit/.../covered.parquet,
#      audit/external.csv
# out  audit/: expected.csv, leaks.csv, duplicates.{csv,html,png}, suspect_images.{csv,html}, suspect_labels.{csv,html},
#      sources.json, columns.json, acquisition.json, subgroups.{csv,png}, slices.{csv,html}, verdict.md;
#      <task>/<scheme>/fold-<k>/: floors.parquet; seed-<s>/: maps.json, masked.csv; of the
#      first fold and seed of a design map_tests.json; of the first seed of the headline probes.csv;
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
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("expected.py"),
        settings=lambda wildcards: listed(wildcards).settings,
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


rule audit_leaks:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        splits=of_runs(rules.splits.output[0], STUDY.divisions),
    output:
        in_report("results/{dataset}/audit/leaks.csv", "Data", result="twins across divisions"),
    log:
        f"{LOG}/audit/leaks.log",
    benchmark:
        f"{BENCHMARK}/audit/leaks.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("audit_leaks.py"),
        splits=[
            {**design, "grouped": config["schemes"][design["scheme"]].get("grouped", False)}
            for design in STUDY.divisions
        ],
    message:
        "Looking for copies and patients across the splits"
    script:
        "../workflow_scripts/audit_leaks.py"


rule audit_duplicates:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        overlaps=external_overlaps,
        external_images=external_indexes,
        shards=lambda wildcards: of_shards(
            rules.cache.output.shard, wildcards.dataset, *external_of(wildcards)
        ),
    output:
        png=in_report("results/{dataset}/audit/duplicates.png", "Data", result="near-duplicates"),
        caption="results/{dataset}/audit/duplicates.txt",
        page=in_report(
            "results/{dataset}/audit/duplicates.html",
            "Data",
            result="near-duplicates of {dataset}, laid over one another",
        ),
        table="results/{dataset}/audit/duplicates.csv",
    log:
        f"{LOG}/audit/duplicates.log",
    benchmark:
        f"{BENCHMARK}/audit/duplicates.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("audit_duplicates.py"),
        templates=text_fingerprint(
            PROJECT / "workflow_scripts/cxrcam/report/templates" / name
            for name in ("base.css", "copies.html", "macros.html")
        ),
        is_drawn=drawn_here,
        external=external_of,
    message:
        "Drawing the near-duplicates of {wildcards.dataset}"
    script:
        "../workflow_scripts/audit_duplicates.py"


rule audit_suspects:
    input:
        images=rules.index.output.images,
        facts=decoded_facts,
        shards=cache_shards,
    output:
        table="results/{dataset}/audit/suspect_images.csv",
        page=in_report(
            "results/{dataset}/audit/suspect_images.html",
            "Data",
            result="images of {dataset} that stand out",
        ),
    log:
        f"{LOG}/audit/suspects.log",
    benchmark:
        f"{BENCHMARK}/audit/suspects.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=by_images(amounts.suspects_memory_mb), runtime=60),
    params:
        code=code("audit_suspects.py"),
        templates=text_fingerprint(
            PROJECT / "workflow_scripts/cxrcam/report/templates" / name
            for name in ("base.css", "macros.html", "suspects.html")
        ),
        is_drawn=drawn_here,
    message:
        "Looking for images of {wildcards.dataset} that stand out"
    script:
        "../workflow_scripts/audit_suspects.py"


rule audit_data:
    input:
        images=rules.index.output.images,
        listing=rules.listing.output[0],
        shards=cache_shards,
    output:
        sources="results/{dataset}/audit/sources.json",
        columns="results/{dataset}/audit/columns.json",
        acquisition="results/{dataset}/audit/acquisition.json",
        floors="results/{dataset}/audit/floors.csv",
        labels="results/{dataset}/audit/judged_labels.parquet",
    log:
        f"{LOG}/audit/data.log",
    benchmark:
        f"{BENCHMARK}/audit/data.tsv"
    conda:
        ENVIRONMENT
    threads: by_images(amounts.audit_threads)
    resources:
        **growing(mem_mb=by_images(amounts.audit_memory_mb), runtime=60),
    params:
        code=code("audit_data.py"),
        tasks=STUDY.classes,
        findings=STUDY.findings,
        traits=configuration.unknown_traits(config["audit"]["subgroups"]),
        size=config["image"]["size"],
    message:
        "Looking for what tells the classes apart without lungs"
    script:
        "../workflow_scripts/audit_data.py"


rule audit_labels:
    input:
        judged=rules.audit_data.output.labels,
        images=rules.index.output.images,
        duplicates=rules.index.output.duplicates,
        facts=decoded_facts,
        shards=cache_shards,
        predictions=of_runs(rules.predict_run.output.predictions, LABEL_RUNS),
    output:
        table="results/{dataset}/audit/suspect_labels.csv",
        page=in_report(
            "results/{dataset}/audit/suspect_labels.html",
            "Data",
            result="labels of {dataset} that the images speak against",
        ),
    log:
        f"{LOG}/audit/labels.log",
    benchmark:
        f"{BENCHMARK}/audit/labels.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=by_images(amounts.suspects_memory_mb), runtime=60),
    params:
        code=code("audit_labels.py"),
        templates=text_fingerprint(
            PROJECT / "workflow_scripts/cxrcam/report/templates" / name
            for name in ("base.css", "labels.html", "macros.html")
        ),
        is_drawn=drawn_here,
        tasks=STUDY.classes,
        findings=STUDY.findings,
        runs=LABEL_RUNS,
    message:
        "Looking for labels of {wildcards.dataset} that the images speak against"
    script:
        "../workflow_scripts/audit_labels.py"


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
        **growing(mem_mb=by_images(amounts.audit_memory_mb), runtime=60),
    params:
        code=code("audit_floors.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        size=config["image"]["size"],
    message:
        "Training the floors of {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}"
    script:
        "../workflow_scripts/audit_floors.py"


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


# First seed of all folds of the headline.
PROBED_RUNS = [run for run in STUDY.headline_networks if run["seed"] == config["seeds"][0]]


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
        predictions=of_runs(rules.predict_run.output.predictions, SLICED_RUNS),
        features=of_runs(rules.predict_run.output.features, SLICED_RUNS),
        splits=of_runs(rules.splits.output[0], SLICED_RUNS),
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
        templates=text_fingerprint(
            PROJECT / "workflow_scripts/cxrcam/report/templates" / name
            for name in ("base.css", "macros.html", "slices.html")
        ),
        is_drawn=drawn_here,
        runs=SLICED_RUNS,
        headline=STUDY.headline,
        names=STUDY.classes[STUDY.headline["task"]],
    message:
        "Looking for images of {wildcards.dataset} on which the network is wrong together"
    script:
        "../workflow_scripts/audit_slices.py"


rule audit_verdict:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        leaks=rules.audit_leaks.output[0],
        suspects=rules.audit_suspects.output.table,
        sources=rules.audit_data.output.sources,
        columns=rules.audit_data.output.columns,
        subgroups=rules.audit_subgroups.output.table,
        slices=rules.audit_slices.output.table,
        probes=of_runs(rules.audit_probes.output[0], PROBED_RUNS),
        acquisition=rules.audit_data.output.acquisition,
        floors=rules.audit_data.output.floors,
        metrics=rules.tables.output.metrics,
        masked=of_runs(rules.audit_run.output.masked),
        maps=of_runs(rules.audit_run.output.maps),
        map_tests=of_runs(rules.audit_explanations.output[0], STUDY.explained_runs),
        raw_maps=of_runs(rules.predict_run.output.maps),
        predictions=of_runs(rules.predict_run.output.predictions),
        expected=expected_table,
        external=rules.external_table.output[0] if config["external"] else [],
        models=of_runs(rules.train.output.model, STUDY.explained_runs),
        starts=start_files,
        findings=findings_table,
    output:
        page=in_report(
            "results/{dataset}/audit/verdict.md", "A verdict", page="can the number be believed?"
        ),
        json="results/{dataset}/audit/verdict.json",
        checklist="results/{dataset}/audit/claim_2024.md",
        masked=in_report(
            "results/{dataset}/audit/masked_inputs.csv",
            "A verdict",
            page="accuracy on covered images",
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
        **growing(mem_mb=3000, runtime=30),
    params:
        code=code("audit_verdict.py"),
        runs=STUDY.runs,
        explained_runs=STUDY.explained_runs,
        classes=STUDY.classes,
        covered=STUDY.covered_designs,
        findings_designs=STUDY.findings_designs,
        headline={**STUDY.headline, "why": STUDY.headline_reason},
        weights=STUDY.starts,
        made=lambda wildcards: [*map(str, [*rules.all.input, *split_files()])],
    message:
        "Judging whether the numbers can be believed"
    script:
        "../workflow_scripts/audit_verdict.py"
