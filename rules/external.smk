# How the models do on images from elsewhere, without those that the data set has too.
#
# in   index/facts and cache of the data set and of each of `external`, runs/.../model.safetensors,
#      tables/metrics.csv
# out  audit/external/<other>/overlap.parquet, audit/external.csv,
#      audit/external/<other>/<task>/<scheme>/fold-<k>/seed-<s>/predictions.parquet

EXTERNAL = "{dataset}/audit/external/{other}"
EXTERNAL_RUN = f"{EXTERNAL}/{{task}}/{{scheme}}/fold-{{fold}}/seed-{{seed}}"


rule external_overlap:
    input:
        own=decoded_facts,
        own_shards=cache_shards,
        other=lambda wildcards: of_shards(rules.cache.output.facts, wildcards.other),
        other_shards=lambda wildcards: of_shards(rules.cache.output.shard, wildcards.other),
        not_copies=not_copies,
    output:
        f"results/{EXTERNAL}/overlap.parquet",
    log:
        f"results/logs/{EXTERNAL}/overlap.log",
    benchmark:
        f"results/benchmarks/{EXTERNAL}/overlap.tsv"
    conda:
        ENVIRONMENT
    threads: by_images(amounts.search_threads)
    resources:
        **SEARCHING,
    params:
        code=code("external_overlap.py"),
        not_copies=lambda wildcards: stamp_files(listed(wildcards).not_copies),
        parts=lambda wildcards: listed(wildcards).not_copies_parts,
    message:
        "Looking for images of {wildcards.dataset} in {wildcards.other}"
    script:
        "../workflow_scripts/external_overlap.py"


rule external_predict:
    input:
        model=of_network(rules.train.output.model),
        overlap=rules.external_overlap.output[0],
        images=lambda wildcards: filled(rules.index.output.images, dataset=wildcards.other),
        shards=lambda wildcards: of_shards(rules.cache.output.shard, wildcards.other),
    output:
        f"results/{EXTERNAL_RUN}/predictions.parquet",
    log:
        f"results/logs/{EXTERNAL_RUN}/predict.log",
    benchmark:
        f"results/benchmarks/{EXTERNAL_RUN}/predict.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=training_memory_mb, runtime=60),
        gpu=gpus,
    params:
        code=code("external_predict.py"),
        finding=lambda wildcards: STUDY.findings.get(wildcards.task, {}),
    message:
        "Predicting {wildcards.other} with {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/external_predict.py"


rule external_table:
    input:
        overlaps=external_overlaps,
        images=external_indexes,
        predictions=external_predictions(),
        internal=rules.tables.output.metrics,
    output:
        "results/{dataset}/audit/external.csv",
    log:
        f"{LOG}/audit/external.log",
    benchmark:
        f"{BENCHMARK}/audit/external.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("external_table.py"),
        external=config["external"],
        tests=STUDY.external_tests,
        classes=STUDY.classes,
        findings=STUDY.findings,
    message:
        "Setting the results elsewhere beside those at home"
    script:
        "../workflow_scripts/external_table.py"
