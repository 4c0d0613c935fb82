# What the predictions are worth: numbers a run, tables over all runs, curves a task and scheme.
#
# in   runs/.../predictions.parquet, runs/.../history.parquet, splits/...
# out  runs/.../metrics.json, tables/metrics.csv, tables/summary.csv, figures/*.png and *.svg


rule evaluate:
    input:
        predictions=rules.predict_run.output.predictions,
        split=rules.splits.output[0],
        floors=floors_of_run,
    output:
        metrics=f"results/{RUN}/metrics.json",
        calibrated=f"results/{RUN}/calibrated.parquet",
    log:
        f"results/logs/{RUN}/evaluate.log",
    benchmark:
        f"results/benchmarks/{RUN}/evaluate.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("evaluate.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
    message:
        "Evaluating {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/evaluate.py"


rule tables:
    input:
        of_runs(rules.evaluate.output.metrics),
    output:
        metrics=in_report(
            "results/{dataset}/tables/metrics.csv", "Numbers", table="every run, beside its floors"
        ),
        summary=in_report("results/{dataset}/tables/summary.csv", "Numbers", table="every design"),
        figure=in_report(
            "results/{dataset}/figures/accuracy.png", "Numbers", table="every run, drawn"
        ),
        figure_svg="results/{dataset}/figures/accuracy.svg",
    log:
        f"{LOG}/tables/metrics.log",
    benchmark:
        f"{BENCHMARK}/tables/metrics.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("tables.py"),
        runs=STUDY.runs,
        held_out=STUDY.held_out_in_words,
    message:
        "Collecting the metrics of all runs"
    script:
        "../workflow_scripts/tables.py"


rule findings:
    input:
        splits=of_findings(rules.splits.output[0]),
        predictions=of_findings(rules.predict_run.output.predictions),
        covered=of_findings(rules.predict_run.output.covered),
        floors=floors_of_findings,
        metrics=of_findings(rules.evaluate.output.metrics, each_finding=True),
    output:
        in_report("results/{dataset}/tables/findings.csv", "Numbers", table="every finding"),
    log:
        f"{LOG}/tables/findings.log",
    benchmark:
        f"{BENCHMARK}/tables/findings.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=3000, runtime=60),
    params:
        code=code("findings.py"),
        designs=STUDY.findings_designs,
    message:
        "Setting each finding beside its floors"
    script:
        "../workflow_scripts/findings.py"


rule figures:
    input:
        predictions=of_design(rules.predict_run.output.predictions),
        splits=of_design(rules.splits.output[0]),
        histories=of_design(rules.train.output.history),
        metrics=of_design(rules.evaluate.output.metrics),
    output:
        png=[
            report(
                f"results/{{dataset}}/figures/{figure}-{{task}}-{{scheme}}.png",
                caption="captions/design.rst",
                category="Figures",
                subcategory="{task}, {scheme}",
                labels={"figure": figure.replace("_", " ")},
            )
            for figure in FIGURES
        ],
        svg=expand("results/{{dataset}}/figures/{figure}-{{task}}-{{scheme}}.svg", figure=FIGURES),
    log:
        f"{LOG}/figures/{{task}}-{{scheme}}.log",
    benchmark:
        f"{BENCHMARK}/figures/{{task}}-{{scheme}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("figures.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        runs=lambda wildcards: STUDY.runs_of(wildcards.task, wildcards.scheme),
    message:
        "Drawing the curves of {wildcards.task}, {wildcards.scheme}"
    script:
        "../workflow_scripts/figures.py"


rule comparisons:
    input:
        of_runs(rules.predict_run.output.predictions),
    output:
        "results/{dataset}/tables/comparisons.csv",
    log:
        f"{LOG}/tables/comparisons.log",
    benchmark:
        f"{BENCHMARK}/tables/comparisons.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("comparisons.py"),
        runs=[{**run, "division": STUDY.base_scheme(run["scheme"])} for run in STUDY.runs],
        classes=STUDY.classes,
    message:
        "Comparing runs that share their test images"
    script:
        "../workflow_scripts/comparisons.py"
