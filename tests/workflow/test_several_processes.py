"""A training that two processes share, through the workflow."""

from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.networks.models import load_model

RUN = "results/small/runs/two_class/holdout/fold-1/seed-0"


def test_two_processes_train_a_model_and_tell_its_story_once(project: Project) -> None:
    project.change(train={"gpus": 2, "sync_batch_norm": False})
    project.run(f"{RUN}/model.safetensors")
    log = (project.folder / RUN.replace("results", "results/logs", 1) / "train.log").read_text()
    assert "Training in 2 processes (train.gpus) on cpu." in log
    assert log.count("epoch 1.00 of 1") == 1, "each process tells its story"
    card = load_model(project.folder / RUN / "model.safetensors")[1]
    assert (card.training["processes"], card.training["gpus"]) == (2, 2)
    # Until the predictions tell that Snakemake has recorded the model.
    assert (project.folder / RUN / "checkpoint.safetensors").exists()
    project.run(f"{RUN}/predictions.parquet")
    assert not (project.folder / RUN / "checkpoint.safetensors").exists()
