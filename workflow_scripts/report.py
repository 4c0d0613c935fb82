"""The report of a data set: one page with all results, opened from disk."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd

from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.run_pictures import read_run_pictures
from workflow_scripts.cxrcam.report.cells import Link, interval_cell, relative_href
from workflow_scripts.cxrcam.report.headline import headline_bars
from workflow_scripts.cxrcam.report.page import (
    FIGURE_WORDS,
    RULES,
    Design,
    Figure,
    Report,
    render_provenance,
    render_report,
    write_static,
)
from workflow_scripts.cxrcam.report.pictures import write_gallery
from workflow_scripts.cxrcam.report.provenance import (
    PROJECT,
    commit_of,
    jobs_table,
    versions_table,
)
from workflow_scripts.cxrcam.report.tables import (
    external_rows,
    leaks_table,
    runs_table,
    source_tables,
    splits_table,
)


def read_json(file: str) -> dict[str, Any]:
    """Content of a JSON file."""
    content: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    return content


def one_or_none(files: Any) -> str | None:  # noqa: ANN401  # Snakemake gives a string or a list
    """The file of an input that need not be there."""
    return files if isinstance(files, str) else next(iter(files), None)


def numbers_of(summary: dict[str, Any]) -> str:
    """What a design reached, in a line."""
    accuracy = interval_cell(
        summary["pooled_accuracy"], summary["pooled_accuracy_low"], summary["pooled_accuracy_high"]
    )
    n_runs = summary["n_runs"]
    text = f"accuracy {accuracy.text}, n = {summary['pooled_n']:,} in {n_runs} run"
    text += "" if n_runs == 1 else "s"
    auroc = summary.get("macro_auroc_mean")
    return text if pd.isna(auroc) else f"{text}; AUROC {auroc:.3f}"


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    given, params = snakemake.input, snakemake.params
    page = Path(snakemake.output.page)
    folder, data_set = page.parent, page.parent.parent

    def link(file: str | Path) -> str:
        """Where a file of the results lies as seen from the page."""
        return relative_href(Path(file), folder)

    def drawn(png: str, caption: str, title: str) -> Figure:
        """A picture whose caption stands in a file of its own, and on the page below it."""
        text = Path(caption).read_text(encoding="utf-8").strip()
        return Figure(text, f"{title}, as the caption says", link(png))

    metrics = pd.read_csv(given.metrics)
    verdict = read_json(given.verdict)
    summaries = pd.read_csv(given.summary).to_dict("records")
    shown = params.shown
    designs = []
    for summary in summaries:
        where = f"{summary['task']}, {summary['scheme']}"
        numbers = numbers_of(summary)
        designs.append(
            Design(
                summary["task"],
                summary["scheme"],
                numbers,
                [
                    Figure(
                        words,
                        f"{words} of {where}: {numbers}",
                        link(
                            data_set / f"figures/{kind}-{summary['task']}-{summary['scheme']}.svg"
                        ),
                    )
                    for kind, words in FIGURE_WORDS.items()
                ],
                (summary["task"], summary["scheme"]) == (shown["task"], shown["scheme"]),
            )
        )
    maps = [
        [Link(unquote(file.stem), link(file)) for file in sorted(Path(gallery).glob("*.png"))]
        for gallery in given.galleries
    ]
    classes = params.classes[shown["task"]]
    shown_runs = {
        run["fold"]: read_run_pictures(
            *map(Path, (given.images, predictions, raw_maps)),
            *(classes, params.input_part, params.max_pixels),
        )
        for run, predictions, raw_maps in zip(
            params.gallery_runs, given.predictions, given.maps, strict=True
        )
    }
    gallery = write_gallery(
        *(shown_runs, classes, Path(snakemake.output.pictures)),
        *(params.drawing["opacity"], params.most_pictures, params.drawing["against"]),
    )
    external, map_methods = one_or_none(given.external), one_or_none(given.map_methods)
    # Patterns that stand for several files are no links, nor is what this run did not need.
    named = dict.fromkeys(check["file"] for check in verdict["checks"])
    evidence = {file: link(data_set / file) for file in named if (data_set / file).is_file()}
    files = (given.verdict_page, given.checklist, given.metrics, given.summary, given.comparisons)
    report = Report(
        dataset=snakemake.wildcards.dataset,
        verdict=verdict,
        bars=headline_bars(metrics, verdict["headline"]),
        runs=runs_table(metrics, maps),
        overview=Figure(
            "Accuracy of every run with its interval, and its floors",
            "Accuracy of every run beside its floors; the numbers stand in the table of runs",
            link(given.overview),
        ),
        designs=designs,
        gallery=gallery,
        gallery_of="{task}, {scheme}, seed {seed}".format(**shown),
        duplicates=drawn(
            given.duplicates, given.duplicates_caption, "The largest clusters of near-duplicates"
        ),
        label_conflicts=drawn(
            given.label_conflicts, given.label_conflicts_caption, "Pictures that bear two labels"
        ),
        map_methods=None
        if map_methods is None
        else Figure(
            "Other ways to make a map",
            "The same X-rays with maps by several methods, side by side",
            link(map_methods),
        ),
        sources=source_tables(read_json(given.sources)),
        splits=splits_table(
            params.splits,
            [pd.read_parquet(file) for file in given.splits],
            list(dict.fromkeys(name for task in params.classes.values() for name in task)),
        ),
        leaks=leaks_table(pd.read_csv(given.leaks)),
        external=None if external is None else external_rows(pd.read_csv(external)),
        n_quarantined=len(pd.read_csv(given.quarantine)),
        evidence=evidence,
        files=[Link(Path(file).relative_to(data_set).as_posix(), link(file)) for file in files],
        configuration=Path(given.configuration).read_text(encoding="utf-8"),
    )
    write_static(folder, RULES)
    write_text(page, render_report(report))
    # In a file of its own: seconds and versions would change the bytes of the page.
    tables = [versions_table(), jobs_table(Path(params.benchmarks))]
    write_text(
        Path(snakemake.output.provenance),
        render_provenance(report.dataset, commit_of(PROJECT), tables),
    )
    log.info("Wrote the report, with %d pictures of maps.", len(gallery.cards))
