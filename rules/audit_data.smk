# What the images give away without a network: copies, sources, columns, traces of acquisition, floors, labels.
#
# in   index, splits, cache, listing, runs/.../predictions.parquet (for the labels only)
# out  audit/: expected.csv, leaks.csv, duplicates.{csv,html,png}, suspect_images.{csv,html}, suspect_labels.{csv,html},
#      sources.json, columns.json, acquisition.json; <task>/<scheme>/fold-<k>/floors.parquet


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
        templates=page_templates("copies.html"),
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
        templates=page_templates("suspects.html"),
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
        predictions=of_runs(rules.predict_run.output.predictions, STUDY.label_runs),
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
        templates=page_templates("labels.html"),
        is_drawn=drawn_here,
        tasks=STUDY.classes,
        findings=STUDY.findings,
        runs=STUDY.label_runs,
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
