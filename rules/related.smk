# The published systems that the paper stands beside, on the same images, with the same floors.
#
# in   runs/... of all schemes with `system:` (presets/related.yaml), audit/.../masked.csv,
#      audit/external/...
# out  related/README.md, table.csv, .md and .tex, accuracy and thresholds (PNG, SVG, TXT)

RELATED = "results/{dataset}/related"
RELATED_TESTS = [
    test for test in STUDY.external_tests if STUDY.system_of(test["scheme"]) and not test["missing"]
]
# A file that nobody makes, as for `predict`.
NO_SYSTEM = "schemes that follow a published system (none has `system:`; see presets/related.yaml)"
# Schemes of the system that chooses a threshold.
RELATED_THRESHOLDS = sorted(
    {
        run["scheme"]
        for run in STUDY.related_runs
        if STUDY.system_of(run["scheme"]) == "deep_covid" and len(STUDY.classes[run["task"]]) == 2
    }
)


rule related_table:
    input:
        metrics=of_runs(rules.evaluate.output.metrics, STUDY.related_runs),
        models=of_runs(rules.train.output.model, STUDY.related_runs),
        masked=of_runs(rules.audit_run.output.masked, STUDY.related_runs),
        predictions=of_runs(rules.predict_run.output.predictions, STUDY.related_runs),
        external=[
            filled(rules.external_predict.output[0], **{**test, "other": test["data_set"]})
            for test in RELATED_TESTS
        ],
    output:
        page=f"{RELATED}/README.md",
        csv=in_report(f"{RELATED}/table.csv", "Published systems", table="on the same images"),
        tables=[f"{RELATED}/table.{kind}" for kind in ("md", "tex")],
        accuracy=in_report(
            f"{RELATED}/accuracy.png", "Published systems", figure="beside their floors"
        ),
        accuracy_others=[f"{RELATED}/accuracy.{kind}" for kind in ("svg", "txt")],
        thresholds=[
            f"{RELATED}/thresholds.{kind}"
            for kind in ("csv", "png", "svg", "txt")
            if RELATED_THRESHOLDS
        ],
    log:
        f"{LOG}/related/table.log",
    benchmark:
        f"{BENCHMARK}/related/table.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=4000, runtime=30),
        gpu=gpus,
    params:
        code=code("related_table.py"),
        runs=STUDY.related_runs,
        systems={run["scheme"]: STUDY.system_of(run["scheme"]) for run in STUDY.related_runs},
        divisions={
            run["scheme"]: STUDY.division_in_words(run["scheme"]) for run in STUDY.related_runs
        },
        starts={run["scheme"]: STUDY.starts[run["scheme"]] for run in STUDY.related_runs},
        classes=STUDY.classes,
        thresholds=RELATED_THRESHOLDS,
        external_tests=[{key: test[key] for key in ("task", "scheme")} for test in RELATED_TESTS],
    message:
        "Setting published systems side by side"
    script:
        "../workflow_scripts/related_table.py"


# Table, figures and page over all systems of presets/related.yaml.
rule related:
    input:
        (
            [filled(path, dataset=config["dataset"]) for path in rules.related_table.output]
            if STUDY.related_runs
            else NO_SYSTEM
        ),
