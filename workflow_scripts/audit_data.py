"""What tells the classes apart without any lung: source, view, size, file, greys, spectrum."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.audit.acquisition import (
    OF_PIXELS,
    dicom_counts,
    trace_separability,
    traces_of,
)
from workflow_scripts.cxrcam.audit.class_by_column import (
    assess_class_by_columns,
    not_judged_in_words,
)
from workflow_scripts.cxrcam.audit.class_by_source import assess_class_by_source
from workflow_scripts.cxrcam.audit.suspect_labels import judged_labels
from workflow_scripts.cxrcam.contracts import JUDGED_LABELS
from workflow_scripts.cxrcam.data.cached_pixels import cached_pixels
from workflow_scripts.cxrcam.data.findings import labels_in_task
from workflow_scripts.cxrcam.data.pixel_stream import at_most, stream_features
from workflow_scripts.cxrcam.data.trait_columns import columns_of, unread_ages
from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.floors.features import FEATURES
from workflow_scripts.cxrcam.floors.floors import floors_of_task, folds_of_task
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.spreadsheets import write_frame

# Of more, so many are drawn: enough for intervals of a percent, and memory stays bounded.
IMAGES = 50_000

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, threads = snakemake.input, snakemake.output, snakemake.threads
    sizes = pd.read_parquet(given.listing, columns=["image_id", "size_bytes"])
    images = pd.read_parquet(given.images)
    # No column of the index: a manifest may have one of that name.
    n_bytes = images["image_id"].map(sizes.set_index("image_id")["size_bytes"])
    sources = [name if isinstance(name, str) else None for name in images["source"]]
    tasks, findings = snakemake.params.tasks, snakemake.params.findings
    labels = {task: labels_in_task(images, findings.get(task)) for task in tasks}
    of_any = np.any([labels[task].isin(tasks[task]) for task in tasks], axis=0)
    drawn = at_most(of_any, IMAGES, generator(0, "images of the audit"))
    # Pixels pass once, however many tasks an image belongs to.
    parts = cached_pixels(given.shards, images["image_id"].tolist(), snakemake.params.size)
    of_pixels = stream_features(parts, drawn, {**OF_PIXELS, **FEATURES})
    by_source, by_column, acquisition, floors, judged = {}, {}, {}, [], []
    for sentence in unread_ages(images, columns_of(images)):
        log.warning(sentence)
    for task, classes in tasks.items():
        by_source[task] = vars(assess_class_by_source(labels[task].tolist(), sources, classes))
        of_task = labels[task].isin(classes).to_numpy() & drawn
        chosen = images.assign(label=labels[task])[of_task]
        features = {name: rows[of_task[drawn]] for name, rows in of_pixels.items()}
        columns = assess_class_by_columns(
            *(chosen, classes, folds_of_task(task, chosen, classes)),
            named=snakemake.params.traits,
            findings={finding["label"] for finding in findings.values()},
        )
        by_column[task] = {column: vars(found) for column, found in columns.items()}
        for sentence in not_judged_in_words(columns):
            log.warning("%s: %s", task, sentence)
        acquisition[task] = {}
        for name, (words, trace, threshold) in traces_of(
            chosen.assign(size_bytes=n_bytes[of_task]), features
        ).items():
            found = trace_separability(
                *(trace, chosen["label"].to_numpy(), chosen["group"].to_numpy()),
                generator(0, "acquisition", task, name),
                **{"trace": words, "threshold": threshold, "threads": threads},
            )
            acquisition[task][name] = vars(found)
            log.info("%s: %s", task, found.verdict)
        if "dicom" in acquisition[task]:
            acquisition[task]["dicom"]["counts"] = dicom_counts(chosen)
        rows, probabilities = floors_of_task(task, chosen, features, classes, threads)
        floors += [{"task": task, "scheme": "", **row} for row in rows]
        named = chosen["image_id"].tolist(), chosen["label"].tolist()
        judged.append(judged_labels(*named, classes, probabilities).assign(task=task))
    write_json(made.sources, by_source)
    write_json(made.columns, by_column)
    write_json(made.acquisition, acquisition)
    write_frame(made.floors, pd.DataFrame(floors))
    table = pa.Table.from_pandas(pd.concat(judged), JUDGED_LABELS, preserve_index=False)
    with atomic_path(Path(made.labels)) as temporary:
        pq.write_table(table, temporary)
