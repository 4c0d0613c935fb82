"""Whether the design that is to answer for new images is one that can."""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.cxrcam.configuration.checks import LUNG_INPUTS
from workflow_scripts.cxrcam.configuration.problems import Problems, did_you_mean, show
from workflow_scripts.cxrcam.terms import WHOLE


def check_predict(
    config: Mapping[str, Any], designs: list[tuple[str, str]], problems: Problems
) -> None:
    """`predict.task` and `predict.scheme` must be a design, of networks that new images suit."""
    chosen = config["predict"]
    for position, key in enumerate(("task", "scheme")):
        known = list(dict.fromkeys(design[position] for design in designs))
        if chosen[key] is not None and chosen[key] not in known:
            problems.add(
                ("predict", key),
                f"predict.{key} is {show(chosen[key])}, but no {key} of that name is trained."
                f"{did_you_mean(chosen[key], known)} Trained: {', '.join(known)}.",
            )
            return
    task, scheme = chosen["task"], chosen["scheme"]
    if task is not None and scheme is not None and (task, scheme) not in designs:
        schemes = [s for t, s in designs if t == task]
        problems.add(
            ("predict", "scheme"),
            f"predict.scheme is {show(scheme)}, which is not run with the task {task}: choose "
            f"{' or '.join(schemes)}.",
        )
    part = config["schemes"][scheme].get("input", WHOLE) if scheme is not None else WHOLE
    if part in LUNG_INPUTS:
        problems.add(
            ("predict", "scheme"),
            f"predict.scheme is {show(scheme)}, whose networks see {part} (its `input`) and need a "
            "lung mask of every image, which new images do not have: choose another scheme.",
        )
