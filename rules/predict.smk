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
        calibrated=of_runs(rules.evaluate.output.calibrated, STUDY.answering_runs),
        metrics=of_runs(rules.evaluate.output.metrics, STUDY.answering_runs),
        maps=of_runs(rules.predict_run.output.maps, STUDY.answering_runs),
        splits=of_runs(rules.splits.output[0], STUDY.answering_runs),
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
        **growing(mem_mb=4000, runtime=30),
    params:
        code=code("predict_reference.py"),
        design=STUDY.answering,
        runs=STUDY.answering_runs,
        classes=STUDY.classes[STUDY.answering["task"]],
        coverage=config["predict"]["coverage"],
    message:
        "Measuring what new images are compared with: {params.design[task]}/{params.design[scheme]}"
    script:
        "../workflow_scripts/predict_reference.py"


rule predict_images:
    input:
        models=of_runs(rules.train.output.model, STUDY.answering_runs),
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
        **growing(mem_mb=4000, runtime=240),
        gpu=gpus,
    params:
        code=code("predict_images.py"),
        named=NAMED,
        # Names, sizes and times: a file that was replaced is asked about anew.
        files=new_images.new_images_fingerprint(NEW_IMAGES),
        runs=STUDY.answering_runs,
        resampling=config["image"]["resampling"],
        accept=config["image"]["accept"],
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
        splits=of_runs(rules.splits.output[0], STUDY.answering_runs),
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
        **growing(mem_mb=4000, runtime=60),
    params:
        code=code("predict_page.py"),
        templates=REPORT_TEMPLATES,
        asked=NAMED if isinstance(NAMED, str) else ", ".join(NAMED or []),
        input_part=configuration.input_part(config, STUDY.answering["scheme"]),
        pictures=config["predict"]["pictures"],
        reweighting=STUDY.reweighting(**STUDY.answering),
        drawing={key: config["cam"][key] for key in ("against", "opacity")},
        max_pixels=config["image"]["max_pixels"],
    message:
        "Writing the answers for new images"
    script:
        "../workflow_scripts/predict_page.py"


# The images that `predict_images` names, and nothing else.
rule predict:
    input:
        NEW_IMAGES_PAGE if NEW_IMAGES else NO_NEW_IMAGES,
