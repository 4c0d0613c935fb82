"""Disks that fail now and then, are slow, or may not be written: `make test-faults`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow import fault_injection as faults
from tests.workflow.small_project import Project, make_class_folders

# Read by each Python process when it starts: every file takes its time to reach the disk, and each
# third one, counted over all processes, does not reach it.
FLAKY = """
import errno, fcntl, os, time

flush = os.fsync

def flaky(descriptor):
    time.sleep(0.05)
    with open({counter!r}, "a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.write("x")
        counter.flush()
        if counter.tell() % 7 == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    flush(descriptor)

os.fsync = flaky
"""


def test_a_slow_disk_that_fails_now_and_then_costs_retries_and_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property
) -> None:
    project = faults.prepared(tmp_path / "cxrcam")
    faults.finish(project)
    expected = faults.outcome(project)
    faults.forget(project)
    counter = tmp_path / "files"
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "sitecustomize.py").write_text(FLAKY.format(counter=str(counter)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "disk"))
    done = project.snakemake("--cores", "1", "--retries", "20", *faults.TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    n_files = counter.stat().st_size
    assert n_files >= 7, "the disk never failed"
    assert f"'{faults.RUN}/" in done.stdout + done.stderr, "the file is not named"
    assert "the disk or network failed: check it" in done.stdout + done.stderr
    assert not faults.half_written(project)
    assert not list((project.folder / "results").rglob(".*.part*"))
    assert faults.outcome(project) == expected
    record_property("shown", f"flaky disk: {n_files // 7} of {n_files} files failed to be written")


def test_results_that_may_not_be_written_are_said_so_and_keep_what_they_have(
    tmp_path: Path,
) -> None:
    project = Project.create(tmp_path / "cxrcam")
    make_class_folders(project.folder / "data" / "small")
    project.run("results/small/index/listing.parquet")
    before = project.results()
    # A name space of mounts of its own, in which the folder is read-only, for root too.
    script = (
        "mount --bind results results && mount -o remount,bind,ro results && "
        f"exec {sys.executable} -m snakemake --configfile overlay.yaml --cores 1 all"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    if "unshare failed" in said:
        pytest.skip(f"this machine allows no name spaces: {said.strip()}")
    assert done.returncode == 1
    assert "read-only" in said.lower()
    assert "Traceback" not in said
    assert project.results() == before
    project.run("results/small/index/images.parquet")
