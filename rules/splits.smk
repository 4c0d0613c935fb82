# Which image is used for what, in every fold.
#
# in   index/images.parquet
# out  splits/<task>/<scheme>/fold-<k>.parquet


def scheme_design(wildcards):
    """What decides one fold. Not the number of repeats: another one leaves those there untouched."""
    scheme = config["schemes"][wildcards.scheme]
    return {key: scheme[key] for key in sorted(scheme) if key not in ("train", "repeats")}


rule splits:
    input:
        rules.index.output.images,
    output:
        "results/{dataset}/splits/{task}/{scheme}/fold-{fold}.parquet",
    log:
        f"{LOG}/splits/{{task}}/{{scheme}}/fold-{{fold}}.log",
    benchmark:
        f"{BENCHMARK}/splits/{{task}}/{{scheme}}/fold-{{fold}}.tsv"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("splits.py"),
        classes=lambda wildcards: config["tasks"][wildcards.task]["classes"],
        scheme=scheme_design,
    message:
        "Splitting for {wildcards.task}, {wildcards.scheme}, fold {wildcards.fold}"
    script:
        "../workflow_scripts/splits.py"
