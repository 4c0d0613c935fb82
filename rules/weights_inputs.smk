# What networks start from: the files that tell it, and whose they are.

START_WEIGHTS = {
    scheme: MODELS[scheme]["weights"] for _, scheme in configuration.experiments(config)
}


def start_files(wildcards):
    """File of each scheme whose networks do not start from random weights, in the order above."""
    files = [weights_of(MODELS[scheme]) for scheme in START_WEIGHTS]
    return [file for file in files if file]
