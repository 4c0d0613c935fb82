"""What the tool itself can do about a failed check: an overlay for a second study.

The second study trains on the same images under another name, so that its results stand beside
those of the first (`compare_with`) and nothing is overwritten. What only a reader can decide is
never done here: such checks are listed with their advice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from workflow_scripts.cxrcam.configuration.mend_names import (
    BALANCE_SOURCES,
    BLANK_CORNERS,
    LUNGS_ONLY,
    MENDS,
    WITHOUT_TWINS,
)
from workflow_scripts.cxrcam.terms import WHOLE

SUFFIX: Final = "_mended"

KeyPath = tuple[str, ...]
Checks = Sequence[Mapping[str, Any]]


@dataclass
class Mended:
    """An overlay, and what it answers.

    Attributes
    ----------
    overlay : dict
        Keys to lay over the configuration; empty where nothing can be mended.
    notes : dict of tuple of str to str
        What stands above a key, by its path.
    left : list of str
        What is left to the reader, a sentence a check.
    """

    overlay: dict[str, Any] = field(default_factory=dict)
    notes: dict[KeyPath, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def set(self, path: KeyPath, value: object, note: str = "") -> None:
        """Set one key, and what stands above it."""
        place = self.overlay
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
        if note:
            self.notes[path] = note


def mended(
    config: Mapping[str, Any],
    checks: Checks,
    headline: Mapping[str, str],
    images: Iterable[Mapping[str, Any]],
) -> Mended:
    """What the tool can do about the failed checks of a study.

    Parameters
    ----------
    config : mapping
        Resolved.
    checks : sequence of mapping
        As in audit/verdict.json.
    headline : mapping of str to str
        ``task`` and ``scheme`` of the number that is judged: of checks of the data as a whole.
    images : iterable of mapping
        ``label``, ``source`` and ``mask_path`` (None where unknown) of all images.

    Returns
    -------
    Mended
    """
    result, rows = Mended(), list(images)
    failed = [check for check in checks if check["status"] == "failed"]
    for mend in MENDS:
        answered = [check for check in failed if check["mend"] == mend]
        if not answered:
            continue
        note = f"{MENDS[mend]}: {_in_words(answered)}"
        if mend == BLANK_CORNERS:
            result.set(("image", "blank"), "corners", note)
        elif mend == LUNGS_ONLY and "image" in result.overlay:
            # The corners may be all that such networks need: a second training would tell no more.
            first = "see first what black corners change; then"
            result.left.append(f"{_in_words(answered)}: {first}: {answered[0]['advice']}")
        elif mend == LUNGS_ONLY:
            _see_lungs_only(result, config, answered, headline, rows)
        elif mend == WITHOUT_TWINS:
            _keep_twins_together(result, config, answered)
        elif mend == BALANCE_SOURCES:
            _balance_sources(result, config, answered, rows)
        else:
            result.left.append(f"{_in_words(answered)}: {answered[0]['advice']}")
    for check in failed:
        advised = f"{check['name']}: {check['advice']}"
        if not check["mend"] and advised not in result.left:  # once for several designs
            result.left.append(advised)
    if result.overlay:
        _under_another_name(result, config)
    return result


def _in_words(checks: Checks) -> str:
    """Names of failed checks, each once."""
    return ", ".join(dict.fromkeys(str(check["name"]) for check in checks))


def _designs(checks: Checks, headline: Mapping[str, str]) -> list[tuple[str, str]]:
    """Task and scheme that each check is about; the headline's scheme where it names none."""
    found = []
    for check in checks:
        task, _, scheme = str(check["subject"]).partition(", ")
        found.append((task or headline["task"], scheme or headline["scheme"]))
    return list(dict.fromkeys(found))


