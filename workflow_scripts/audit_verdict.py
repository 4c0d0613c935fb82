"""Whether the numbers can be believed: one line a check, one sentence, and the CLAIM checklist."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.audit.claim_checklist import claim_checklist_markdown
from workflow_scripts.cxrcam.files import atomic_path, write_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.starting_weights import (
    planned_starts,
    start_of_model,
    starts_in_words,
)
from workflow_scripts.cxrcam.verdict.checks import AuditTables, all_checks
from workflow_scripts.cxrcam.verdict.page import one_sentence, verdict_json, verdict_markdown
from workflow_scripts.cxrcam.verdict.run_tables import (
    calibration_rows,
    headline_of,
    labelled_pairs,
    masked_rows,
    repeatability,
)


def read_json(file: str) -> dict[str, Any]:
    """Content of a JSON file."""
    content: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    keys, explained = (
        [(run["task"], run["scheme"], int(run["fold"]), int(run["seed"])) for run in listed]
        for listed in (params.runs, params.explained_runs)
    )
    metrics = pd.read_csv(given.metrics)
    images = pd.read_parquet(given.images, columns=["image_id", "label"]).set_index("image_id")
    pairs = labelled_pairs(pd.read_parquet(given.duplicates), images)
    masked = masked_rows(dict(zip(keys, given.masked, strict=True)), metrics, params.covered)
    calibration = calibration_rows(metrics)
    files = {
        key: (maps, predictions)
        for key, maps, predictions in zip(keys, given.raw_maps, given.predictions, strict=True)
    }
    repeated = {
        (task, scheme): repeatability(files, task, scheme, params.classes[task])
        for task, scheme in dict.fromkeys(key[:2] for key in keys)
    }
    checks = all_checks(
        AuditTables(
            duplicates=pairs,
            n_images=len(images),
            leaks=pd.read_csv(given.leaks),
            sources=read_json(given.sources),
            acquisition=read_json(given.acquisition),
            # Cross-validated over all images: the scheme is empty, not missing.
            floors=pd.read_csv(given.floors, keep_default_na=False, na_values={"accuracy": [""]}),
            runs=metrics.rename(
                columns={"best_floor": "floor_name", "best_floor_accuracy": "floor_accuracy"}
            ),
            masked_inputs=masked,
            maps={k: read_json(f) for k, f in zip(keys, given.maps, strict=True)},
            map_tests={k: read_json(f) for k, f in zip(explained, given.map_tests, strict=True)},
            repeatability=repeated,
            calibration=calibration,
            expected=pd.read_csv(given.expected) if given.get("expected") else None,
            external=pd.read_csv(given.external) if given.get("external") else None,
        )
    )
    headline = headline_of(metrics, params.headline, params.classes[params.headline["task"]])
    for table, target in ((masked, made.masked), (calibration, made.calibration)):
        with atomic_path(Path(target)) as temporary:
            table.to_csv(temporary, index=False)
    write_json(
        Path(made.repeatability), {"/".join(design): result for design, result in repeated.items()}
    )
    starts = planned_starts(params.weights, given.starts)
    # Of the first fold and seed of each design: all of a scheme start alike.
    starts |= {
        key[1]: start_of_model(Path(file), starts[key[1]])
        for key, file in zip(explained, given.models, strict=True)
    }
    title = f"Can the number be believed? Data set {snakemake.wildcards.dataset}"
    page = verdict_markdown(checks, headline, title, starts_in_words(starts))
    write_text(Path(made.page), page)
    write_json(Path(made.json), {**verdict_json(checks, headline), "starts": starts})
    folder = Path(made.page).parents[1]
    # What the workflow makes, not what is on the disk by now: that depends on the order of jobs.
    promised = {os.path.relpath(file, folder) for file in (*params.made, *given, *made)}
    write_text(Path(made.checklist), claim_checklist_markdown(sorted(promised)))
    log.info(one_sentence(checks, headline))
