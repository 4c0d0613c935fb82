# One model a task, scheme, fold and seed, and what it says of the images that it has not seen; of a task
# with several findings, what it says of each.
#
# in   splits/<task>/<scheme>/fold-<k>.parquet, cache/shard-*.parquet
# out  runs/<task>/<scheme>/fold-<k>/seed-<s>/{model.safetensors, history.parquet, timings.parquet,
#      predictions.parquet, features.parquet}, cam/.../maps.parquet, audit/.../covered.parquet
#
# Device, precision `auto` and threads are chosen when the job starts and do not make results stale.


# The choice is made once: without code among the params, no later version of the workflow, and no
# network that comes up, changes what finished trainings started from. `--forcerun weights` does.
rule weights:
    output:
        "results/weights/{architecture}-start-{choice}.safetensors",
    log:
        "results/logs/weights/{architecture}-start-{choice}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        insist=lambda wildcards: wildcards.choice == "imagenet",
    message:
        "Looking for ImageNet weights of {wildcards.architecture}: here, in torch's cache, else on the network"
    script:
        "../workflow_scripts/weights.py"


rule features:
    input:
        shard=rules.cache.output.shard,
        weights=lambda wildcards: weights_of(STUDY.frozen[wildcards.features]),
    output:
        "results/{dataset}/features/{features}/shard-{shard}.parquet",
    log:
        f"{LOG}/features/{{features}}/shard-{{shard}}.log",
    benchmark:
        f"{BENCHMARK}/features/{{features}}/shard-{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=shard_features_mb, runtime=60),
        gpu=gpus,
    params:
        code=code("features.py"),
        image={key: config["image"][key] for key in ("mean", "size", "std")},
        model=lambda wildcards: STUDY.frozen[wildcards.features],
        weights=lambda wildcards: weights_stamp(STUDY.frozen[wildcards.features]),
        recipe=config["recipes"]["pretrained"],
        precision=config["compute"]["precision"],
    message:
        "Computing the frozen layers {wildcards.features} of shard {wildcards.shard}"
    script:
        "../workflow_scripts/features.py"


rule train:
    input:
        split=rules.splits.output[0],
        # Where layers are frozen, what they give takes the place of pixels.
        shards=lambda wildcards: [] if frozen_features(wildcards) else cache_shards(wildcards),
        features=frozen_features,
        masks=lung_masks,
        weights=lambda wildcards: weights_of(STUDY.models[wildcards.scheme]),
        index=sources_of_training,
    output:
        model=f"results/{RUN}/model.safetensors",
        history=f"results/{RUN}/history.parquet",
        # Durations, apart from all that is the same each time.
        timings=f"results/{RUN}/timings.parquet",
    log:
        f"results/logs/{RUN}/train.log",
    benchmark:
        f"results/benchmarks/{RUN}/train.tsv"
    wildcard_constraints:
        task=one_of(config["tasks"]),
    conda:
        ENVIRONMENT
    threads: lambda wildcards: processes(wildcards) * config["compute"]["threads"]
    resources:
        **growing(runtime=240),
        gpu=lambda wildcards: processes(wildcards) * gpus(wildcards),
        # A resource, as no result depends on it; a param would make models stale.
        processes=processes,
        mem_mb=fitting_memory_mb,
    params:
        code=code("train.py"),
        classes=lambda wildcards: STUDY.outputs(wildcards.task),
        findings=lambda wildcards: bool(STUDY.findings_of(wildcards.task)),
        image={key: config["image"][key] for key in ("mean", "size", "std")},
        input_part=lambda wildcards: configuration.input_part(config, wildcards.scheme),
        model=lambda wildcards: STUDY.models[wildcards.scheme],
        weights=lambda wildcards: weights_stamp(STUDY.models[wildcards.scheme]),
        settings=lambda wildcards: configuration.result_settings(
            config, wildcards.task, wildcards.scheme
        ),
        recipes=lambda wildcards: STUDY.recipes(wildcards.task, wildcards.scheme),
        precision=config["compute"]["precision"],
        deterministic=config["compute"]["deterministic"],
        # Not an output: Snakemake would delete it when a job fails.
        checkpoint=f"results/{RUN}/checkpoint.safetensors",
    message:
        "Training {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/train.py"


rule predict_run:
    input:
        model=rules.train.output.model,
        split=rules.splits.output[0],
        shards=cache_shards,
        masks=rules.masks.output[0],
    output:
        predictions=f"results/{RUN}/predictions.parquet",
        maps=f"results/{CAM}/maps.parquet",
        covered=f"results/{AUDIT}/covered.parquet",
        features=f"results/{RUN}/features.parquet",
    log:
        f"results/logs/{RUN}/predict_run.log",
    benchmark:
        f"results/benchmarks/{RUN}/predict_run.tsv"
    wildcard_constraints:
        task=one_of(config["tasks"]),
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **growing(mem_mb=training_memory_mb, runtime=60),
        gpu=gpus,
    params:
        code=code("predict_run.py"),
        # Of a training that is recorded by now.
        checkpoint=f"results/{RUN}/checkpoint.safetensors",
        precision=config["compute"]["precision"],
    message:
        "Predicting {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/predict_run.py"


rule finding:
    input:
        **{
            name: lambda wildcards, pattern=pattern: filled(
                pattern, **{**wildcards, "task": STUDY.network_of(wildcards.task)}
            )
            for name, pattern in rules.predict_run.output.items()
            if name != "features"
        },
        split=rules.splits.output[0],
    output:
        predictions=rules.predict_run.output.predictions,
        maps=rules.predict_run.output.maps,
        covered=rules.predict_run.output.covered,
    log:
        f"results/logs/{RUN}/finding.log",
    benchmark:
        f"results/benchmarks/{RUN}/finding.tsv"
    wildcard_constraints:
        task=one_of(STUDY.findings) or "none",
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("finding.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        finding=lambda wildcards: STUDY.findings[wildcards.task],
    message:
        "Reading off one finding: {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/finding.py"
