"""The profile for other schedulers, with a stand-in for one: needs neither root nor Slurm."""

from pathlib import Path

import pytest

from tests.cluster.slurm_jobs import GENERIC, QUICK
from tests.workflow.small_project import CLASSES, IMAGES_PER_CLASS, Project, make_class_folders
from workflow_scripts.cxrcam.study.resources import search_memory_mb

STAND_IN = Path(__file__).parent / "stand_in.sh"
TARGETS = [f"results/small/splits/two_class/random_subsample/fold-{k}.parquet" for k in (1, 2)]


@pytest.mark.short
def test_every_job_goes_through_the_submit_command_and_a_failed_one_is_retried(tmp_path) -> None:
    project = Project.create(tmp_path / "cxrcam")
    make_class_folders(project.folder / "data" / "small")
    # Fails where it runs for the first time, as on a node that dies.
    project.edit(
        "workflow_scripts/listing.py",
        'if __name__ == "__main__":',
        'if __name__ == "__main__":\n'
        "    first = Path('first-attempt')\n"
        "    if not first.exists():\n"
        "        first.touch()\n"
        "        raise SystemExit(1)",
    )
    queue = tmp_path / "queue"
    asked = "{rule} {threads} {resources.mem_mb} {resources.runtime} {resources.gpu}"
    done = project.snakemake(
        *(*GENERIC, *QUICK, "--jobs", "2"),
        "--cluster-generic-submit-cmd",
        f"echo {asked} >> {tmp_path}/asked; bash {STAND_IN} submit {queue}",
        *("--cluster-generic-status-cmd", f"bash {STAND_IN} status {queue}", "--", *TARGETS),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    rules = [line.split()[0] for line in lines]
    counts = {"listing": 2, "cache": 4, "index": 1, "splits": 2}
    assert {rule: rules.count(rule) for rule in set(rules)} == counts
    n_images = len(CLASSES) * IMAGES_PER_CLASS
    assert f"index 1 {search_memory_mb(n_images)} 30 0" in lines
    assert all((project.folder / target).is_file() for target in TARGETS)
