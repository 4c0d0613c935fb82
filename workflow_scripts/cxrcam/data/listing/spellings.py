"""Names in several spellings: what is one and the same, what looks alike, what means "unknown".

Tables come from spreadsheets and from pandas, where one patient may be ``P0`` and ``p0``, ``1`` and
``1.0``, and an empty cell may read ``nan``. Uses the standard library only.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

MISSING_WORDS = frozenset(
    {
        "",
        "na",
        "n/a",
        "#n/a",
        "nan",
        "<na>",
        "nat",
        "none",
        "null",
        "nil",
        "unknown",
        "unk",
        "not known",
    }
    | {"missing", "not available", "not applicable", "-", "--", "—", "–", ".", "?", "n.a."}
    | {"anonymous", "anonymized", "anonymised"}  # what DICOM files of many patients say
    | {"#ref!", "#value!", "#name?", "#num!", "#null!", "#div/0!"}  # failed formulas
)
"""Patients and sources that mean "unknown", in lower case."""

NUMBER = re.compile(r"0*(\d+)(\.0*)?")

APOSTROPHES = "‘’‛ʼ`"  # what office programs and keyboards put for '

# Letters of other alphabets that most fonts draw like Latin ones, lower case.
LATIN_LOOKALIKES = str.maketrans(
    "авеікмнорстухѕјԁһӏ" + "αβεζηικμνορτυχ",
    "abeikmhopctyxsjdhl" + "abezhikmnoptyx",
)


def is_missing(name: str) -> bool:
    """Whether a patient or source means "unknown"."""
    return name.strip().casefold() in MISSING_WORDS


def missing_words(names: Iterable[str]) -> dict[str, int]:
    """Words that mean "unknown", empty ones left out, with how often each occurs."""
    return dict(Counter(name for name in names if name.strip() and is_missing(name)))


def without_missing_words(names: Iterable[str]) -> list[str]:
    """The names, empty where they mean "unknown"."""
    return ["" if is_missing(name) else name for name in names]


def normalised(name: str) -> str:
    """One spelling for all that differ by case, width, blanks or how a number is written.

    Compatibility characters are replaced (Unicode NFKC), case is folded, blanks are collapsed,
    characters without width are left out, all dashes and apostrophes are one, and ``01`` and
    ``1.0`` become ``1``.
    """
    plain = "".join(
        _typed(sign)
        for sign in unicodedata.normalize("NFKC", name).casefold()
        if unicodedata.category(sign) != "Cf"
    )
    plain = " ".join(plain.split())
    number = NUMBER.fullmatch(plain)
    return number[1] if number else plain


def _typed(sign: str) -> str:
    """A character as a plain keyboard types it."""
    if unicodedata.category(sign) == "Pd" or sign == "−":
        return "-"
    return "'" if sign in APOSTROPHES else sign


def skeleton(name: str) -> str:
    """`normalised`, with Cyrillic and Greek letters replaced by the Latin ones they look like."""
    return normalised(name).translate(LATIN_LOOKALIKES)


def first_alike(names: Iterable[str], key: Callable[[str], str]) -> tuple[str, str] | None:
    """First two different names whose `key` is the same; None if there are none."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(key(name), name)
        if other != name:
            return other, name
    return None


def ascii_if_alike(name: str, other: str) -> str:
    """A name in quotes, with escapes for foreign letters where it would look like the other."""
    return ascii(name) if skeleton(name) == skeleton(other) else repr(name)