def _see_lungs_only(
    result: Mended,
    config: Mapping[str, Any],
    checks: Checks,
    headline: Mapping[str, str],
    images: Sequence[Mapping[str, Any]],
) -> None:
    """One more scheme for each whose networks fail, on the same images."""
    bare = sum(image["mask_path"] is None for image in images)
    if bare:
        result.left.append(
            f"{_in_words(checks)}: {checks[0]['advice']} ({bare:,} of {len(images):,} images have "
            "no lung mask.)"
        )
        return
    for _, scheme in _designs(checks, headline):
        settings = config["schemes"][scheme]
        if settings.get("input", WHOLE) != WHOLE:
            continue
        added = {"kind": "same_splits", "of": settings.get("of", scheme), "input": "lungs_only"}
        kept = ("tasks", "seeds", "model", "train")
        added |= {key: settings[key] for key in kept if settings[key]}
        note = f"{MENDS[LUNGS_ONLY]}: {_in_words(checks)}"
        result.set(("schemes", f"{scheme}_lungs_only"), added, note)


def _keep_twins_together(result: Mended, config: Mapping[str, Any], checks: Checks) -> None:
    for _, scheme in _designs(checks, {"task": "", "scheme": ""}):
        base = config["schemes"][scheme].get("of", scheme)
        of_scheme = [check for check in checks if str(check["subject"]).endswith(f", {scheme}")]
        if "grouped" not in config["schemes"][base]:
            result.left.append(
                f"{_in_words(of_scheme)}: {base} is a published division, which nothing is moved "
                "in; add a scheme of the kind holdout."
            )
            continue
        note = f"{MENDS[WITHOUT_TWINS]}: {_in_words(of_scheme)}"
        result.set(("schemes", base, "grouped"), True, note)


def _balance_sources(
    result: Mended,
    config: Mapping[str, Any],
    checks: Checks,
    images: Sequence[Mapping[str, Any]],
) -> None:
    tasks = [name for name, _ in _designs(checks, {"task": "", "scheme": ""})]
    for task in tasks:
        classes = set(config["tasks"][task].get("classes", ()))
        held: dict[str, set[str]] = {}
        for image in images:
            if image["label"] in classes:
                held.setdefault(image["source"] or "unknown", set()).add(image["label"])
        lacking = sorted(name for name, there in held.items() if there != classes)
        if lacking:
            result.left.append(
                f"{_in_words(checks)}: the source {lacking[0]} has not every class of {task}, so "
                f"that sampling cannot balance it: add such images or leave it out (`exclude`)."
            )
            continue
        note = f"{MENDS[BALANCE_SOURCES]}: {_in_words(checks)}"
        result.set(("tasks", task, "train", "sampling"), "balanced_within_sources", note)


def _under_another_name(result: Mended, config: Mapping[str, Any]) -> None:
    """Results of the second study stand in folders of their own."""
    # External images are decoded anew where images are blanked, and only there.
    blanked = "image" in result.overlay
    names = [config["dataset"], *(config["external"] if blanked else [])]
    head: dict[str, Any] = {
        "dataset": config["dataset"] + SUFFIX,
        "compare_with": config["dataset"],
        "datasets": {name + SUFFIX: config["datasets"][name] for name in names},
    }
    if blanked and config["external"]:
        head["external"] = [name + SUFFIX for name in config["external"]]
    result.overlay = {**head, **result.overlay}


def overlay_text(result: Mended, remarks: Sequence[str] = ()) -> str:
    """The overlay as a YAML file, each change below the checks that it answers.

    Parameters
    ----------
    result : Mended
    remarks : sequence of str
        Lines at its head.
    """
    head = [
        "What the tool can mend: run the command of the first study with this file behind its own,",
        "as in --configfile mine.yaml mended.yaml. Results lie beside those of the first study.",
        *remarks,
    ]
    if result.left:
        head += ["", "Left to you:", *(f"- {sentence}" for sentence in result.left)]
    lines = [f"# {line}".rstrip() for line in head]
    lines += ["", *_lines(result.overlay, result.notes, ())] if result.overlay else ["", "{}"]
    return "\n".join(lines) + "\n"


def _lines(tree: Mapping[str, Any], notes: Mapping[KeyPath, str], path: KeyPath) -> list[str]:
    lines, indent = [], "  " * len(path)
    for key, value in tree.items():
        here = (*path, key)
        if here in notes:
            lines.append(f"{indent}# {notes[here]}")
        if isinstance(value, Mapping) and any(note[: len(here)] == here for note in notes):
            lines += [f"{indent}{key}:", *_lines(value, notes, here)]
            continue
        text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=10**6)
        lines += [f"{indent}{line}" for line in text.splitlines()]
    return lines
