# What a run says in the terminal.

from workflow_scripts.cxrcam.starting_weights import starts_in_words


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


def show_results(folder):
    """Print what a finished run has found, and where all of it can be looked at."""
    if (table := folder / "tables/summary.csv").exists():
        show_summary(table)
    if (verdict := folder / "audit/verdict.json").exists():
        show_verdict(verdict)
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
