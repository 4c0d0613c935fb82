"""The report of a data set: one page with all results, opened from disk."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.run_pictures import read_run_pictures
from workflow_scripts.cxrcam.report.cells import file_link, relative_href
from workflow_scripts.cxrcam.report.designs import (
    captioned,
    designs_of,
    evidence_links,
    map_links,
    plain,
)
from workflow_scripts.cxrcam.report.headline import headline_bars
from workflow_scripts.cxrcam.report.page import (
    RULES,
    Report,
    render_provenance,
    render_report,
    write_static,
)
from workflow_scripts.cxrcam.report.pictures import write_gallery
from workflow_scripts.cxrcam.report.provenance import PROJECT, commit_of
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
    classes = params.classes[shown["task"]]
    settings = (classes, params.input_part, params.max_pixels)
    runs = {
        run["fold"]: read_run_pictures(given.images, *files, *settings)
        for run, *files in zip(params.gallery_runs, given.predictions, given.maps, strict=True)
    }
    gallery = write_gallery(runs, classes, pictures, most=params.most_pictures, **params.drawing)
    files = (given.verdict_page, given.checklist, given.metrics, given.summary, given.comparisons)
    report = Report(
        dataset=snakemake.wildcards.dataset,
        is_drawn=params.is_drawn,
        verdict=verdict,
        bars=headline_bars(metrics, verdict["headline"], external),
        runs=runs_table(metrics, map_links(given.galleries, folder)),
        overview=plain(given.overview, folder),
        designs=designs_of(pd.read_csv(given.summary), shown, folder, params.reweighted),
        gallery=gallery,
        gallery_of="{task}, {scheme}, seed {seed}".format(**shown),
        duplicates=captioned(given.duplicates, given.duplicates_caption, folder),
        duplicates_page=relative_href(given.duplicates_page, folder),
        map_methods=plain(given.map_methods, folder),
        sources=source_tables(read_json(given.sources), params.small_groups),
        subgroups=plain(given.subgroup_figure, folder),
        subgroup_tables=subgroup_tables(pd.read_csv(given.subgroups)),
        columns=columns_table(read_json(given.columns)),
        splits=splits_table(params.splits, map(pd.read_parquet, given.splits), params.classes),
        leaks=leaks_table(pd.read_csv(given.leaks)),
        external=None if external is None else external_table(external),
        n_suspects=pd.read_csv(given.suspects, keep_default_na=False)["image_id"].nunique(),
        suspects_page=relative_href(given.suspects_page, folder),
        counted_labels=counted_labels(pd.read_parquet(given.labels)),
        labels_page=relative_href(given.labels_page, folder),
        **params.decisions,
        n_quarantined=len(pd.read_csv(given.quarantine)),
        evidence=evidence_links(verdict["checks"], folder),
        files=[file_link(f, folder, Path(f).relative_to(folder.parent).as_posix()) for f in files],
        configuration=Path(given.configuration).read_text(encoding="utf-8"),
    )
    write_static(folder, RULES)
    write_text(made.page, render_report(report))
    # In a file of its own: seconds and versions would change the bytes of the page.
    about = (report.dataset, report.is_drawn, commit_of(PROJECT))
    provenance = render_provenance(*about, Path(params.benchmarks))
    write_text(made.provenance, provenance)
    log.info("Wrote the report, with %d pictures of maps.", len(gallery.cards))
