# What jobs ask for: GPUs, processes, memory and time. A retry asks for more.
# How much: workflow_scripts/cxrcam/study/resources.py.

from workflow_scripts.cxrcam.study import resources as amounts


def growing(**asked):
    """MB of memory and minutes, each a number or a function of wildcards; a retry asks for more."""

    def of_attempt(amount):
        of_job = amount if callable(amount) else lambda wildcards: amount
        return lambda wildcards, attempt: attempt * of_job(wildcards)

    return {name: of_attempt(amount) for name, amount in asked.items()}


def by_images(amount):
    """Amount for the images of a job's data set, and of the other one that it is compared with."""
    return lambda wildcards: amount(
        sum(STUDY.n_images(name) for key, name in wildcards.items() if key in ("dataset", "other"))
    )


# Of a job that compares all images of its data sets.
SEARCHING = growing(
    mem_mb=by_images(amounts.search_memory_mb), runtime=by_images(amounts.search_minutes)
)


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


def decoding_threads(wildcards):
    """Of a shard. Other machines than this one may have more cores."""
    local = workflow.local_exec and workflow.is_main_process
    cores = workflow.resource_settings.cores if local else None
    return amounts.decoding_threads(len(listed(wildcards).shards), cores)


def shard_features_mb(wildcards):
    """Of a job that computes the frozen layers of a shard."""
    n_images = min(STUDY.n_images(wildcards.dataset), config["image"]["shard_images"])
    return amounts.shard_features_mb(n_images, config["image"]["size"])


def training_memory_mb(wildcards):
    """Of a job that trains a network, or predicts the images of the data set or of another one."""
    return amounts.training_memory_mb(
        STUDY.n_images(wildcards.get("other", wildcards.dataset)),
        config["image"]["size"],
        STUDY.largest_batch(wildcards.task, wildcards.scheme),
        config["compute"]["pixel_memory_mb"],
    )


def fitting_memory_mb(wildcards, input, attempt):
    """Of a training, each of whose processes holds everything; features of frozen layers too."""
    features = sum(Path(file).stat().st_size for file in input.get("features") or [])
    one = training_memory_mb(wildcards) + amounts.features_memory_mb(features)
    return attempt * processes(wildcards) * one


def export_memory_mb(wildcards, input, attempt):
    """Of a job that writes a network for use elsewhere."""
    return attempt * amounts.export_memory_mb(Path(input.model).stat().st_size)
