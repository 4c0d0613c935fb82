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
        metrics=f"{RUN}/metrics.json",
        calibrated=f"{RUN}/calibrated.parquet",
    log:
        f"{log_folder(RUN)}/evaluate.log",
    benchmark:
        f"{benchmark_folder(RUN)}/evaluate.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("evaluate.py"),
        classes=lambda wildcards: config["tasks"][wildcards.task]["classes"],
    message:
        "Evaluating {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/evaluate.py"


rule tables:
    input:
        of_runs(rules.evaluate.output.metrics),
    output:
        metrics=report(
            "results/{dataset}/tables/metrics.csv",
            caption="captions/metrics.rst",
            category="Numbers",
            labels={"table": "every run, beside its floors"},
        ),
        summary=report(
            "results/{dataset}/tables/summary.csv",
            caption="captions/summary.rst",
            category="Numbers",
            labels={"table": "every design"},
        ),
        figure=report(
            "results/{dataset}/figures/accuracy.png",
            caption="captions/accuracy.rst",
            category="Numbers",
            labels={"table": "every run, drawn"},
        ),
        figure_svg="results/{dataset}/figures/accuracy.svg",
    log:
        f"{LOG}/tables/metrics.log",
    benchmark:
        f"{BENCHMARK}/tables/metrics.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("tables.py"),
        runs=lambda wildcards: runs(wildcards.dataset),
    message:
        "Collecting the metrics of all runs"
    script:
        "../workflow_scripts/tables.py"


rule figures:
    input:
        predictions=of_runs(rules.predict_run.output.predictions),
        splits=of_runs(rules.splits.output[0]),
        histories=of_runs(rules.train.output.history),
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
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("figures.py"),
        classes=lambda wildcards: config["tasks"][wildcards.task]["classes"],
        runs=lambda wildcards: runs(wildcards.dataset, wildcards.task, wildcards.scheme),
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
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("comparisons.py"),
        runs=lambda wildcards: [
            {**run, "division": configuration.division(config, run["scheme"])[0]}
            for run in runs(wildcards.dataset)
        ],
        classes={task: config["tasks"][task]["classes"] for task in config["tasks"]},
    message:
        "Comparing runs that share their test images"
    script:
        "../workflow_scripts/comparisons.py"
