# Files of external data sets: tested on, never trained on.


def external_overlaps(wildcards):
    """Images that the data set shares with each external one."""
    return [
        filled(rules.external_overlap.output[0], dataset=wildcards.dataset, other=other)
        for other in config["external"]
    ]


def external_indexes(wildcards):
    """Index of each external data set."""
    return [filled(rules.index.output.images, dataset=other) for other in config["external"]]


def external_shards(wildcards):
    """Cache files of the external data sets, one set after the other."""
    return [
        shard
        for other in config["external"]
        for shard in of_shards(rules.cache.output.shard, other)
    ]


def external_tests(dataset):
    """Every run on every external data set, with the classes that the set lacks for it.

    Networks that were trained on covered images are experiments, not what would be used elsewhere.
    """
    return [
        {
            **run,
            "data_set": other,
            "missing": configuration.missing_classes(
                config, run["task"], DATA_SETS[other].class_sizes
            ),
        }
        for other in config["external"]
        for run in runs(dataset)
        if configuration.input_part(config, run["scheme"]) == configuration.WHOLE
    ]


def external_predictions(dataset):
    """What the models say of external images, where all their classes are there."""
    return [
        filled(rules.external_predict.output[0], other=test["data_set"], **test)
        for test in external_tests(dataset)
        if not test["missing"]
    ]


def external_table(wildcards):
    """Results on external data, where the configuration names any."""
    return rules.external_table.output[0] if config["external"] else []
