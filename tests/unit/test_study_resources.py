"""What jobs ask for grows with what they read, and is known where it was measured."""

import pytest

from workflow_scripts.cxrcam.study import resources

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("amount", "little", "much"),
    [
        (resources.decoding_memory_mb, 1500, 2000),
        (resources.listing_memory_mb, 1000, 4000),
        (resources.search_memory_mb, 2000, 62000),
        (resources.suspects_memory_mb, 2000, 6000),
        (resources.search_minutes, 30, 180),
        (resources.search_threads, 1, 8),
        (resources.audit_threads, 1, 4),
        # A KiB of facts an image; of more than 50,000 images features are not made.
        (resources.audit_memory_mb, 1500, 1500 + 1000 + 2500),
    ],
)
def test_amounts_for_no_image_and_for_a_million(amount, little, much):
    assert (amount(0), amount(MILLION)) == (little, much)
    steps = [amount(n) for n in range(0, MILLION, 10_000)]
    assert steps == sorted(steps) and all(isinstance(step, int) for step in steps)


@pytest.mark.parametrize(
    ("n_shards", "cores", "threads"),
    [(1, 2, 2), (2, 2, 1), (100, 2, 1), (1, 64, 8), (3, 8, 2), (2, None, 4)],
)
def test_shards_share_the_cores_up_to_eight(n_shards, cores, threads):
    assert resources.decoding_threads(n_shards, cores) == threads


def test_training_holds_a_batch_and_pixels_up_to_the_limit():
    def memory(**changes):
        usual = {"n_images": 2**10, "side": 256, "batch_size": 16, "most_pixels_mb": 8000}
        return resources.training_memory_mb(**(usual | changes))

    batch = 16 * 25 * (256 / 224) ** 2
    assert memory() == int(2000 + 64 + batch)  # 2^10 images of 2^16 bytes are 64 MiB
    assert memory(batch_size=32) == int(2000 + 64 + 2 * batch)
    assert memory(side=512) == int(2000 + 4 * 64 + 4 * batch)
    # Two parts of a split at most are in memory, each up to the limit.
    assert memory(most_pixels_mb=10) == int(2000 + 20 + batch)


def test_frozen_features_ask_for_the_pixels_of_a_shard():
    assert resources.shard_features_mb(1000, 224) == 2000 + 1600
    assert resources.shard_features_mb(1000, 448) == 2000 + 4 * 1600


def test_files_are_held_several_times_over():
    assert resources.features_memory_mb(5 * 2**20) == 10
    assert resources.export_memory_mb(45 * 2**20) == 3000 + 450
