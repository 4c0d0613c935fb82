"""Memory in MB, threads and minutes that jobs ask for, from the size of what they read.

Memory is Python, its libraries and the Snakemake around a cluster's job, plus what grows.
`n_images` counts those of the data set (or of both, where two are compared), unless said otherwise;
`side` is the pixels a side of an image, ``image.size``.
"""

MIB = 2**20


def decoding_memory_mb(n_images: int) -> int:
    """Some images at a time, and the names of all of the data set."""
    return int(1500 + n_images / 2000)


def decoding_threads(n_shards: int, cores: int | None) -> int:
    """A shard's share of eight cores, or of those that there are (None: not known).

    Two shards side by side in a thread each are done sooner than one after the other in two.
    """
    return max(1, min(8, cores or 8) // n_shards)


def listing_memory_mb(n_images: int) -> int:
    """Rows of the listing: a million images took 3 GiB, the Snakemake around the job included."""
    return int(1000 + 3 * n_images / 1000)


def search_memory_mb(n_images: int) -> int:
    """Words of the images' keypoints, stored and sorted: 50 KB an image were measured."""
    return int(2000 + 60 * n_images / 1000)


def search_threads(n_images: int) -> int:
    """Few images are compared too quickly for threads to pay."""
    return min(8, 1 + n_images // 2000)


def search_minutes(n_images: int) -> int:
    """A few pairs of each image are compared: a million images take an hour or two."""
    return int(30 + 150 * n_images / 1_000_000)


def audit_memory_mb(n_images: int) -> int:
    """A KiB of facts an image; features and forests of as many as are drawn of them at most."""
    return int(1500 + n_images / 1000 + min(n_images, 50_000) / 20)


def suspects_memory_mb(n_images: int) -> int:
    """A thumbnail and a KiB of facts an image, twice."""
    return int(2000 + 4 * n_images / 1000)


def audit_threads(n_images: int) -> int:
    """Eighty forests. Trees of few images are grown too quickly for threads to pay."""
    return min(4, 1 + n_images // 5000)


def shard_features_mb(n_images: int, side: int) -> int:
    """Pixels of a shard, and what frozen layers give of them (0.8 MB an image of 224, twice)."""
    return int(2000 + 1.6 * n_images * (side / 224) ** 2)


def training_memory_mb(n_images: int, side: int, batch_size: int, most_pixels_mb: int) -> int:
    """PyTorch, the activations of a batch, and the pixels of the two largest parts of a split.

    Parameters
    ----------
    n_images, side : int
        As above.
    batch_size : int
        Images of a step. A ResNet18 keeps about 25 MB of activations and gradients for an image
        of 224 pixels.
    most_pixels_mb : int
        ``compute.pixel_memory_mb``: a part that needs more is left on the disk.
    """
    pixels_mb = min(n_images * side**2 / MIB, 2 * most_pixels_mb)
    return int(2000 + pixels_mb + batch_size * 25 * (side / 224) ** 2)


def features_memory_mb(n_bytes: int) -> int:
    """Features of frozen layers: read from files of that size, then joined."""
    return int(2 * n_bytes / MIB)


def export_memory_mb(n_bytes: int) -> int:
    """A network of that size several times over, PyTorch's exporter and onnxruntime."""
    return int(3000 + 10 * n_bytes / MIB)
