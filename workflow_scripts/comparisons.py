"""Runs against each other on the same test images: McNemar for accuracy, DeLong for AUROC."""

from itertools import combinations
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.comparisons import delong_test, mcnemar_test
from workflow_scripts.cxrcam.terms import TEST

COLUMNS = [
    *("task", "fold", "division", "scheme_a", "seed_a", "scheme_b", "seed_b", "n"),
    *("accuracy_a", "accuracy_b", "only_a_right", "only_b_right", "mcnemar_p", "mcnemar_method"),
    *("auroc_a", "auroc_b", "auroc_difference", "auroc_low", "auroc_high", "delong_p", "note"),
]


def test_part(file: str, classes: list[str]) -> pd.DataFrame:
    """Test images of a run: whether it was right, and the score of the last of two classes."""
    table = pd.read_parquet(file)
    table = table[table["role"] == TEST].set_index("image_id").sort_index()
    scores = table[[f"probability_{name}" for name in classes]].to_numpy()
    named = pd.Series([classes[k] for k in scores.argmax(axis=1)], index=table.index)
    return table.assign(right=named == table["label"], score=scores[:, -1])


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    parts: dict[tuple[str, str, int], list[tuple[dict[str, object], str]]] = {}
    for run, file in zip(snakemake.params.runs, snakemake.input, strict=True):
        parts.setdefault((run["task"], run["division"], run["fold"]), []).append((run, file))
    rows = []
    for (task, division, fold), runs in parts.items():
        classes = snakemake.params.classes[task]
        tables = [(run, test_part(file, classes)) for run, file in runs] if len(runs) > 1 else []
        for (a, of_a), (b, of_b) in combinations(tables, 2):
            # Other seeds of other recipes would tell neither of seeds nor of recipes.
            if a["scheme"] != b["scheme"] and a["seed"] != b["seed"]:
                continue
            paired = mcnemar_test(of_a["right"].to_numpy(), of_b["right"].to_numpy())
            row = {
                **{"task": task, "fold": fold, "division": division, "n": len(of_a)},
                **{"scheme_a": a["scheme"], "seed_a": a["seed"]},
                **{"scheme_b": b["scheme"], "seed_b": b["seed"]},
                **{"accuracy_a": of_a["right"].mean(), "accuracy_b": of_b["right"].mean()},
                **{"only_a_right": paired.only_a_right, "only_b_right": paired.only_b_right},
                **{"mcnemar_p": paired.p, "mcnemar_method": paired.method},
                "note": paired.reason or "",
            }
            if len(classes) == 2:
                test = delong_test(
                    (of_a["label"] == classes[1]).to_numpy(),
                    of_a["score"].to_numpy(dtype=float),
                    of_b["score"].to_numpy(dtype=float),
                )
                row |= {
                    **{"auroc_a": test.auroc_a, "auroc_b": test.auroc_b},
                    **{"auroc_difference": test.difference, "delong_p": test.p},
                    **{"auroc_low": test.low, "auroc_high": test.high},
                    "note": "; ".join(filter(None, [paired.reason, test.reason])),
                }
            rows.append(row)
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False)
    log.info("Compared %d pairs of runs.", len(rows))
