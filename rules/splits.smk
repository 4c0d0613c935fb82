# Which image is used for what, in every fold.
#
# in   index/images.parquet
# out  splits/<task>/<scheme>/fold-<k>.parquet


rule splits:
    input:
        rules.index.output.images,
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
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("splits.py"),
        classes=lambda wildcards: config["tasks"][wildcards.task]["classes"],
        scheme=lambda wildcards: design_of(wildcards.scheme),
        shared_test=lambda wildcards: shared_test_design(wildcards.scheme),
    message:
        "Splitting for {wildcards.task}, {wildcards.scheme}, fold {wildcards.fold}"
    script:
        "../workflow_scripts/splits.py"
