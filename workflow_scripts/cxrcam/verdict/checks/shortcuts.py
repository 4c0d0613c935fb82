"""Whether the network takes a trait of the images, such as the view or a marker, for the class."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.pooling import (
    Estimate,
    designs,
    first_reason,
    pooled_estimate,
)

KIND = CheckKind(
    name="trait as a shortcut",
    question="Do the answers hang on the class, and not on other traits of the images?",
    about="shortcut",
    order=52,
    file="audit/*/*/fold-*/seed-*/probes.csv",
    advice="Train on images in which the trait and the class do not go together, or leave the "
    "trait out of the picture; then test again.",
    to_assess="Test more images in which the trait differs within each class: 10 patients with "
    "and 10 without it.",
)

LEAST_SHIFT: Final = 0.5
"""Standard deviations of the log-odds; smaller shifts change few answers (Cohen's medium)."""

CHANCE: Final = 0.5

KEYS: Final = ("value", "answer", "within")


@dataclass(frozen=True)
class Followed:
    """A value of a trait, what the network could take it for, and what was measured.

    Attributes
    ----------
    value, answer : str
    association : Estimate
        Of value and answer in the training images.
    encoded, untrained, shifts : dict of str to Estimate
        AUROC of the probe, on the network before training too, and shift of the log-odds, by class.
    """

    value: str
    answer: str
    association: Estimate
    encoded: dict[str, Estimate]
    untrained: dict[str, Estimate]
    shifts: dict[str, Estimate]

    @property
    def least(self) -> str:
        """Class in which the answers follow least, in the direction of the association."""
        sign = 1 if self.association.value >= 0 else -1
        return min(self.shifts, key=lambda within: sign * self.shifts[within].value)

    @property
    def is_shortcut(self) -> bool:
        """Whether the value goes with the answer, is encoded, and followed in each class."""
        sign = 1 if self.association.value >= 0 else -1
        return (
            _surely(self.association, sign)
            and all(auroc.low > CHANCE for auroc in self.encoded.values())
            and all(_surely(shift, sign) for shift in self.shifts.values())
            and sign * self.shifts[self.least].value >= LEAST_SHIFT
        )

    @property
    def is_ruled_out(self) -> bool:
        """Whether in some class the answers do not follow by `LEAST_SHIFT`, in either direction."""
        return any(
            max(abs(shift.low), abs(shift.high)) < LEAST_SHIFT for shift in self.shifts.values()
        )


def _surely(estimate: Estimate, sign: int) -> bool:
    return min(sign * estimate.low, sign * estimate.high) > 0


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a trait, of the design of the headline.

    Failed if four things hold of one value of the trait and one answer: in the training images the
    two go together; a linear probe reads the value off the features that the last layer gets; in
    each class, and in two at least, the log-odds for the answer are shifted that way; and by half a
    standard deviation or more. All with intervals that exclude chance, widened for the number of
    traits, values and answers (Bonferroni). In one class alone a shift may come from the severity
    of a disease. Passed if for all values a shift of half a standard deviation is ruled out in a
    class. A trait that is encoded, but not followed, is said: most networks encode much.
    """
    if tables.probes is None or tables.probes.empty:
        return [KIND.not_assessable("no trait of the images is known, or all have the same")]
    checks = []
    for subject, rows in designs(tables.probes, ["trait", *KEYS, "auroc", "shift", "association"]):
        comparisons = len(
            rows[rows["shift"].notna()][["trait", "value", "answer"]].drop_duplicates()
        )
        for trait, of_trait in rows.groupby("trait", sort=False):
            checks.append(_of_trait(subject, str(trait), of_trait, comparisons))
    return checks


def _of_trait(subject: str, trait: str, rows: pd.DataFrame, comparisons: int) -> Check:
    also = {"subject": subject, "detail": trait}
    found = [
        one
        for (value, answer), of_value in rows.groupby(["value", "answer"], sort=False)
        if (one := _followed(str(value), str(answer), of_value, comparisons))
    ]
    if not found:
        why = first_reason(rows, "fewer than two classes have enough images with and without it")
        return KIND.not_assessable(why, **also)
    shortcuts = [one for one in found if one.is_shortcut]
    worst = max(shortcuts or found, key=lambda one: abs(one.shifts[one.least].value))
    words = _in_words(worst)
    if shortcuts:
        sign = "for" if worst.association.value > 0 else "against"
        clause = (
            f"it takes {trait!r} = {worst.value!r} for a sign {sign} {worst.answer}, whatever the"
            f" class: {words}"
        )
        why = "it goes with the answer, is encoded, and the answers follow it in each class"
        return KIND.failed(words, why, clause=clause, **also)
    if all(one.is_ruled_out for one in found):
        why = "that the answers follow it by half a standard deviation in each class is ruled out"
        return KIND.passed(words, why, **also)
    why = "whether the answers follow it in each class is not sure"
    return KIND.not_assessable(why, finding=words, **also)


def _followed(value: str, answer: str, rows: pd.DataFrame, comparisons: int) -> Followed | None:
    """What was measured of one value; None where fewer than two classes were assessed."""
    told = rows[rows["shift"].notna()]
    names = [str(within) for within in told["within"].unique()]
    if len(names) < 2:
        return None
    auroc, untrained, shift, association = (
        {
            within: pooled_estimate(
                told[told["within"] == within], name, f"{name}_low", f"{name}_high", comparisons
            )
            for within in names
        }
        for name in ("auroc", "untrained", "shift", "association")
    )
    return Followed(
        value, answer, _known(association)[names[0]], *map(_known, (auroc, untrained, shift))
    )


def _known(estimates: dict[str, Estimate | None]) -> dict[str, Estimate]:
    return {within: one for within, one in estimates.items() if one is not None}


def _in_words(one: Followed) -> str:
    """Shift, and AUROC of the probe, of the class where the answers follow least."""
    within, shift = one.least, one.shifts[one.least]
    auroc = one.encoded[within]
    return (
        f"log-odds of {one.answer} of {within} images differ by {shift.value:+z.1f} standard"
        f" deviations ({shift.low:+z.1f} to {shift.high:+z.1f}, n = {shift.n:,}) where"
        f" it is {one.value!r} (the class with the least shift); a probe reads it off the features"
        f" with an AUROC of {auroc.value:.2f} ({auroc.low:.2f} to {auroc.high:.2f}; before training"
        f" {one.untrained[within].value:.2f})"
    )
