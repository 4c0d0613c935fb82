# Which image is used for what, in every fold.
#
# in   index/images.parquet; index/listing.parquet, where one source after the other is left out; of one of
#      several findings, the division of the network
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
        task=one_of(config["tasks"]),
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("splits.py"),
        classes=lambda wildcards: STUDY.outputs(wildcards.task),
        findings=lambda wildcards: STUDY.findings_of(wildcards.task),
        scheme=lambda wildcards: STUDY.split_settings(wildcards.scheme),
        shared_test=lambda wildcards: STUDY.shared_test_settings(wildcards.scheme),
        held_out=lambda wildcards: STUDY.held_out_value(wildcards.scheme, int(wildcards.fold)),
    message:
        "Splitting for {wildcards.task}, {wildcards.scheme}, fold {wildcards.fold}"
    script:
        "../workflow_scripts/splits.py"


rule finding_split:
    input:
        lambda wildcards: filled(
            rules.splits.output[0],
            **{**wildcards, "task": STUDY.network_of(wildcards.task)},
        ),
    output:
        rules.splits.output[0],
    log:
        f"{LOG}/splits/{{task}}/{{scheme}}/fold-{{fold}}-finding.log",
    benchmark:
        f"{BENCHMARK}/splits/{{task}}/{{scheme}}/fold-{{fold}}-finding.tsv"
    wildcard_constraints:
        dataset=config["dataset"],
        task=one_of(STUDY.findings) or "none",
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("finding_split.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        finding=lambda wildcards: STUDY.findings[wildcards.task],
    message:
        "Splitting the images of which the finding is known: {wildcards.task}, {wildcards.scheme}, fold {wildcards.fold}"
    script:
        "../workflow_scripts/finding_split.py"
