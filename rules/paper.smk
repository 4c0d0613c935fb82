# "CAM of ResNet18 trained on ImageNet for Covid-19 pneumonia detection", under its own numbering.
#
# in   index, splits, cache, runs, cam, audit, tables/metrics.csv
# out  paper/: figure_1 to figure_7, figure_channels, table_1, table_2, ..., scorecard.md and .csv
#
# Which scheme is the complete set, which the sub-sample, is told by its kind: see paper_designs.py.

PAPER = "results/{dataset}/paper"
PAPER_TASKS = list(config["tasks"])


# Of pictures and channels: the task that tells most classes apart.
WIDEST_TASK = max(PAPER_TASKS, key=lambda task: len(config["tasks"][task]["classes"]))


rule paper_network:
    input:
        of_main_runs(rules.train.output.model)[0],
    output:
        png=in_report([f"{PAPER}/figure_1.png"])[0],
        svg=f"{PAPER}/figure_1.svg",
        caption=f"{PAPER}/figure_1.txt",
    log:
        f"{LOG}/paper/network.log",
    benchmark:
        f"{BENCHMARK}/paper/network.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("paper_network.py"),
    message:
        "Figure 1: the network"
    script:
        "../workflow_scripts/paper_network.py"


rule paper_pipeline:
    output:
        png=in_report([f"{PAPER}/figure_2.png"])[0],
        svg=f"{PAPER}/figure_2.svg",
        caption=f"{PAPER}/figure_2.txt",
    log:
        f"{LOG}/paper/pipeline.log",
    benchmark:
        f"{BENCHMARK}/paper/pipeline.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("paper_pipeline.py"),
    message:
        "Figure 2: the pipeline"
    script:
        "../workflow_scripts/paper_pipeline.py"


rule paper_samples:
    input:
        images=rules.index.output.images,
        predictions=of_main_runs(rules.predict_run.output.predictions),
        maps=of_main_runs(rules.predict_run.output.maps),
    output:
        figures=in_report(
            expand(
                "results/{{dataset}}/paper/figure_{number}.{kind}",
                number=(3, 4, 5),
                kind=("png", "txt"),
            )
        ),
        tables=in_report(
            expand(
                "results/{{dataset}}/paper/table_{number}.{kind}",
                number=range(1, len(PAPER_TASKS) + 1),
                kind=("csv", "md", "tex"),
            )
        ),
    log:
        f"{LOG}/paper/samples.log",
    benchmark:
        f"{BENCHMARK}/paper/samples.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("paper_samples.py"),
        tasks={task: config["tasks"][task]["classes"] for task in PAPER_TASKS},
        runs=[main_run(task) for task in PAPER_TASKS],
        widest=WIDEST_TASK,
        image=config["paper"]["image"],
        max_pixels=config["image"]["max_pixels"],
    message:
        "Figures 3 to 5, tables I and following"
    script:
        "../workflow_scripts/paper_samples.py"


rule paper_effort:
    input:
        histories=of_runs(rules.train.output.history),
        timings=of_runs(rules.train.output.timings),
    output:
        figures=in_report(
            expand(
                "results/{{dataset}}/paper/figure_{number}.{kind}",
                number=(6, 7),
                kind=("png", "svg", "txt"),
            )
        ),
        runs=f"{PAPER}/effort_runs.csv",
        tables=in_report(
            expand("results/{{dataset}}/paper/table_effort.{kind}", kind=("csv", "md", "tex"))
        ),
    log:
        f"{LOG}/paper/effort.log",
    benchmark:
        f"{BENCHMARK}/paper/effort.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("paper_effort.py"),
        runs=lambda wildcards: runs(wildcards.dataset),
        complete=DESIGNS.complete,
        subsample=DESIGNS.subsample,
        target=config["paper"]["target_accuracy"],
        sustained=config["paper"]["sustained"],
    message:
        "Figures 6 and 7: accuracy over iterations and time"
    script:
        "../workflow_scripts/paper_effort.py"


rule paper_channels:
    input:
        model=filled(rules.train.output.model, **main_run(WIDEST_TASK)),
        split=filled(rules.splits.output[0], **main_run(WIDEST_TASK)),
        shards=cache_shards,
    output:
        figures=in_report(
            expand("results/{{dataset}}/paper/figure_channels.{kind}", kind=("png", "txt"))
        ),
        tables=in_report(
            expand("results/{{dataset}}/paper/table_channels.{kind}", kind=("csv", "md", "tex"))
        ),
    log:
        f"{LOG}/paper/channels.log",
    benchmark:
        f"{BENCHMARK}/paper/channels.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        code=code("paper_channels.py"),
        top=config["paper"]["channels"],
        run=main_run(WIDEST_TASK),
    message:
        "The strongest channels of each class"
    script:
        "../workflow_scripts/paper_channels.py"


rule paper_scorecard:
    input:
        metrics=rules.tables.output.metrics,
        efforts=rules.paper_effort.output.runs,
        channels=f"{PAPER}/table_channels.csv",
        models=of_main_runs(rules.train.output.model),
        maps=of_main_runs(rules.audit_run.output.maps),
        expected=expected_table,
    output:
        card=in_report(expand("results/{{dataset}}/paper/scorecard.{kind}", kind=("csv", "md"))),
        tables=in_report(
            expand("results/{{dataset}}/paper/table_accuracy.{kind}", kind=("csv", "md", "tex"))
        ),
    log:
        f"{LOG}/paper/scorecard.log",
    benchmark:
        f"{BENCHMARK}/paper/scorecard.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("paper_scorecard.py"),
        # All that a verdict can depend on, which is not all of the configuration.
        configuration={
            key: config[key] for key in ("model", "paper", "schemes", "seeds", "tasks", "train")
        },
        runs=[main_run(task) for task in PAPER_TASKS],
    message:
        "The scorecard"
    script:
        "../workflow_scripts/paper_scorecard.py"


# Every number, table and figure of the paper, and what became of its claims.
rule paper:
    input:
        [
            filled(path, dataset=config["dataset"])
            for rule in (
                rules.paper_network,
                rules.paper_pipeline,
                rules.paper_samples,
                rules.paper_effort,
                rules.paper_channels,
                rules.paper_scorecard,
            )
            for path in rule.output
        ],


rule networks_table:
    input:
        metrics=rules.tables.output.metrics,
        models=lambda wildcards: [
            filled(rules.train.output.model, **run) for run in network_runs(wildcards.dataset)
        ],
        histories=lambda wildcards: [
            filled(rules.train.output.history, **run) for run in network_runs(wildcards.dataset)
        ],
        timings=lambda wildcards: [
            filled(rules.train.output.timings, **run) for run in network_runs(wildcards.dataset)
        ],
    output:
        in_report(
            expand("results/{{dataset}}/paper/table_networks.{kind}", kind=("csv", "md", "tex"))
        ),
    log:
        f"{LOG}/paper/networks.log",
    benchmark:
        f"{BENCHMARK}/paper/networks.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(3000),
        runtime=growing(10),
    params:
        code=code("paper_networks.py"),
        runs=lambda wildcards: network_runs(wildcards.dataset),
    message:
        "Comparing the networks"
    script:
        "../workflow_scripts/paper_networks.py"


# One table over the networks of the study that the paper follows (presets/networks.yaml).
rule paper_networks:
    input:
        [filled(path, dataset=config["dataset"]) for path in rules.networks_table.output],
