# From image files to cached pixels and the index: of the data set, and of each of `external`.
#
# in   images on disk (or the settings of the phantoms)
# out  index/images.parquet, index/quarantine.csv, cache/shard-*.parquet, cache/masks.parquet,
#      audit/duplicates.parquet
#
# Each image is read and decoded once, in the cache job of its shard, which also takes its checksums and
# fingerprints; the index then gathers those. Whether a file was replaced is seen from its name, size and
# time, hashed a shard: replacing one image renews one shard.


rule run_config:
    input:
        starts=start_files,
    output:
        "results/run_config.yaml",
    log:
        "results/logs/run_config.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=code("run_config.py"),
        weights=STUDY.starts,
        files=weights_stamp(*map(STUDY.models.get, STUDY.starts)),
        # With its null entries, so that the file can be given as --configfile again.
        configuration={
            key: {**value, **REMOVED.get(key, {})} if isinstance(value, dict) else value
            for key, value in config.items()
            if key != "predict_images"  # asks something of the study and is no part of it
        },
    message:
        "Writing the resolved configuration"
    script:
        "../workflow_scripts/run_config.py"


rule phantoms:
    output:
        table="results/{dataset}/phantoms/phantoms.csv",
    log:
        f"{LOG}/phantoms.log",
    benchmark:
        f"{BENCHMARK}/phantoms.tsv"
    # Also those that only a union has.
    wildcard_constraints:
        dataset=one_of(config["datasets"]),
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        **growing(mem_mb=1000, runtime=30),
    params:
        settings=phantom_settings,
    message:
        "Drawing phantom radiographs"
    script:
        "../workflow_scripts/phantoms.py"


# Drawn once and kept: without params, no later version of the workflow draws another one, with which
# patients would have other names.
rule patient_key:
    output:
        "results/patient_key",
    log:
        "results/logs/patient_key.log",
    localrule: True
    conda:
        ENVIRONMENT
    message:
        "Drawing the key of the hashes by which patients of DICOM files are known"
    script:
        "../workflow_scripts/patient_key.py"


rule listing:
    input:
        drawn_phantoms,
    output:
        "results/{dataset}/index/listing.parquet",
    log:
        f"{LOG}/index/listing.log",
    benchmark:
        f"{BENCHMARK}/index/listing.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=by_images(amounts.listing_memory_mb), runtime=10),
    params:
        code=code("listing.py"),
        files=lambda wildcards: datasets.listing_fingerprint(listed(wildcards).images),
        settings=lambda wildcards: listed(wildcards).image_settings,
        phantom_root=lambda wildcards: str(listed(wildcards).phantom_root),
    message:
        "Listing {wildcards.dataset}"
    script:
        "../workflow_scripts/listing.py"


rule cache:
    input:
        # Not the listing, not even as ancient(): a stale job above an ancient() input makes Snakemake
        # overlook that the params below changed.
        drawn_phantoms,
        patient_key=patient_key,
    output:
        shard="results/{dataset}/cache/shard-{shard}.parquet",
        facts="results/{dataset}/index/facts/shard-{shard}.parquet",
    log:
        f"{LOG}/cache/shard-{{shard}}.log",
    benchmark:
        f"{BENCHMARK}/cache/shard-{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: decoding_threads
    resources:
        **growing(mem_mb=by_images(amounts.decoding_memory_mb), runtime=30),
    params:
        code=code("cache.py"),
        # Names, sizes and times of the shard's images: replacing one renews this shard alone.
        files=lambda wildcards: listed(wildcards).shard_fingerprints[int(wildcards.shard)],
        phantoms=phantom_settings,
        settings={
            key: config["image"][key]
            for key in ("accept", "blank", "max_pixels", "mean", "resampling", "size", "std")
        },
        n_shards=lambda wildcards: len(listed(wildcards).shards),
        phantom_root=lambda wildcards: str(listed(wildcards).phantom_root),
    message:
        "Decoding shard {wildcards.shard} of {wildcards.dataset}"
    script:
        "../workflow_scripts/cache.py"


rule index:
    input:
        listing=rules.listing.output[0],
        facts=decoded_facts,
        shards=cache_shards,
        metadata=metadata_tables,
        not_copies=not_copies,
    output:
        images="results/{dataset}/index/images.parquet",
        quarantine="results/{dataset}/index/quarantine.csv",
        duplicates="results/{dataset}/audit/duplicates.parquet",
    log:
        f"{LOG}/index/images.log",
    benchmark:
        f"{BENCHMARK}/index/images.tsv"
    conda:
        ENVIRONMENT
    threads: by_images(amounts.search_threads)
    resources:
        **SEARCHING,
    params:
        # Not image.max_quarantined_share: it may stop a run, but does not change what it makes.
        code=code("index.py"),
        metadata=lambda wildcards: stamp_files(listed(wildcards).metadata_tables),
        not_copies=lambda wildcards: stamp_files(listed(wildcards).not_copies),
        parts=lambda wildcards: listed(wildcards).parts,
    message:
        "Indexing {wildcards.dataset} and looking for near-duplicates"
    script:
        "../workflow_scripts/index.py"


rule masks:
    input:
        rules.index.output.images,
    output:
        "results/{dataset}/cache/masks.parquet",
    log:
        f"{LOG}/cache/masks.log",
    benchmark:
        f"{BENCHMARK}/cache/masks.tsv"
    conda:
        ENVIRONMENT
    threads: 4
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("masks.py"),
        # The index has their names only: a mask that was replaced is seen here.
        files=lambda wildcards: listed(wildcards).mask_fingerprint,
        max_pixels=config["image"]["max_pixels"],
    message:
        "Reading the masks of {wildcards.dataset}"
    script:
        "../workflow_scripts/masks.py"
