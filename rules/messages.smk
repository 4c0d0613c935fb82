# What a run says in the terminal.

from workflow_scripts.cxrcam.starting_weights import starts_in_words


def show_summary(table):
    """Print the headline of a finished run."""
    if not Path(table).exists():
        return
    with open(table, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    print(f"\nTest accuracy, all runs of a design together (95 % interval), from {table}:")
    for row in rows:
        print(
            f"  {row['task']:<14} {row['scheme']:<18} {float(row['pooled_accuracy']):.3f} "
            f"({float(row['pooled_accuracy_low']):.3f} to {float(row['pooled_accuracy_high']):.3f}), "
            f"n = {row['pooled_n']} in {row['n_runs']} run{'s' * (row['n_runs'] != '1')}"
        )


def show_verdict(file):
    """Print the audit's short answer and its sentence under the headline."""
    if Path(file).exists():
        verdict = json.loads(Path(file).read_text(encoding="utf-8"))
        print(
            f"\nCan it be believed? {verdict['answer']} {verdict['sentence']}\nEach check: {file[:-4]}md"
        )


def show_starting_weights(file):
    """Print what the networks of a finished run started from."""
    if Path(file).exists():
        # A verdict of an earlier version, which did not say it, may still lie there.
        starts = json.loads(Path(file).read_text(encoding="utf-8")).get("starts", {})
        for sentence in starts_in_words(starts):
            print(f"\n{sentence}")


def show_report(page):
    """Say where all results can be looked at."""
    if Path(page).exists():
        print(f"\nAll results on one page: {page}")


def show_predictions(page):
    """Say where the answers for new images can be looked at."""
    if page and Path(page).exists():
        print(f"\nAnswers for {len(NEW_IMAGES)} new images (research use only): {page}")
