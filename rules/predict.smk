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
        is_drawn=drawn_here,
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


# Of networks with several findings: the same for each of them, and one page of all.

FINDING_PREDICT = f"{PREDICT}/{{task}}"
FINDING_REFERENCE = f"{PREDICT_REFERENCE}/{{task}}"
ASKED_FINDINGS = STUDY.answering_findings  # finding by finding, the task that asks for it


rule predict_finding:
    input:
        members=rules.predict_images.output.members,
        maps=rules.predict_images.output.maps,
    output:
        members=f"{FINDING_PREDICT}/members.parquet",
        maps=f"{FINDING_PREDICT}/maps.parquet",
    log:
        f"{LOG}/predict/{{images}}/{{task}}/finding.log",
    benchmark:
        f"{BENCHMARK}/predict/{{images}}/{{task}}/finding.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("predict_finding.py"),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        finding=lambda wildcards: STUDY.findings[wildcards.task],
    message:
        "What the networks say of one finding: {wildcards.task}"
    script:
        "../workflow_scripts/predict_finding.py"


use rule predict_reference as predict_finding_reference with:
    input:
        calibrated=of_answering(rules.evaluate.output.calibrated),
        metrics=of_answering(rules.evaluate.output.metrics),
        maps=of_answering(rules.predict_run.output.maps),
        splits=of_answering(rules.splits.output[0]),
        images=rules.index.output.images,
        facts=decoded_facts,
    output:
        reference=f"{FINDING_REFERENCE}/reference.json",
        scores=f"{FINDING_REFERENCE}/scores.parquet",
    log:
        f"{LOG}/predict/{{task}}/reference.log",
    benchmark:
        f"{BENCHMARK}/predict/{{task}}/reference.tsv"
    params:
        code=code("predict_reference.py"),
        design=lambda wildcards: {"task": wildcards.task, "scheme": STUDY.answering["scheme"]},
        runs=lambda wildcards: STUDY.runs_of(wildcards.task, STUDY.answering["scheme"]),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        coverage=config["predict"]["coverage"],


use rule predict_page as predict_finding_page with:
    input:
        reference=rules.predict_finding_reference.output.reference,
        scores=rules.predict_finding_reference.output.scores,
        facts=rules.predict_images.output.facts,
        pixels=rules.predict_images.output.pixels,
        members=rules.predict_finding.output.members,
        maps=rules.predict_finding.output.maps,
        own=decoded_facts,
        own_shards=cache_shards,
        splits=of_answering(rules.splits.output[0]),
        verdict=rules.audit_verdict.output.json,
        verdict_page=rules.audit_verdict.output.page,
    output:
        page=f"{FINDING_PREDICT}/index.html",
        predictions=f"{FINDING_PREDICT}/predictions.csv",
        parquet=f"{FINDING_PREDICT}/predictions.parquet",
        quarantine=f"{FINDING_PREDICT}/quarantine.csv",
        base=f"{FINDING_PREDICT}/base.css",
        style=f"{FINDING_PREDICT}/report.css",
        script=f"{FINDING_PREDICT}/report.js",
        overlays=directory(f"{FINDING_PREDICT}/overlays"),
        pictures=directory(f"{FINDING_PREDICT}/pictures"),
    log:
        f"{LOG}/predict/{{images}}/{{task}}/page.log",
    benchmark:
        f"{BENCHMARK}/predict/{{images}}/{{task}}/page.tsv"


rule predict_findings:
    input:
        predictions=expand(
            rules.predict_finding_page.output.parquet,
            task=ASKED_FINDINGS.values(),
            allow_missing=True,
        ),
        pages=expand(
            rules.predict_finding_page.output.page,
            task=ASKED_FINDINGS.values(),
            allow_missing=True,
        ),
        quarantine=expand(
            rules.predict_finding_page.output.quarantine,
            task=ASKED_FINDINGS.values(),
            allow_missing=True,
        ),
        verdict=rules.audit_verdict.output.json,
        verdict_page=rules.audit_verdict.output.page,
    output:
        page=f"{PREDICT}/findings.html",
        predictions=f"{PREDICT}/findings.csv",
        parquet=f"{PREDICT}/findings.parquet",
        quarantine=f"{PREDICT}/unreadable.csv",
        base=f"{PREDICT}/base.css",
        style=f"{PREDICT}/report.css",
        script=f"{PREDICT}/report.js",
    log:
        f"{LOG}/predict/{{images}}/findings.log",
    benchmark:
        f"{BENCHMARK}/predict/{{images}}/findings.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("predict_findings.py"),
        templates=REPORT_TEMPLATES,
        is_drawn=drawn_here,
        findings=list(ASKED_FINDINGS),
        asked=NAMED if isinstance(NAMED, str) else ", ".join(NAMED or []),
    message:
        "Writing all findings of the new images"
    script:
        "../workflow_scripts/predict_findings.py"


# The images that `predict_images` names, and nothing else.
rule predict:
    input:
        NEW_IMAGES_PAGE if NEW_IMAGES else NO_NEW_IMAGES,
