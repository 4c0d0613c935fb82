"""Whether the images look like X-rays that can be looked at."""

import pandas as pd

from workflow_scripts.cxrcam.configuration.mend_names import LOOK_AT_IMAGES
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register

KIND = CheckKind(
    name="suspect images",
    question="Do the images look like X-rays, upright and well exposed?",
    about="limits",
    order=125,
    file="audit/suspect_images.csv",
    advice="Look at the images in audit/suspect_images.html, and leave out those that are no "
    "X-rays: `exclude` of the data set.",
    to_assess="Take more images: of some hundreds the share that stands out is known well enough.",
    mend=LOOK_AT_IMAGES,
)

FALSE_ALARMS = 0.01
"""Share of sound X-rays that may stand out. Of 2,100 real ones fewer do, see `suspect_images`; but
other collections are more varied."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check of the data set.

    Failed if more images stand out than of sound X-rays would, by the whole 95 % interval (Wilson)
    of their share; passed if no more do. In between, there are too few images to tell.
    """
    if tables.suspects is None or tables.images is None:
        return [KIND.not_assessable("the images were not looked at")]
    n_images = len(tables.images)
    n_suspects = tables.suspects["image_id"].nunique()
    finding = _in_words(tables.suspects, n_suspects, n_images)
    usual = f"of sound X-rays up to {per_cent(FALSE_ALARMS)} do"
    if n_suspects <= FALSE_ALARMS * n_images:
        return [KIND.passed(finding, f"no more than usual: {usual}")]
    low, high = wilson_interval(n_suspects, n_images)
    interval = f"{100 * low:.1f} to {100 * high:.1f} % (95 %)"
    if low <= FALSE_ALARMS:
        why = f"{n_images:,} images are too few to tell: {interval} stand out; {usual}"
        return [KIND.not_assessable(why, finding=finding)]
    clause = f"{n_suspects:,} of {n_images:,} images do not look like the X-rays beside them"
    return [KIND.failed(finding, f"{interval} stand out; {usual}", clause=clause)]


def _in_words(suspects: pd.DataFrame, n_suspects: int, n_images: int) -> str:
    told = f"{n_suspects:,} of {n_images:,} images stand out"
    if not n_suspects:
        return told
    kinds = suspects["why"].value_counts(sort=False)
    classes = suspects.drop_duplicates("image_id")["label"].value_counts()
    reasons, labels = (
        ", ".join(f"{n:,} {name}" for name, n in counts.items()) for counts in (kinds, classes)
    )
    return f"{told} ({reasons}); by class: {labels}"
