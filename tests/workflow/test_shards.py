"""How many shards the cache has, and so how many jobs decode it, changes no byte behind it."""

from tests.workflow.small_project import DATASET, Project

ROOT = f"results/{DATASET}"
RUN = "two_class/holdout/fold-1/seed-0"
# One of each kind of job that reads facts, pixels or masks of all shards.
MADE = (
    f"{ROOT}/index/images.parquet",
    f"{ROOT}/index/quarantine.csv",
    f"{ROOT}/audit/duplicates.parquet",
    f"{ROOT}/cache/masks.parquet",
    f"{ROOT}/splits/two_class/holdout/fold-1.parquet",
    f"{ROOT}/runs/{RUN}/model.safetensors",
    f"{ROOT}/runs/{RUN}/history.parquet",
    f"{ROOT}/runs/{RUN}/predictions.parquet",
    f"{ROOT}/runs/{RUN}/features.parquet",
    f"{ROOT}/cam/{RUN}/maps.parquet",
    f"{ROOT}/audit/{RUN}/covered.parquet",
    f"{ROOT}/audit/two_class/holdout/fold-1/floors.parquet",
    f"{ROOT}/audit/sources.json",
    f"{ROOT}/audit/columns.json",
    f"{ROOT}/audit/acquisition.json",
    f"{ROOT}/audit/floors.csv",
)


def test_one_shard_gives_the_same_bytes_as_four(finished: Project, project: Project) -> None:
    for name in MADE:
        (project.folder / name).unlink()
    project.change(image={"shard_images": 1000})
    printed = project.run(*MADE)
    assert printed.count("Decoding shard") == 1
    shards = [len(list((p.folder / ROOT / "cache").glob("shard-*"))) for p in (finished, project)]
    assert shards[0] == 4
    differing = [
        name
        for name in MADE
        if (finished.folder / name).read_bytes() != (project.folder / name).read_bytes()
    ]
    assert differing == []
