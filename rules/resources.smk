# What jobs ask for: GPUs, processes, memory and time. A retry asks for more.


def gpus(wildcards):
    """GPUs that a job asks for: one, but none if this machine has none and runs the jobs itself.

    Otherwise `--resources gpu=1` would let jobs wait for each other for a GPU that is not there.
    """
    device = config["compute"]["device"]
    if device == "auto":
        return 0 if workflow.local_exec and not has_gpu() else 1
    return int(device == "cuda")


def processes(wildcards):
    """Processes that share a training: one a GPU."""
    return configuration.train_settings(config, wildcards.task, wildcards.scheme)["gpus"]


def growing(amount):
    """MB of memory or minutes of a job; a retry asks for as much again."""
    return lambda wildcards, attempt: amount * attempt


def decoding_memory_mb(wildcards, attempt):
    """Some images at a time, names of all, Python and the Snakemake around a cluster's job."""
    return attempt * int(1500 + len(DATA_SETS[wildcards.dataset].images) / 2000)


def decoding_threads(wildcards):
    """A shard's share of eight cores, or of those that there are.

    Two shards side by side in a thread each are done sooner than one after the other in two.
    """
    local = workflow.local_exec and workflow.is_main_process
    cores = workflow.resource_settings.cores if local else None
    return max(1, min(8, cores or 8) // len(DATA_SETS[wildcards.dataset].shards))


def search_threads(*data_sets):
    """Few images are compared too quickly for threads to pay."""
    n_images = sum(len(DATA_SETS[name].images) for name in data_sets)
    return min(8, 1 + n_images // 2000)


def search_memory_mb(*data_sets):
    """Words of the images' keypoints, as stored and as sorted lists, 30 KB an image in all."""
    n_images = sum(len(DATA_SETS[name].images) for name in data_sets)
    return int(3000 + 30 * n_images / 1000)


def search_minutes(*data_sets):
    """A few pairs of each image are compared: a million images take an hour or two."""
    n_images = sum(len(DATA_SETS[name].images) for name in data_sets)
    return int(30 + 150 * n_images / 1_000_000)


def audit_memory_mb(wildcards, attempt):
    """A KiB of facts an image; features and forests of as many as are drawn of them at most."""
    n_images = len(DATA_SETS[wildcards.dataset].images)
    return attempt * int(1500 + n_images / 1000 + min(n_images, 50_000) / 20)


def shard_features_mb(wildcards, attempt):
    """Pixels of a shard, and what frozen layers give of them (0.8 MB an image of 224, twice)."""
    n_images = min(len(DATA_SETS[wildcards.dataset].images), config["image"]["shard_images"])
    return attempt * int(2000 + 1.6 * n_images * (config["image"]["size"] / 224) ** 2)


def largest_batch(wildcards):
    """Images of a step; the most that a recipe asks for where it is not known which one it will be."""
    batch = configuration.train_settings(config, wildcards.task, wildcards.scheme)["batch_size"]
    if batch != "auto":
        return batch
    recipes = recipes_of(wildcards.task, wildcards.scheme).values()
    return max(recipe["batch_size"] for recipe in recipes)


def pixel_memory_mb(n_images):
    """Pixels of the two largest parts of a split, as far as they are not left on the disk."""
    pixels = n_images * config["image"]["size"] ** 2 / 2**20
    return min(pixels, 2 * config["compute"]["pixel_memory_mb"])


def training_memory_mb(wildcards, attempt):
    """Pixels in memory once, plus PyTorch and the activations of a batch; a retry asks for more."""
    size = config["image"]["size"]
    batch = largest_batch(wildcards)
    n_images = len(DATA_SETS[wildcards.get("other", wildcards.dataset)].images)
    # A ResNet18 keeps about 25 MB of activations and gradients for an image of 224 pixels.
    return attempt * int(2000 + pixel_memory_mb(n_images) + batch * 25 * (size / 224) ** 2)


def fitting_memory_mb(wildcards, input, attempt):
    """As `training_memory_mb`; where layers are frozen, their features are read, then joined.

    Each of several processes holds everything.
    """
    features = sum(Path(file).stat().st_size for file in input.get("features") or [])
    one = training_memory_mb(wildcards, attempt) + attempt * int(2 * features / 2**20)
    return processes(wildcards) * one


def export_memory_mb(wildcards, input, attempt):
    """The network several times over, PyTorch's exporter and onnxruntime; a retry asks for more."""
    return attempt * int(3000 + 10 * Path(input.model).stat().st_size / 2**20)
