"""A short version of `make test-faults`: killed and stopped runs go on, with the same bits."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.workflow import fault_injection as faults
from tests.workflow.small_project import Project


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Project, dict[str, bytes], float]:
    """A project trained once in peace, what it made, and the seconds that took."""
    project = faults.prepared(tmp_path_factory.mktemp("faults") / "cxrcam")
    faults.finish(project)
    return project, faults.outcome(project)


@pytest.mark.parametrize("victim", ["training", "snakemake", "both"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(undisturbed, victim: str) -> None:
    project, expected = undisturbed
    faults.forget(project)
    assert faults.strike(project, victim, delay=None)
    assert not faults.half_written(project)
    checkpoint = project.folder / faults.RUN / faults.CHECKPOINT
    assert checkpoint.is_file()
    faults.finish(project)
    log = Path(project.folder / faults.RUN.replace("results", "results/logs", 1) / "train.log")
    assert "Going on after iteration" in log.read_text(encoding="utf-8")
    assert faults.outcome(project) == expected
    assert not checkpoint.exists()


def test_sigterm_saves_the_state_and_leaves_within_ten_seconds(undisturbed) -> None:
    project, expected = undisturbed
    faults.forget(project)
    running = faults.start(project)
    process = faults.wait_for_training(project, running)
    faults.wait_for_checkpoint(project, process)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert time.monotonic() - asked < 10
    assert running.wait(60) == 1, "Snakemake must see the job as failed, so that it is retried"
    assert (project.folder / faults.RUN / faults.CHECKPOINT).is_file()
    faults.finish(project)
    assert faults.outcome(project) == expected


def test_an_interrupt_that_reaches_snakemake_alone_stops_the_training_too(undisturbed) -> None:
    project, expected = undisturbed
    faults.forget(project)
    running = faults.start(project)
    process = faults.wait_for_training(project, running)
    faults.wait_for_checkpoint(project, process)
    running.send_signal(signal.SIGINT)
    process.wait(30)
    running.wait(60)
    assert (project.folder / faults.RUN / faults.CHECKPOINT).is_file()
    assert not (project.folder / faults.RUN / "model.safetensors").exists()
    faults.finish(project)
    log = project.folder / faults.RUN.replace("results", "results/logs", 1) / "train.log"
    assert "Going on after iteration" in log.read_text(encoding="utf-8")
    assert faults.outcome(project) == expected


def test_a_disk_that_is_full_is_said_so_and_leaves_nothing_half_written(undisturbed) -> None:
    project, expected = undisturbed
    faults.forget(project)
    (project.folder / "snakemake.out").unlink(missing_ok=True)
    running = faults.start(project, largest_file=1_000_000)  # the model takes nine times that
    assert running.wait(300) == 1
    said = (project.folder / "snakemake.out").read_text(encoding="utf-8")
    assert "raise the limit" in said
    assert not (project.folder / faults.RUN / "model.safetensors").exists()
    assert not list((project.folder / faults.RUN).glob(".*"))
    faults.finish(project)
    assert faults.outcome(project) == expected


def test_a_damaged_cache_file_is_named_and_the_next_run_makes_it_anew(undisturbed) -> None:
    project, expected = undisturbed
    faults.forget(project)
    shard = project.folder / faults.cache(project)[0]
    times, content = shard.stat(), bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = project.snakemake("--cores", "1", *faults.TARGETS)
    assert done.returncode == 1
    assert f"{faults.cache(project)[0]} is damaged" in done.stdout + done.stderr
    shard.unlink()
    faults.finish(project)
    assert faults.outcome(project) == expected


def test_a_second_snakemake_in_the_same_folder_is_refused_and_harms_nothing(undisturbed) -> None:
    project, expected = undisturbed
    faults.forget(project)
    running = faults.start(project)
    assert faults.wait_for_training(project, running) is not None
    second = project.snakemake("--cores", "1", *faults.TARGETS)
    assert second.returncode == 1
    assert "lock" in (second.stdout + second.stderr).lower()
    assert running.wait(300) == 0
    assert faults.outcome(project) == expected
