# Which image is used for what, in every fold.
#
# in   index/images.parquet; index/listing.parquet, where one source after the other is left out
# out  splits/<task>/<scheme>/fold-<k>.parquet


rule splits:
    input:
        rules.index.output.images,
        listing=sources_listing,
    output:
        "results/{dataset}/splits/{task}/{scheme}/fold-{fold}.parquet",
    log:
        f"{LOG}/splits/{{task}}/{{scheme}}/fold-{{fold}}.log",
    benchmark:
        f"{BENCHMARK}/splits/{{task}}/{{scheme}}/fold-{{fold}}.tsv"
    # External data sets are never divided, so that nothing can be trained on them.
    wildcard_constraints:
        dataset=config["dataset"],
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("splits.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        scheme=lambda wildcards: STUDY.split_settings(wildcards.scheme),
        shared_test=lambda wildcards: STUDY.shared_test_settings(wildcards.scheme),
        held_out=lambda wildcards: STUDY.held_out_value(wildcards.scheme, int(wildcards.fold)),
    message:
        "Splitting for {wildcards.task}, {wildcards.scheme}, fold {wildcards.fold}"
    script:
        "../workflow_scripts/splits.py"
