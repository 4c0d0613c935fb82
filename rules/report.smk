# One page with all results of the data set, opened from disk: no server, no network.
#
# in   tables, figures, audit, splits, cam/.../gallery, maps and predictions of the headline's folds (first seed)
# out  report/: index.html, its style, script and pictures, copies of all that it links (files), and provenance.html
#
# Date, machine, command, versions, seconds and memory stand in provenance.html and made.js, as they differ from run
# to run; benchmark files are no input, because Snakemake does not count them as outputs.

REPORT = "results/{dataset}/report"
REPORT_TEMPLATES = text_fingerprint(
    sorted((PROJECT / "workflow_scripts/cxrcam/report/templates").glob("*.*"))
)

# What some studies do without, for the picture of their rules.
SHOWN_SETS = [config["dataset"], *config["external"]]
USES = {
    "weights": {"auto", "imagenet"} & {*STUDY.starts.values()},
    "phantoms": [part for name in SHOWN_SETS for part in drawn_parts(config["datasets"], name)],
    "patient_key": [name for name in SHOWN_SETS if STUDY.data_sets[name].may_hold_dicom],
    "features": STUDY.frozen,
    "audit_slices": STUDY.sliced_runs,
    "expected": any(STUDY.data_sets[config["dataset"]].settings.get("expected", {}).values()),
    **dict.fromkeys(("finding_split", "finding", "findings"), STUDY.findings),
    **dict.fromkeys(("audit_map_methods", "map_methods"), config["audit"]["map_methods"]),
    **dict.fromkeys(("external_overlap", "external_predict", "external_table"), config["external"]),
}


rule report:
    input:
        verdict=rules.audit_verdict.output.json,
        verdict_page=rules.audit_verdict.output.page,
        checklist=rules.audit_verdict.output.checklist,
        runs=of_runs(rules.evaluate.output.metrics),
        metrics=rules.tables.output.metrics,
        summary=rules.tables.output.summary,
        overview=rules.tables.output.figure_svg,
        comparisons=rules.comparisons.output[0],
        figures=[file for file in design_files() if file.endswith(".svg")],
        # Of all runs they would be too many to mail.
        galleries=of_runs(rules.cam.output.galleries, STUDY.explained_runs),
        model=of_run(rules.train.output.model, STUDY.headline_networks[0]),
        maps=of_runs(rules.predict_run.output.maps, STUDY.headline_folds),
        predictions=of_runs(rules.predict_run.output.predictions, STUDY.headline_folds),
        images=rules.index.output.images,
        quarantine=rules.index.output.quarantine,
        duplicates=rules.audit_duplicates.output.png,
        duplicates_caption=rules.audit_duplicates.output.caption,
        duplicates_page=rules.audit_duplicates.output.page,
        duplicates_table=rules.audit_duplicates.output.table,
        suspects=rules.audit_suspects.output.table,
        suspects_page=rules.audit_suspects.output.page,
        labels=rules.audit_data.output.labels,
        labels_table=rules.audit_labels.output.table,
        labels_page=rules.audit_labels.output.page,
        sources=rules.audit_data.output.sources,
        columns=rules.audit_data.output.columns,
        subgroups=rules.audit_subgroups.output.table,
        subgroup_figure=rules.audit_subgroups.output.figure,
        slices=rules.audit_slices.output.table if STUDY.sliced_runs else [],
        slices_page=rules.audit_slices.output.page if STUDY.sliced_runs else [],
        leaks=rules.audit_leaks.output[0],
        splits=of_runs(rules.splits.output[0], STUDY.divisions),
        split=of_run(rules.splits.output[0], STUDY.headline_run),
        external=rules.external_table.output[0] if config["external"] else [],
        map_methods=rules.map_methods.output.figure if config["audit"]["map_methods"] else [],
        configuration=rules.run_config.output[0],
    output:
        page=f"{REPORT}/index.html",
        provenance=f"{REPORT}/provenance.html",
        base=f"{REPORT}/base.css",
        style=f"{REPORT}/report.css",
        script=f"{REPORT}/report.js",
        rulegraph=f"{REPORT}/rulegraph.svg",
        script_made=f"{REPORT}/made.js",
        pictures=directory(f"{REPORT}/pictures"),
        files=directory(f"{REPORT}/files"),
    log:
        f"{LOG}/report.log",
    benchmark:
        f"{BENCHMARK}/report.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("report.py"),
        templates=REPORT_TEMPLATES,
        classes=STUDY.classes,
        splits=STUDY.divisions,
        runs=STUDY.runs,
        shown=STUDY.headline_run,
        is_drawn=drawn_here,
        reweighted=STUDY.reweighted,
        division=STUDY.split_settings(STUDY.headline["scheme"])["design"],
        map_runs=STUDY.explained_runs,
        rules_not_used=sorted(name for name, use in USES.items() if not use),
        gallery_runs=STUDY.headline_folds,
        most_pictures=config["report"]["pictures"],
        input_part=configuration.input_part(config, STUDY.headline["scheme"]),
        drawing={key: config["cam"][key] for key in ("against", "opacity")},
        max_pixels=config["image"]["max_pixels"],
        blank=config["image"]["blank"],
        small_groups=config["audit"]["small_groups"],
        decisions=lambda wildcards: listed(wildcards).decisions.counts,
        benchmarks=BENCHMARK,
    message:
        "Writing the report of {wildcards.dataset}"
    script:
        "../workflow_scripts/report.py"
