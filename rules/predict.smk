# New images, asked of the networks of one design: snakemake predict --config predict_images=FOLDER
#
# in   predict_images (a folder, file or glob), runs/.../model.safetensors, calibrated.parquet and metrics.json
#      of all folds and seeds of the design, index/facts, splits, audit/verdict.json
# out  predict/reference/: what new images are measured against, once a design;
#      predict/<name of the folder>-<hash>/: index.html, predictions.csv, quarantine.csv, overlays/
#
# Nothing of the study depends on it, so that nothing is trained or judged anew for another folder.

PREDICT = "results/{dataset}/predict/{images}"
PREDICT_REFERENCE = "results/{dataset}/predict/reference"


rule predict_reference:
    input:
        calibrated=of_answering_runs(rules.evaluate.output.calibrated),
        metrics=of_answering_runs(rules.evaluate.output.metrics),
        maps=of_answering_runs(rules.predict_run.output.maps),
        splits=of_answering_runs(rules.splits.output[0]),
        images=rules.index.output.images,
        facts=decoded_facts,
    output:
        reference=f"{PREDICT_REFERENCE}/reference.json",
        scores=f"{PREDICT_REFERENCE}/scores.parquet",
    log:
        f"{LOG}/predict/reference.log",
    benchmark:
        f"{BENCHMARK}/predict/reference.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        code=code("predict_reference.py"),
        design=ANSWERING,
        runs=lambda wildcards: answering_runs(wildcards.dataset),
        classes=config["tasks"][ANSWERING["task"]]["classes"],
        coverage=config["predict"]["coverage"],
    message:
        "Measuring what new images are compared with: {params.design[task]}/{params.design[scheme]}"
    script:
        "../workflow_scripts/predict_reference.py"


rule predict_images:
    input:
        models=of_answering_runs(rules.train.output.model),
    output:
        facts=f"{PREDICT}/facts.parquet",
        pixels=f"{PREDICT}/pixels.parquet",
        members=f"{PREDICT}/members.parquet",
        maps=f"{PREDICT}/maps.parquet",
    log:
        f"{LOG}/predict/{{images}}/images.log",
    benchmark:
        f"{BENCHMARK}/predict/{{images}}/images.tsv"
    conda:
        ENVIRONMENT
    # Decoding is threaded, beside the network, which has compute.threads.
    threads: 8
    resources:
        gpu=gpus,
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        code=code("predict_images.py"),
        named=config["predict_images"],
        # Names, sizes and times: a file that was replaced is asked about anew.
        files=new_images.new_images_fingerprint(NEW_IMAGES),
        runs=lambda wildcards: answering_runs(wildcards.dataset),
        resampling=config["image"]["resampling"],
        max_pixels=config["image"]["max_pixels"],
    message:
        "Asking the networks about the images of {params.named}"
    script:
        "../workflow_scripts/predict_images.py"


rule predict_page:
    input:
        reference=rules.predict_reference.output.reference,
        scores=rules.predict_reference.output.scores,
        facts=rules.predict_images.output.facts,
        pixels=rules.predict_images.output.pixels,
        members=rules.predict_images.output.members,
        maps=rules.predict_images.output.maps,
        own=decoded_facts,
        own_shards=cache_shards,
        splits=of_answering_runs(rules.splits.output[0]),
        verdict=rules.audit_verdict.output.json,
        verdict_page=rules.audit_verdict.output.page,
    output:
        page=f"{PREDICT}/index.html",
        predictions=f"{PREDICT}/predictions.csv",
        parquet=f"{PREDICT}/predictions.parquet",
        quarantine=f"{PREDICT}/quarantine.csv",
        base=f"{PREDICT}/base.css",
        style=f"{PREDICT}/report.css",
        script=f"{PREDICT}/report.js",
        overlays=directory(f"{PREDICT}/overlays"),
        pictures=directory(f"{PREDICT}/pictures"),
    log:
        f"{LOG}/predict/{{images}}/page.log",
    benchmark:
        f"{BENCHMARK}/predict/{{images}}/page.tsv"
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        code=code("predict_page.py"),
        templates=REPORT_TEMPLATES,
        asked=named_in_words(config["predict_images"]),
        input_part=configuration.input_part(config, ANSWERING["scheme"]),
        pictures=config["predict"]["pictures"],
        drawing={key: config["cam"][key] for key in ("against", "opacity")},
        max_pixels=config["image"]["max_pixels"],
    message:
        "Writing the answers for new images"
    script:
        "../workflow_scripts/predict_page.py"


# The images that `predict_images` names, and nothing else.
rule predict:
    input:
        new_images_page() or NO_NEW_IMAGES,
