# What a run says in the terminal; its words: workflow_scripts/cxrcam/terminal.

from workflow_scripts.cxrcam.terminal import results
from workflow_scripts.cxrcam.terms import DRAWN

# As a module of another workflow, the terminal is that one's.
if workflow.is_main_process and PROJECT == Path(workflow.basedir):
    from workflow_scripts.cxrcam.terminal.progress import show_run

    show_run(logger, workflow.output_settings)


def found_in_words():
    """What the finished run has found, and where all of it can be looked at."""
    folder = Path("results", config["dataset"])
    lines = []
    if is_drawn(config["datasets"], config["dataset"]):
        lines += [f"\n{DRAWN}: {config['dataset']}."]
    if (table := folder / "tables/summary.csv").exists():
        lines += results.accuracy_in_words(table, STUDY.findings)
    if (verdict := folder / "audit/verdict.json").exists():
        overlay = folder / "audit/mended.yaml"
        command = results.mended_command(
            [*given_files, overlay],
            workflow.config_settings.config,
            workflow.resource_settings.cores,
        )
        lines += results.verdict_in_words(verdict)
        lines += results.mend_in_words(verdict, overlay, command)
    if config["compare_with"] and (table := folder / "tables/mended.csv").exists():
        lines += results.cost_in_words(table)
    if (page := folder / "report/index.html").exists():
        lines += [f"\nAll results on one page: {page}"]
    if NEW_IMAGES and (page := Path(NEW_IMAGES_PAGE)).exists():
        table = "findings.csv" if STUDY.answering_findings else "predictions.csv"
        lines += results.new_images_in_words(page, page.with_name(table), len(NEW_IMAGES))
    return lines


def made_files():
    """What targets other than `all` have made."""
    return [
        line
        for job in sorted(workflow.dag.targetjobs, key=lambda job: job.rule.name)
        if job.rule.name not in ("all", "predict") and (job.output or job.input)
        for line in results.made_in_words(job.rule.name, [*map(str, job.output or job.input)])
    ]
