# Whether the numbers can be believed: all that was measured, judged.
#
# in   audit/, tables/, runs/.../{predictions.parquet, maps.parquet, model.safetensors}
# out  audit/: verdict.{md,json}, claim_2024.md, masked_inputs.csv, calibration.csv, repeatability.json


rule audit_verdict:
    input:
        duplicates=rules.index.output.duplicates,
        images=rules.index.output.images,
        leaks=rules.audit_leaks.output[0],
        suspects=rules.audit_suspects.output.table,
        sources=rules.audit_data.output.sources,
        columns=rules.audit_data.output.columns,
        subgroups=rules.audit_subgroups.output.table,
        slices=rules.audit_slices.output.table if STUDY.sliced_runs else [],
        probes=of_runs(rules.audit_probes.output[0], STUDY.probed_runs),
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
            "results/{dataset}/audit/verdict.md", "Answer", result="can the number be believed?"
        ),
        json="results/{dataset}/audit/verdict.json",
        checklist="results/{dataset}/audit/claim_2024.md",
        masked=in_report(
            "results/{dataset}/audit/masked_inputs.csv",
            "Answer",
            result="accuracy on covered images",
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
