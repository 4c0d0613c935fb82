# Evidence drawn on the X-rays.
#
# in   cam/.../maps.parquet (class activation, from the forward pass of `predict_run`), runs/.../predictions.parquet;
#      for another `cam.method` the network and its images too
# out  cam/.../overlays/*.png, cam/.../gallery/<class>.png

OTHER_METHOD = config["cam"]["method"] != "evidence"


rule cam:
    input:
        maps=rules.predict_run.output.maps,
        predictions=rules.predict_run.output.predictions,
        images=rules.index.output.images,
        model=of_network(rules.train.output.model) if OTHER_METHOD else [],
        shards=cache_shards if OTHER_METHOD else [],
        masks=rules.masks.output[0] if OTHER_METHOD else [],
    output:
        overlays=directory(f"results/{CAM}/overlays"),
        galleries=report(
            directory(f"results/{CAM}/gallery"),
            patterns=["{name}.png"],
            caption="captions/gallery.rst",
            category="Maps",
            subcategory="{task}, {scheme}",
            labels={"class": "{name}", "fold": "{fold}", "seed": "{seed}"},
        ),
    log:
        f"results/logs/{CAM}/cam.log",
    benchmark:
        f"results/benchmarks/{CAM}/cam.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("cam.py"),
        finding=lambda wildcards: STUDY.findings.get(wildcards.task, {}),
        classes=lambda wildcards: STUDY.classes[wildcards.task],
        input_part=lambda wildcards: configuration.input_part(config, wildcards.scheme),
        blank=config["image"]["blank"],
        settings=config["cam"],
        drawn=lambda wildcards: list(listed(wildcards).drawn_parts),
        max_pixels=config["image"]["max_pixels"],
    message:
        "Drawing maps of {wildcards.task}/{wildcards.scheme}/fold-{wildcards.fold}/seed-{wildcards.seed}"
    script:
        "../workflow_scripts/cam.py"
