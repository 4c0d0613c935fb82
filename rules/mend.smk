# From finding to mending: what the tool can do about failed checks, and what it cost.
#
# in   audit/verdict.json, audit/suspect_images.csv, index; of the study that `compare_with` names: tables/metrics.csv,
#      audit/verdict.json, audit/external.csv
# out  audit/mended.yaml (an overlay), audit/look_at.csv; tables/mended.csv


rule mended_overlay:
    input:
        verdict=rules.audit_verdict.output.json,
        images=rules.index.output.images,
        duplicates=rules.index.output.duplicates,
        suspects=rules.audit_suspects.output.table,
    output:
        overlay="results/{dataset}/audit/mended.yaml",
        images="results/{dataset}/audit/look_at.csv",
    log:
        f"{LOG}/audit/mended.log",
    benchmark:
        f"{BENCHMARK}/audit/mended.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("mended_overlay.py"),
        configuration={
            key: config[key] for key in ("dataset", "datasets", "external", "schemes", "tasks")
        },
        headline=STUDY.headline,
    message:
        "Writing what can be mended of {wildcards.dataset}"
    script:
        "../workflow_scripts/mended_overlay.py"


rule mended_table:
    input:
        **first_study_files(config["compare_with"]),
        metrics=rules.tables.output.metrics,
        verdict=rules.audit_verdict.output.json,
        external=rules.external_table.output[0] if config["external"] else [],
    output:
        "results/{dataset}/tables/mended.csv",
    log:
        f"{LOG}/tables/mended.log",
    benchmark:
        f"{BENCHMARK}/tables/mended.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("mended_table.py"),
        compare_with=config["compare_with"],
    message:
        "Setting {wildcards.dataset} beside {params.compare_with}"
    script:
        "../workflow_scripts/mended_table.py"


# The overlay of a second study; `snakemake mend` says how to run it.
rule mend:
    input:
        [file.format(dataset=config["dataset"]) for file in rules.mended_overlay.output],
