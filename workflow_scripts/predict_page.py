"""Answers for new images as tables, pictures and a page."""

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.duplicates.search import find_cross_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import atomic_path, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import log_odds
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.new_images.answers import (
    ABSTAIN,
    answers,
    member_probabilities,
    sets_of,
)
from workflow_scripts.cxrcam.new_images.copies import closest_copies
from workflow_scripts.cxrcam.new_images.likeness import likeness
from workflow_scripts.cxrcam.new_images.reference import read_reference, training_images
from workflow_scripts.cxrcam.report.answer_pictures import Drawing, write_answer_pictures
from workflow_scripts.cxrcam.report.answers_page import (
    AnswersPage,
    answers_table,
    believed,
    quarantine_table,
    render_answers,
    said_of,
)
from workflow_scripts.cxrcam.report.cells import Link, relative_href
from workflow_scripts.cxrcam.report.page import NOTICE, write_static
from workflow_scripts.cxrcam.spreadsheets import write_csv
from workflow_scripts.cxrcam.terms import TRAIN

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    given, params, made = snakemake.input, snakemake.params, snakemake.output
    reference = read_reference(Path(given.reference))
    verdict = json.loads(Path(given.verdict).read_text(encoding="utf-8"))
    facts = pq.read_table(given.facts).to_pandas()
    is_bad = facts["quarantine_reason"].notna()
    readable = facts[~is_bad].reset_index(drop=True)
    image_ids = readable["image_id"].tolist()

    columns = [f"logit_{name}" for name in reference.classes]
    members = pd.read_parquet(given.members).set_index(["fold", "seed", "image_id"])
    logits = np.stack(
        [
            members.loc[[(m.fold, m.seed, i) for i in image_ids], columns].to_numpy(np.float32)
            for m in reference.members
        ]
    )
    probabilities = member_probabilities(logits, reference)
    sets = sets_of(probabilities, pd.read_parquet(given.scores), reference)

    own = stored_fingerprints(given.own)
    splits = [pd.read_parquet(file) for file in given.splits]
    row_of = {image_id: row for row, image_id in enumerate(own.image_ids)}
    known = own.thumbnails[[row_of[image_id] for image_id in training_images(splits)]]
    thumbnails = np.frombuffer(b"".join(readable["thumbnail"]), dtype=np.uint8)
    found = likeness(thumbnails.reshape(-1, *known.shape[1:]), known)
    table = answers(readable, probabilities, sets, found, reference)

    new = stored_fingerprints([given.facts])
    trained_on = Counter(i for s in splits for i in s.loc[s["role"] == TRAIN, "image_id"])
    pairs = find_cross_duplicates(own, given.own_shards, new, [given.pixels], snakemake.threads)
    copies = closest_copies(pairs, trained_on)

    table["copy_of"] = [copies[i].image_id if i in copies else "" for i in image_ids]
    table["copy_note"] = [
        copies[i].sentence(len(reference.members)) if i in copies else "" for i in image_ids
    ]
    table["networks"] = len(reference.members)
    table["can_it_be_believed"] = believed(verdict)
    table["notice"] = NOTICE
    quarantine = facts.loc[is_bad, ["image_id", "quarantine_reason"]]
    quarantine.columns = ["image", "reason"]
    written = table.drop(columns="is_input")
    write_csv(Path(made.predictions), written)
    with atomic_path(Path(made.parquet)) as temporary:
        written.to_parquet(temporary, index=False)
    write_csv(Path(made.quarantine), quarantine)

    page = Path(made.page)
    n_drawn = min(params.pictures, len(table))
    likeliest = probabilities.mean(axis=0).argmax(axis=1)
    maps = read_evidence_maps(Path(given.maps), image_ids, reference.classes)
    shown = replace(maps, values=maps.values[:n_drawn]).of_class(likeliest[:n_drawn])
    rows = [
        {
            **row,
            "abstained": row["answer"] == ABSTAIN,
            "said": said_of(row, reference),
            "notes": [row["copy_note"]] if row["copy_of"] else [],
            "explained": reference.classes[likeliest[k]],
        }
        for k, row in enumerate(table.iloc[:n_drawn].to_dict("records"))
    ]
    cards = write_answer_pictures(
        rows,
        [Path(os.fsdecode(path)) for path in readable["path"][:n_drawn]],
        shown,
        page.parent,
        Drawing(
            params.input_part,
            reference.heat_scale,
            len(reference.classes),
            params.drawing["opacity"],
            params.max_pixels,
            [f"Can it be believed? {believed(verdict)}", NOTICE],
            params.drawing["against"],
        ),
        snakemake.threads,
    )
    named = [made.predictions, made.parquet, made.quarantine, given.members, given.maps]
    write_static(page.parent)
    write_text(
        page,
        render_answers(
            AnswersPage(
                dataset=snakemake.wildcards.dataset,
                asked=params.asked,
                reference=reference,
                verdict=verdict,
                verdict_link=Link(
                    "audit/verdict.md", relative_href(Path(given.verdict_page), page.parent)
                ),
                table=answers_table(table, copies, reference),
                quarantine=quarantine_table(quarantine),
                n_answered=int((table["answer"] != ABSTAIN).sum()),
                cards=cards,
                scale=log_odds(reference.heat_scale, len(reference.classes)),
                files=[
                    Link(Path(file).name, relative_href(Path(file), page.parent)) for file in named
                ],
            )
        ),
    )
    log.info("Answered %d of %d images.", (table["answer"] != ABSTAIN).sum(), len(table))
