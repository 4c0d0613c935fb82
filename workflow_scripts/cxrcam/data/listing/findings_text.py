"""How tables write findings. No heavy import: Snakemake lists data sets whenever it reads them."""

from typing import Final

SEPARATOR: Final = "|"
NO_FINDING: Final = "No Finding"
"""Label of an image without any, as in ChestX-ray14 and CheXpert."""

VALUES: Final = {
    **dict.fromkeys(("1", "1.0", "01"), "1"),
    **dict.fromkeys(("0", "0.0", "00"), "0"),
    **dict.fromkeys(("-1", "-1.0"), "-1"),
    **dict.fromkeys(("", "nan", "NaN"), ""),
}
"""What a cell may hold, however pandas or a spreadsheet saved it, and what it says."""


def answers_of(label: str) -> list[str]:
    """Classes of the task that asks for one finding, the negative one first."""
    return [f"no {label}", label]


def label_of_findings(findings: dict[str, str]) -> str:
    """Label of an image with a column a finding: those that are present, in the table's order."""
    present = [name for name, value in findings.items() if VALUES.get(value) == "1"]
    return SEPARATOR.join(present) or NO_FINDING
