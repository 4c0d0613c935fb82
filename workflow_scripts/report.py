"""The report of a data set: one page with all results, opened from disk."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.run_pictures import read_run_pictures
from workflow_scripts.cxrcam.report.audit_pages.slices import slices_in_words
from workflow_scripts.cxrcam.report.cells import Link
from workflow_scripts.cxrcam.report.designs import (
    captioned,
    designs_of,
    evidence_links,
    map_links,
    plain,
)
from workflow_scripts.cxrcam.report.enclosed import enclose, size_in_words
from workflow_scripts.cxrcam.report.headline import headline_bars
from workflow_scripts.cxrcam.report.methods import Headline, methods, network_in_words, read_card
from workflow_scripts.cxrcam.report.page import (
    Report,
    made_script,
    render_provenance,
    render_report,
    write_static,
)
from workflow_scripts.cxrcam.report.pictures import write_gallery
from workflow_scripts.cxrcam.report.provenance import COMMAND, making
from workflow_scripts.cxrcam.report.rule_graph import rule_graph
from workflow_scripts.cxrcam.report.tables import (
    columns_table,
    counted_labels,
    external_table,
    leaks_table,
    runs_table,
    source_tables,
    splits_table,
    subgroup_tables,
)

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, made = snakemake.input, snakemake.params, snakemake.output
    folder, shown, pictures = Path(made.page).parent, params.shown, Path(made.pictures)
    metrics, verdict = pd.read_csv(given.metrics), read_json(given.verdict)
    external = pd.read_csv(given.external) if given.external else None
    classes, starts = params.classes[shown["task"]], verdict["starts"]
    settings = (classes, params.input_part, params.max_pixels, params.blank)
    runs = {
        run["fold"]: read_run_pictures(given.images, *files, *settings)
        for run, *files in zip(params.gallery_runs, given.predictions, given.maps, strict=True)
    }
    gallery = write_gallery(
        runs, len(classes), pictures, most=params.most_pictures, **params.drawing
    )
    maps = {
        tuple(run[key] for key in ("task", "scheme", "fold", "seed")): map_links(file, folder)
        for run, file in zip(params.map_runs, given.galleries, strict=True)
    }
    files = (given.verdict_page, given.checklist, given.metrics, given.summary, given.comparisons)
    linked = (given.duplicates_table, given.suspects, given.labels_table, given.slices)
    for table in filter(None, linked):
        enclose(table, folder)  # the pages beside them link them
    judged = (metrics["task"] == shown["task"]) & (metrics["scheme"] == shown["scheme"])
    headline = Headline(
        dataset=snakemake.wildcards.dataset,
        task=shown["task"],
        card=read_card(given.model),
        start=starts[shown["scheme"]],
        division=params.division,
        split=pd.read_parquet(given.split, columns=["label", "role"]),
        runs=metrics[judged],
        is_drawn=params.is_drawn,
    )
    bars = headline_bars(metrics, verdict["headline"], external)
    write_static(folder)
    write_text(made.rulegraph, rule_graph(params.rules_not_used))
    report = Report(
        dataset=snakemake.wildcards.dataset,
        is_drawn=params.is_drawn,
        verdict=verdict,
        bars=bars,
        runs=runs_table(metrics, maps, params.classes),
        overview=plain(given.overview, folder),
        designs=designs_of(
            *(pd.read_csv(given.summary), list(map(read_json, given.runs)), params.runs),
            *(shown, folder, params.reweighted),
        ),
        gallery=gallery,
        gallery_of="{task}, {scheme}, seed {seed}".format(**shown),
        duplicates=captioned(given.duplicates, given.duplicates_caption, folder),
        duplicates_page=enclose(given.duplicates_page, folder),
        map_methods=plain(given.map_methods, folder),
        sources=source_tables(read_json(given.sources), params.small_groups),
        subgroups=plain(given.subgroup_figure, folder),
        subgroup_tables=subgroup_tables(pd.read_csv(given.subgroups)),
        slices=slices_in_words(pd.read_csv(given.slices) if given.slices else None),
        slices_page=enclose(given.slices_page, folder) if given.slices else None,
        columns=columns_table(read_json(given.columns)),
        splits=splits_table(params.splits, map(pd.read_parquet, given.splits), params.classes),
        leaks=leaks_table(pd.read_csv(given.leaks)),
        external=None if external is None else external_table(external),
        n_suspects=pd.read_csv(given.suspects, keep_default_na=False)["image_id"].nunique(),
        suspects_page=enclose(given.suspects_page, folder),
        counted_labels=counted_labels(pd.read_parquet(given.labels)),
        labels_page=enclose(given.labels_page, folder),
        **params.decisions,
        n_quarantined=len(pd.read_csv(given.quarantine)),
        evidence=evidence_links(verdict["checks"], folder),
        files=[
            Link(Path(f).relative_to(folder.parent).as_posix(), enclose(f, folder)) for f in files
        ],
        network=network_in_words(headline.card, headline.start),
        methods=methods(headline, verdict, bars),
        size="",
        configuration=Path(given.configuration).read_text(encoding="utf-8"),
    )
    # Last: of all that was copied above.
    write_text(made.page, render_report(replace(report, size=size_in_words(folder))))
    # In files of their own: date, seconds and versions would change the bytes of the page.
    told = making(os.environ.get(COMMAND))
    write_text(made.script_made, made_script(told))
    about = (report.dataset, report.is_drawn, told)
    provenance = render_provenance(*about, Path(params.benchmarks))
    write_text(made.provenance, provenance)
    log.info("Wrote the report, with %d pictures of maps.", len(gallery.cards))
