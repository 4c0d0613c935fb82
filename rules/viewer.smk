# A static page that runs the exported network in the browser: drop an X-ray, see probabilities and map.
#
# in   export/.../{model.onnx, model.json} of the headline's first run, its split, index, audit/verdict.json
# out  viewer/: index.html, style, scripts, one WebAssembly file, model.onnx, model.json, training.bin (small
#      pictures of training images, which an X-ray is compared with)
#
# Needs Node.js, which bundles the scripts. `make viewer` also serves the page of the demo to this machine only.

VIEWER = "results/{dataset}/viewer"

from workflow_scripts.cxrcam.viewer.bundle import page_sources


rule viewer_page:
    input:
        model=of_run(rules.export_model.output.onnx, STUDY.headline_run),
        card=of_run(rules.export_model.output.facts, STUDY.headline_run),
        split=of_run(rules.splits.output[0], STUDY.headline_run),
        images=rules.index.output.images,
        facts=decoded_facts,
        verdict=rules.audit_verdict.output.json,
    output:
        page=f"{VIEWER}/index.html",
        base=f"{VIEWER}/base.css",
        style=f"{VIEWER}/viewer.css",
        script=f"{VIEWER}/viewer.js",
        worker=f"{VIEWER}/worker.js",
        runtime=f"{VIEWER}/ort-wasm-simd-threaded.wasm",
        model=f"{VIEWER}/model.onnx",
        card=f"{VIEWER}/model.json",
        pictures=f"{VIEWER}/training.bin",
    log:
        f"{LOG}/viewer.log",
    benchmark:
        f"{BENCHMARK}/viewer.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=2000, runtime=10),
    params:
        code=code("viewer_page.py"),
        sources=lambda wildcards: text_fingerprint(page_sources()),
        settings=lambda wildcards: {
            "accept": config["image"]["accept"],
            "is_drawn": listed(wildcards).is_drawn,
        },
    message:
        "Building the viewer"
    script:
        "../workflow_scripts/viewer_page.py"


# The page; any server of static files shows it.
rule viewer:
    input:
        [file.format(dataset=config["dataset"]) for file in rules.viewer_page.output],
