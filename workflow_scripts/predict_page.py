"""Answers for new images as tables, pictures and a page."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.duplicates.likeness import likeness, thumbnails_of
from workflow_scripts.cxrcam.duplicates.search import find_cross_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.new_images.answers import (
    ABSTAIN,
    answers,
    apart_by_quarantine,
    member_probabilities,
    sets_of,
)
from workflow_scripts.cxrcam.new_images.copies import closest_copies, with_copies
from workflow_scripts.cxrcam.new_images.reference import read_reference, training_images
from workflow_scripts.cxrcam.report.answers.page import (
    AnswersPage,
    believed,
    draw_answers,
    render_answers,
)
from workflow_scripts.cxrcam.report.answers.pictures import Drawing
from workflow_scripts.cxrcam.report.cells import file_link
from workflow_scripts.cxrcam.report.page import write_static
from workflow_scripts.cxrcam.report.templating import trained_notice
from workflow_scripts.cxrcam.spreadsheets import write_csv, write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, made = snakemake.input, snakemake.params, snakemake.output
    reference, verdict = read_reference(Path(given.reference)), read_json(given.verdict)
    facts, quarantine = apart_by_quarantine(pd.read_parquet(given.facts))
    own, new = stored_fingerprints(given.own), stored_fingerprints([given.facts])
    trained_on = training_images([pd.read_parquet(file) for file in given.splits])
    members = pd.read_parquet(given.members)
    probabilities = member_probabilities(members, new.image_ids, reference)
    sets = sets_of(probabilities, pd.read_parquet(given.scores), reference)
    found = likeness(new.thumbnails, thumbnails_of(own, sorted(trained_on)))
    pairs = find_cross_duplicates(own, given.own_shards, new, [given.pixels], snakemake.threads)
    table = with_copies(
        answers(facts, probabilities, sets, found, reference),
        *(closest_copies(pairs, trained_on), len(reference.members)),
    )
    notice = trained_notice(reference.is_drawn)
    told = {"can_it_be_believed": believed(verdict), "notice": notice}
    written = table.drop(columns="is_input").assign(**told)
    write_csv(made.predictions, written)
    write_frame(made.parquet, written)
    write_csv(made.quarantine, quarantine)
    folder = Path(made.page).parent
    notices = [f"Can it be believed? {believed(verdict)}", notice]
    image = {"max_pixels": params.max_pixels, "blank": params.blank}
    shared = {**image, "notices": notices, **params.drawing}
    drawing = Drawing(params.input_part, reference.heat_scale, len(reference.classes), **shared)
    cards = draw_answers(
        *(table.head(params.pictures), facts["path"], probabilities.mean(axis=0).argmax(axis=1)),
        *(Path(given.maps), reference, folder, drawing, snakemake.threads),
    )
    verdict_link = file_link(given.verdict_page, folder, "audit/verdict.md")
    files = (made.predictions, made.parquet, made.quarantine, given.members, given.maps)
    page = AnswersPage(
        *(snakemake.wildcards.dataset, params.asked, reference, verdict, verdict_link),
        *(table, quarantine, cards, [file_link(file, folder) for file in files]),
        params.reweighting,
    )
    write_static(folder)
    write_text(made.page, render_answers(page))
    log.info("Answered %d of %d images.", (table["answer"] != ABSTAIN).sum(), len(table))
