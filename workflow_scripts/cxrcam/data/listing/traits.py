"""What the index tells of an image besides its class: of whom, how and where it was taken.

Columns come from manifests, from collections and from DICOM files, as text. One value in several
spellings is one value (`spellings.normalised`), shown as it is spelt most often; what means
"unknown", and an age that is none, is a value of its own, `NOT_KNOWN`.

- Age: years ("45", "45.0", 45), or as DICOM has it ("045Y", "18M", "006W", "010D"), from 0 to 120;
  "90+" and ">89" are the last bin. All else (411, "old") is not known. Binned as in `AGE_BINS`.
- Sex: the words of `SEXES` become F and M, in whatever case; others stay as they are.

Imported while Snakemake reads the workflow, so it uses the standard library only.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from workflow_scripts.cxrcam.data.listing.spellings import is_missing, normalised

NOT_KNOWN: Final = "not known"

MOST_VALUES: Final = 20
"""Values of a column by which images are told apart; one with more tells patients or files."""

OLDEST: Final = 120.0  # years
AGE_BINS: Final = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"))
OLDEST_BIN: Final = "80+"
AGE: Final = re.compile(r"[<>]?\s*(\d{1,3}(?:[.,]\d+)?)\s*\+?\s*(d|w|m|y|yr|yrs|year|years)?")
YEARS: Final = {"d": 1 / 365.25, "w": 7 / 365.25, "m": 1 / 12}

SEXES: Final = {
    "F": "f female woman femme féminin feminin weiblich w frau mujer femenino donna femmina"
    " feminino",
    "M": "m male man homme masculin männlich maennlich mann hombre masculino uomo maschio",
}
SEX_OF: Final = {word: sex for sex, words in SEXES.items() for word in words.split()}

TRAITS: Final = {
    "sex": {"sex", "gender"},
    "age": {"age", "ageyears", "ageinyears"},
    "view": {"view", "viewposition", "projection", "position", "appa"},
    "source": {"source", "dataset"},
    "site": {"site", "hospital", "institution", "centre", "center", "clinic", "ward", "country"},
    "manufacturer": {"manufacturer", "vendor"},
    "model": {"model", "manufacturermodelname", "scanner", "device", "machine", "detector"},
    "portable": {"portable", "burnedin"},
    "ethnicity": {"race", "ethnicity"},
}
"""Traits of patients and of how an image was taken, and what their columns are called
(`trait_of`)."""


def trait_of(column: str) -> str | None:
    """Trait that a column is known to tell ("Patient Gender" is "sex"), None of any other."""
    key = re.sub(r"[\s_.,()/-]+", "", normalised(column).removeprefix("manifest_"))
    keys = {key.removeprefix(prefix) for prefix in ("", "dicom", "patient", "patients")}
    return next((trait for trait, names in TRAITS.items() if keys & names), None)


def matching_columns(name: str, columns: Iterable[str]) -> list[str]:
    """Columns that a name means: the column of that name, else all that tell a trait so called."""
    columns = list(columns)
    own = [column for column in columns if column in (name, f"manifest_{name}")]
    return own or [column for column in columns if trait_of(column) == name]


def readings(counts: Mapping[str, int], trait: str | None) -> dict[str, str]:
    """What each text of a column is read as; `counts` tells how often each occurs."""
    if trait == "age":
        return {text: age_bin(text) for text in counts}
    spelt: dict[str, Counter[str]] = {}
    for text, n in counts.items():
        spelt.setdefault(_key(text, trait), Counter())[text.strip()] += n
    # The commonest spelling, of equally common ones the first by name.
    shown = {key: min(texts, key=lambda text: (-texts[text], text)) for key, texts in spelt.items()}
    shown |= {sex: sex for sex in SEXES if sex in shown} | {NOT_KNOWN: NOT_KNOWN}
    return {text: shown[_key(text, trait)] for text in counts}


def _key(text: str, trait: str | None) -> str:
    """What is the same for all spellings of a value."""
    if is_missing(text):
        return NOT_KNOWN
    plain = normalised(text)
    return SEX_OF.get(plain, plain) if trait == "sex" else plain


def age_bin(text: str) -> str:
    """Bin of an age, `NOT_KNOWN` where it is none."""
    found = AGE.fullmatch(normalised(text))
    if found is None:
        return NOT_KNOWN
    years = float(found[1].replace(",", ".")) * YEARS.get(found[2] or "", 1.0)
    if years > OLDEST:
        return NOT_KNOWN
    return next((name for end, name in AGE_BINS if years < end), OLDEST_BIN)


def why_no_groups(values: Collection[str]) -> str:
    """Why the values of a column tell no groups of images apart; empty if they do."""
    n = len(set(values))
    if n < 2:
        return f"all images have the same value, {next(iter(values), NOT_KNOWN)!r}"
    return f"it has {n:,} different values, more than {MOST_VALUES}" if n > MOST_VALUES else ""
