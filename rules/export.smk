# A trained network for use elsewhere, with its model card and the data sheet of its images.
#
# in   runs/.../{model.safetensors, predictions.parquet, metrics.json}, cam/.../maps.parquet, cache, splits,
#      tables, audit/verdict.json, index
# out  export/<task>/<scheme>/fold-<k>/seed-<s>/{model.onnx, model-float16.onnx, model.pt2, model.json,
#      parity.json, parity.csv, README.md}, export/datasheet.md
#
# Not part of the default run: a network is written three times, and most studies publish one at most.
# `snakemake export` takes the run that the verdict speaks of first; any other one goes by its path.

EXPORT = "{dataset}/export/{task}/{scheme}/fold-{fold}/seed-{seed}"
EXPORT_TEMPLATES = PROJECT / "workflow_scripts/cxrcam/export/templates"


rule export_model:
    input:
        model=of_network(rules.train.output.model),
        predictions=rules.predict_run.output.predictions,
        maps=rules.predict_run.output.maps,
        metrics=rules.evaluate.output.metrics,
        shards=cache_shards,
        masks=lung_masks,
    output:
        onnx=f"results/{EXPORT}/model.onnx",
        onnx_float16=f"results/{EXPORT}/model-float16.onnx",
        pt2=f"results/{EXPORT}/model.pt2",
        facts=f"results/{EXPORT}/model.json",
        parity=f"results/{EXPORT}/parity.json",
        parity_table=f"results/{EXPORT}/parity.csv",
    log:
        f"results/logs/{EXPORT}/model.log",
    benchmark:
        f"results/benchmarks/{EXPORT}/model.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(runtime=30),
        mem_mb=export_memory_mb,
    params:
        code=code("export_model.py"),
        finding=lambda wildcards: STUDY.findings.get(wildcards.task, {}),
        settings=lambda wildcards: {
            "resampling": config["image"]["resampling"],
            "blank": config["image"]["blank"],
            "run": {
                **{key: wildcards[key] for key in ("dataset", "task", "scheme")},
                **{key: int(wildcards[key]) for key in ("fold", "seed")},
            },
        },
    message:
        "Exporting {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/export_model.py"


rule export_card:
    input:
        facts=rules.export_model.output.facts,
        parity=rules.export_model.output.parity,
        metrics=rules.evaluate.output.metrics,
        split=rules.splits.output[0],
        verdict=rules.audit_verdict.output.json,
    output:
        f"results/{EXPORT}/README.md",
    log:
        f"results/logs/{EXPORT}/card.log",
    benchmark:
        f"results/benchmarks/{EXPORT}/card.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("export_card.py"),
        template=text_fingerprint([EXPORT_TEMPLATES / "model_card.md"]),
        settings=lambda wildcards: {
            "is_drawn": listed(wildcards).is_drawn,
            "is_grouped": STUDY.is_grouped(wildcards.scheme),
        },
    message:
        "Writing the card of {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/export_card.py"


rule export_datasheet:
    input:
        images=rules.index.output.images,
        quarantine=rules.index.output.quarantine,
        copies=rules.audit_duplicates.output.table,
        sources=rules.audit_data.output.sources,
        acquisition=rules.audit_data.output.acquisition,
    output:
        "results/{dataset}/export/datasheet.md",
    log:
        f"{LOG}/export/datasheet.log",
    benchmark:
        f"{BENCHMARK}/export/datasheet.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("export_datasheet.py"),
        template=text_fingerprint([EXPORT_TEMPLATES / "datasheet.md"]),
        settings=lambda wildcards: {
            "kind": (
                "phantom" if listed(wildcards).is_drawn else listed(wildcards).settings["kind"]
            ),
            "image": {key: config["image"][key] for key in ("blank", "resampling", "size")},
            "tasks": STUDY.classes,
            "decisions": listed(wildcards).decisions.counts,
        },
    message:
        "Writing the data sheet of {wildcards.dataset}"
    script:
        "../workflow_scripts/export_datasheet.py"


# The network that the verdict speaks of, for use elsewhere; of one with several findings, a file for each.
rule export:
    input:
        [
            str(path).format(dataset=config["dataset"], **{**STUDY.headline_run, "task": task})
            for task in STUDY.headline_tasks
            for rule in (rules.export_model, rules.export_card, rules.export_datasheet)
            for path in rule.output
        ],
