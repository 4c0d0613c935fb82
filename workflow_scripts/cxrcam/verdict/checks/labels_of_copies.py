"""Whether copies of one picture carry one label."""

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.configuration.mend_names import LOOK_AT_IMAGES
from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register

KIND = CheckKind(
    name="labels of copies",
    question="Do copies of one picture carry one label?",
    about="limits",
    order=80,
    file="audit/duplicates.html",
    advice="Look at the pairs in audit/duplicates.html, and name the wrong ones in a table: "
    "`exclude`, `relabel` or `not_copies` of the data set.",
    to_assess="Give every image a label; copies are then compared.",
    mend=LOOK_AT_IMAGES,
)


def labelled_pairs(pairs: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Pairs of near-duplicates with the label of each image, from the index by ``image_id``."""
    labels = {
        f"label_{side}": images["label"].reindex(pairs[f"image_id_{side}"]).to_numpy()
        for side in "ab"
    }
    return pairs.assign(**labels)


def _conflicts(labelled: pd.DataFrame) -> pd.DataFrame:
    return labelled[labelled["label_a"].astype(str) != labelled["label_b"].astype(str)]


def conflicting_images(pairs: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Images whose copy carries another label, as ``image_id``, ``label`` and ``why``."""
    labelled = labelled_pairs(pairs[pairs["kind"] != OTHER_EXPOSURE], images)
    rows = [
        {
            "image_id": pair[f"image_id_{one}"],
            "label": pair[f"label_{one}"],
            "why": f"its copy {pair[f'image_id_{other}']} is labelled {pair[f'label_{other}']}",
        }
        for pair in _conflicts(labelled.dropna(subset=["label_a", "label_b"])).to_dict("records")
        for one, other in ("ab", "ba")
    ]
    return pd.DataFrame(rows, columns=["image_id", "label", "why"])


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check of the data set.

    Failed if a single pair has two labels: one of them must be wrong. Copies themselves are no
    failure, they are counted; whether they cross a split is told by `leaks`.
    """
    pairs = tables.duplicates
    if pairs is None:
        return [KIND.not_assessable("copies were not looked for")]
    # Two exposures of one patient are two pictures, and may rightly bear two labels.
    pairs = pairs[pairs["kind"] != OTHER_EXPOSURE]
    among = "" if tables.images is None else f" among {len(tables.images):,} images"
    if pairs.empty:
        return [KIND.passed(f"no picture occurs twice{among}", "there are no copies")]
    finding = _clusters_in_words(pairs) + among
    if not {"label_a", "label_b"} <= set(pairs.columns):
        return [KIND.not_assessable("the labels of the copies are not known", finding=finding)]
    labelled = pairs[pairs["label_a"].notna() & pairs["label_b"].notna()]
    conflicts = _conflicts(labelled)
    if len(conflicts):
        one = conflicts.iloc[0]
        why = (
            f"{len(conflicts)} of {len(labelled)} pairs carry two labels, the first:"
            f" {one['image_id_a']} ({one['label_a']}) and {one['image_id_b']} ({one['label_b']})"
        )
        n = len(conflicts)
        clause = f"the same picture carries two labels in {n} pair{'s' * (n > 1)}"
        return [KIND.failed(finding, why, clause=clause)]
    if labelled.empty:
        return [KIND.not_assessable("no pair has two known labels", finding=finding)]
    why = f"one label in each of {len(labelled):,} pairs whose labels are known"
    return [KIND.passed(finding, why)]


def _clusters_in_words(pairs: pd.DataFrame) -> str:
    ends = pairs[["image_id_a", "image_id_b"]].to_numpy(dtype=object)
    codes, names = pd.factorize(ends.ravel())
    clusters = cluster_labels(len(names), codes.reshape(-1, 2).astype(np.int64))
    kinds = ", ".join(f"{n} {kind}" for kind, n in pairs["kind"].value_counts().items())
    return f"{len(names)} images in {len(np.unique(clusters))} sets of copies (pairs: {kinds})"
