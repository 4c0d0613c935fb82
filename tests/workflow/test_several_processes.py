"""A training that two processes share, through the workflow."""

from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.networks.models import load_model

RUN = "results/small/runs/two_class/holdout/fold-1/seed-0"


def test_two_processes_train_a_model_where_one_was_lost_and_nothing_else_is_made(
    project: Project,
) -> None:
    alone = load_model(project.folder / RUN / "model.safetensors")[1]
    (project.folder / RUN / "model.safetensors").unlink()
    project.change(train={"gpus": 2})
    project.run(f"{RUN}/model.safetensors")
    log = (project.folder / RUN.replace("results", "results/logs", 1) / "train.log").read_text()
    assert "Training in 2 processes (train.gpus) on the CPU, as no GPU" in log
    assert log.count("epoch 1.00 of 1") == 1, "each process tells its story"
    shared = load_model(project.folder / RUN / "model.safetensors")[1]
    assert shared.training.pop("processes") == 2
    assert shared == alone, "the card says of what the number of processes does not change"
    assert not (project.folder / RUN / "checkpoint.safetensors").exists()
