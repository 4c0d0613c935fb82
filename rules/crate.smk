# The finished run as a research object that travels: Workflow Run RO-Crate.
#
# in   all that the default target makes
# out  ro-crate-metadata.json, which makes results/<dataset>/ a crate, and workflow/, a copy of the code
#
# Checksums of durations and times of the run stand in it, so it differs from run to run.

from workflow_scripts.cxrcam.crate.contents import workflow_files


rule run_crate:
    input:
        results=lambda wildcards: list(rules.all.input),
        images=rules.index.output.images,
        verdict=rules.audit_verdict.output.json,
        configuration=rules.run_config.output[0],
    output:
        metadata="results/{dataset}/ro-crate-metadata.json",
        workflow=directory("results/{dataset}/workflow"),
    log:
        f"{LOG}/run_crate.log",
    benchmark:
        f"{BENCHMARK}/run_crate.tsv"
    # Only what is trained on has all that the crate lists.
    wildcard_constraints:
        dataset=config["dataset"],
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("run_crate.py"),
        # All code, as it is copied. A function, so that it is read only where it is needed.
        copied=lambda wildcards: text_fingerprint(workflow_files(PROJECT)),
        benchmarks=BENCHMARK,
    message:
        "Describing the run as a research object"
    script:
        "../workflow_scripts/run_crate.py"


# results/<dataset>/ as a crate that can be zipped and given away.
rule crate:
    input:
        rules.run_crate.output.metadata.format(dataset=config["dataset"]),
