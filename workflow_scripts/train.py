"""Train one classifier: one task, scheme, fold and seed; in one process, or in several."""

import signal

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.devices import choose_devices
from workflow_scripts.cxrcam.networks.training.checkpoints import TrainingStopped
from workflow_scripts.cxrcam.networks.training.job import TrainingJob, train_classifier
from workflow_scripts.cxrcam.networks.training.several_processes import train_in_processes
from workflow_scripts.cxrcam.networks.without_compiler import compiler_left_out

COMPUTE = ("cuda_graphs", "threads", "pixel_memory_mb", "checkpoint_seconds")
PARAMS = (
    *("image", "input_part", "model", "settings", "recipes", "precision", "deterministic"),
    *("code", "checkpoint"),
)

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    wildcards, compute = snakemake.wildcards, snakemake.config["compute"]
    devices = choose_devices(
        compute["device"], snakemake.resources.get("gpu"), snakemake.resources.processes
    )
    job = TrainingJob(
        *(wildcards.task, wildcards.scheme, int(wildcards.fold), int(wildcards.seed)),
        classes=list(params.classes),
        findings=bool(params.findings),
        **{name: params[name] for name in PARAMS},
        **{name: compute[name] for name in COMPUTE},
        split=inputs.split,
        shards=list(inputs.shards),
        features=list(inputs.features),
        masks=inputs.get("masks") or None,
        weights=inputs.get("weights") or None,
        index=inputs.get("index") or None,
        model_file=outputs.model,
        history_file=outputs.history,
        timings_file=outputs.timings,
    )
    try:
        if len(devices) == 1:
            with compiler_left_out():
                train_classifier(job, devices[0], log)
        else:
            log.info("Training in %d processes (train.gpus) on %s.", len(devices), devices[0].type)
            train_in_processes(job, devices, snakemake.log[0])
    except TrainingStopped:
        log.warning(
            "Stopped by a signal; its state is in %s. Run again to go on.", params.checkpoint
        )
        raise SystemExit(128 + signal.SIGTERM) from None
