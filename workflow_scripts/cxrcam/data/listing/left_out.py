"""What of a data set is not read, so that nothing is left out in silence."""

from collections.abc import Iterable, Mapping
from typing import Final

LeftOut = dict[str, list[str]]
"""Files, or images that tables name, that are not read, by what they are."""

MOST_KINDS = 5  # that a sentence names

# Images of public collections.
LATERAL: Final = "lateral views"
OTHER_VIEW: Final = "views that are neither PA, AP nor lateral"
UNKNOWN_VIEW: Final = "of unknown view"
NOT_THERE: Final = "named in a table but not there"
NOT_NAMED: Final = "that no table names"
UNLABELLED: Final = "without labels"
VIEWS: Final = (LATERAL, OTHER_VIEW, UNKNOWN_VIEW)
OF_COLLECTIONS: Final = (*VIEWS, NOT_THERE, NOT_NAMED, UNLABELLED)


def left_out_in_words(name: str, left_out: Mapping[str, Iterable[str]]) -> list[str]:
    """Sentences about what of data set `name` is not read; none where all is."""
    files: dict[str, list[str]] = {}
    images: dict[str, list[str]] = {}
    for kind, names in left_out.items():
        (images if kind in OF_COLLECTIONS else files)[kind] = sorted(names)
    sentences = []
    if files:
        n_files = sum(len(names) for names in files.values())
        sentences.append(
            f"Data set {name} leaves out {n_files:,} file{'s' * (n_files != 1)} beside its images: "
            f"{_told(files)}. Unpack or convert those that are X-rays."
        )
    if images:
        n_images = sum(len(names) for names in images.values())
        advice = " `views: all` keeps every view." if images.keys() & {*VIEWS} else ""
        sentences.append(
            f"Data set {name} leaves out {n_images:,} image{'s' * (n_images != 1)} of its "
            f"collection: {_told(images)}.{advice}"
        )
    return sentences


def _told(names: Mapping[str, list[str]]) -> str:
    """The commonest kinds, with an example each."""
    kinds = sorted(names, key=lambda kind: (-len(names[kind]), kind))
    told = [f"{len(names[k]):,} {k} (such as {names[k][0]!r})" for k in kinds[:MOST_KINDS]]
    more = len(kinds) - len(told)
    return f"{', '.join(told)}{f' and {more} more kinds' * (more > 0)}"
