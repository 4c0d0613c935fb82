# "CAM of ResNet18 trained on ImageNet for Covid-19 pneumonia detection", under its own numbering.
#
# in   index, splits, cache, runs, cam, audit, tables/metrics.csv
# out  paper/: figure_1 to figure_7, figure_channels, table_1, table_2, ..., scorecard.md and .csv
#
# Which scheme is the complete set, which the sub-sample, is told by its kind: see paper/designs.py.

TABLE_KINDS = ["csv", "md", "tex"]
MAIN_RUNS = list(STUDY.main_runs.values())
WIDEST_RUN = STUDY.main_runs[STUDY.widest_task]  # of pictures and channels


rule paper_network:
    input:
        of_run(rules.train.output.model, MAIN_RUNS[0]),
    output:
        png=paper_files(["figure_1"], ["png"])[0],
        svg=f"{PAPER}/figure_1.svg",
        caption=f"{PAPER}/figure_1.txt",
    log:
        f"{LOG}/paper/network.log",
    benchmark:
        f"{BENCHMARK}/paper/network.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("paper_network.py"),
    message:
        "Drawing figure 1 of the paper, the network"
    script:
        "../workflow_scripts/paper_network.py"


rule paper_pipeline:
    output:
        png=paper_files(["figure_2"], ["png"])[0],
        svg=f"{PAPER}/figure_2.svg",
        caption=f"{PAPER}/figure_2.txt",
    log:
        f"{LOG}/paper/pipeline.log",
    benchmark:
        f"{BENCHMARK}/paper/pipeline.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("paper_pipeline.py"),
    message:
        "Drawing figure 2 of the paper, the pipeline"
    script:
        "../workflow_scripts/paper_pipeline.py"


rule paper_samples:
    input:
        images=rules.index.output.images,
        predictions=of_runs(rules.predict_run.output.predictions, MAIN_RUNS),
        maps=of_runs(rules.predict_run.output.maps, MAIN_RUNS),
    output:
        figures=paper_files(["figure_3", "figure_4", "figure_5"], ["png", "txt"]),
        tables=paper_files(
            [f"table_{number}" for number, _ in enumerate(STUDY.classes, 1)], TABLE_KINDS
        ),
    log:
        f"{LOG}/paper/samples.log",
    benchmark:
        f"{BENCHMARK}/paper/samples.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("paper_samples.py"),
        tasks=STUDY.classes,
        runs=MAIN_RUNS,
        widest=STUDY.widest_task,
        decompose=STUDY.models[WIDEST_RUN["scheme"]].get("decompose"),
        image=config["paper"]["image"],
        max_pixels=config["image"]["max_pixels"],
    message:
        "Drawing figures 3 to 5 of the paper, and its tables of images"
    script:
        "../workflow_scripts/paper_samples.py"


rule paper_effort:
    input:
        histories=of_runs(rules.train.output.history),
        timings=of_runs(rules.train.output.timings),
    output:
        figures=paper_files(["figure_6", "figure_7"], ["png", "svg", "txt"]),
        runs=f"{PAPER}/effort_runs.csv",
        tables=paper_files(["table_effort"], TABLE_KINDS),
    log:
        f"{LOG}/paper/effort.log",
    benchmark:
        f"{BENCHMARK}/paper/effort.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("paper_effort.py"),
        runs=STUDY.runs,
        complete=STUDY.parts.complete,
        subsample=STUDY.parts.subsample,
        target=config["paper"]["target_accuracy"],
        sustained=config["paper"]["sustained"],
    message:
        "Drawing figures 6 and 7 of the paper, accuracy over iterations and time"
    script:
        "../workflow_scripts/paper_effort.py"


rule paper_channels:
    input:
        model=of_run(rules.train.output.model, WIDEST_RUN),
        split=of_run(rules.splits.output[0], WIDEST_RUN),
        shards=cache_shards,
    output:
        figures=paper_files(["figure_channels"], ["png", "txt"]),
        tables=paper_files(["table_channels"], TABLE_KINDS),
    log:
        f"{LOG}/paper/channels.log",
    benchmark:
        f"{BENCHMARK}/paper/channels.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=3000, runtime=30),
        gpu=gpus,
    params:
        code=code("paper_channels.py"),
        top=config["paper"]["channels"],
        run=WIDEST_RUN,
    message:
        "Finding the strongest channels of each class"
    script:
        "../workflow_scripts/paper_channels.py"


rule paper_scorecard:
    input:
        metrics=rules.tables.output.metrics,
        efforts=rules.paper_effort.output.runs,
        channels=f"{PAPER}/table_channels.csv",
        models=of_runs(rules.train.output.model, MAIN_RUNS),
        maps=of_runs(rules.audit_run.output.maps, MAIN_RUNS),
        expected=expected_table,
    output:
        card=paper_files(["scorecard"], ["csv", "md"]),
        tables=paper_files(["table_accuracy"], TABLE_KINDS),
    log:
        f"{LOG}/paper/scorecard.log",
    benchmark:
        f"{BENCHMARK}/paper/scorecard.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("paper_scorecard.py"),
        # All that a verdict can depend on, which is not all of the configuration.
        configuration={
            key: STUDY.config[key]
            for key in ("model", "paper", "schemes", "seeds", "tasks", "train")
        },
        runs=MAIN_RUNS,
    message:
        "Writing the scorecard of the paper"
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
        models=of_runs(rules.train.output.model, STUDY.network_runs),
        histories=of_runs(rules.train.output.history, STUDY.network_runs),
        timings=of_runs(rules.train.output.timings, STUDY.network_runs),
    output:
        paper_files(["table_networks"], TABLE_KINDS),
    log:
        f"{LOG}/paper/networks.log",
    benchmark:
        f"{BENCHMARK}/paper/networks.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=3000, runtime=10),
    params:
        code=code("networks_table.py"),
        runs=STUDY.network_runs,
    message:
        "Comparing the networks of the paper"
    script:
        "../workflow_scripts/networks_table.py"


# One table over the networks of the study that the paper follows (presets/networks.yaml).
rule paper_networks:
    input:
        [filled(path, dataset=config["dataset"]) for path in rules.networks_table.output],
