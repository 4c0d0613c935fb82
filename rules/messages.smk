# What a run says in the terminal.

import shlex

from workflow_scripts.cxrcam.configuration.drawn import is_drawn
from workflow_scripts.cxrcam.starting_weights import starts_in_words
from workflow_scripts.cxrcam.terms import DRAWN

# As a module of another workflow, the terminal is that one's.
if workflow.is_main_process and PROJECT == Path(workflow.basedir):
    from workflow_scripts.cxrcam.terminal import show_run

    show_run(logger, workflow.output_settings)


def show_summary(table):
    """Print the accuracy of every design of exclusive classes."""
    with open(table, newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["task"] not in STUDY.findings]
    if not rows:
        return
    print(f"\nTest accuracy, all runs of a design together (95 % interval), from {table}:")
    for row in rows:
        print(
            f"  {row['task']:<14} {row['scheme']:<18} {float(row['pooled_accuracy']):.3f} "
            f"({float(row['pooled_accuracy_low']):.3f} to {float(row['pooled_accuracy_high']):.3f}), "
            f"n = {row['pooled_n']} in {row['n_runs']} run{'s' * (row['n_runs'] != '1')}"
        )


def show_findings(verdict):
    """Print the AUROC of each finding, where networks have several."""
    headline, findings = verdict["headline"], verdict.get("findings")
    if not findings:
        return
    print(
        f"\nAUROC (95 % interval) of {headline['task']}, {headline['scheme']}, and its best floor:"
    )
    for row in findings:
        interval = ""
        if row["auroc_low"] is not None:
            interval = f"({row['auroc_low']:.2f} to {row['auroc_high']:.2f})"
        print(
            f"  {row['finding']:<24} {row['auroc']:.2f} {interval:<14}  floor "
            f"{row['floor_auroc']:.2f}  {row['n_present']} of {row['n']}  {row['answer']}"
        )


def show_verdict(file):
    """Print the audit's answer and its three points, and what networks started from."""
    verdict = json.loads(file.read_text(encoding="utf-8"))
    show_findings(verdict)
    # A verdict of an earlier version, which said less, may still lie there.
    print(
        f"\nCan it be believed? {verdict['answer']} {verdict.get('meaning', verdict['sentence'])}"
    )
    points = {"against": "Against it", "unknown": "Unknown", "next": "What to do next"}
    for key, name in points.items():
        if said := verdict.get(key):
            print(f"  {name}: {' '.join(said)}")
    print(f"Each check: {file.with_suffix('.md')}")
    for sentence in starts_in_words(verdict.get("starts", {})):
        print(f"\n{sentence}")


def mended_command(overlay):
    """Command of the second study: the files of the first, the overlay, and what --config said."""
    here = Path.cwd()
    files = [
        str(file.relative_to(here) if file.is_relative_to(here) else file)
        for file in (*given_files, overlay)
    ]
    said = {
        key: value
        for key, value in workflow.config_settings.config.items()
        if key not in ("dataset", "external", "predict_images")
    }
    words = ["--configfile", *files]
    if said:
        words += ["--config", *(f"{key}={json.dumps(value)}" for key, value in said.items())]
    return f"snakemake --cores {workflow.resource_settings.cores} {shlex.join(words)}"


def show_mend(folder):
    """Print how to run the second study, where its overlay fits the verdict; else how to get one."""
    overlay, verdict = folder / "audit/mended.yaml", folder / "audit/verdict.json"
    if overlay.exists() and overlay.stat().st_mtime >= verdict.stat().st_mtime:
        if configuration.read_yaml(overlay):
            print(f"\nWhat the tool can mend: {overlay}. The second study, beside this one:")
            print(f"  {mended_command(overlay)}")
        else:
            print(f"\nNothing is left that the tool can mend; what you can do: {overlay}")
    elif any(check.get("mend") for check in json.loads(verdict.read_text("utf-8"))["checks"]):
        print("\nThe same command with the target `mend` writes what the tool can mend itself.")


def show_cost(table):
    """Print the numbers of the first study beside those of this one, design by design."""
    with open(table, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    points = lambda text: f"{100 * float(text):+.0f} points" if text else "unknown"
    share = lambda text: f"{float(text):.3f}" if text else "-"
    print(f"\nWhat did it cost? From {table}:")
    for row in rows:
        print(
            f"  {row['data_set']:<20} {row['task']}, {row['scheme']}: accuracy "
            f"{share(row['accuracy'])} ({share(row['accuracy_low'])} to {share(row['accuracy_high'])}), "
            f"best floor {row['best_floor']} {share(row['best_floor_accuracy'])}, gap "
            f"{points(row['gap'])}, external {share(row['external_accuracy'])}, "
            f"{row['failed_checks']} checks failed {row['answer']}"
        )


def show_made(job):
    """Name the files of a target other than `all`, and which to open first."""
    files = [str(file) for file in job.output or job.input]
    if not files or job.rule.name in ("all", "predict"):
        return
    print(f"\nMade by {job.rule.name}:")
    pages = [file for file in files if file.endswith((".html", ".md"))]
    shown = files if len(files) <= 8 else pages
    for file in shown:
        print(f"  {file}")
    if len(shown) < len(files):
        print(f"  {len(files) - len(shown)} other files in {os.path.commonpath(files)}")


def show_results(folder):
    """Print what a finished run has found, and where all of it can be looked at."""
    if is_drawn(config["datasets"], config["dataset"]):
        print(f"\n{DRAWN}: {config['dataset']}.")
    if (table := folder / "tables/summary.csv").exists():
        show_summary(table)
    if (verdict := folder / "audit/verdict.json").exists():
        show_verdict(verdict)
        show_mend(folder)
    if config["compare_with"] and (table := folder / "tables/mended.csv").exists():
        show_cost(table)
    if (page := folder / "report/index.html").exists():
        print(f"\nAll results on one page: {page}")
    if NEW_IMAGES and Path(NEW_IMAGES_PAGE).exists():
        table = "findings.csv" if STUDY.answering_findings else "predictions.csv"
        with open(Path(NEW_IMAGES_PAGE).with_name(table), encoding="utf-8") as handle:
            n_read = len(list(csv.DictReader(handle)))
        print(
            f"\n{n_read} of {len(NEW_IMAGES)} new images could be read; what the networks say of "
            f"them (research use only): {NEW_IMAGES_PAGE}"
        )
