"""The claims of the paper, one function each, with the rule of its verdict.

"CAM of ResNet18 trained on ImageNet for Covid-19 pneumonia detection" (Amodeo, Benedetti, Leccabue,
Poles; 2021). Tasks and designs come from the configuration: nothing here knows a class by name.
"""

import math
from dataclasses import replace

import pandas as pd

from workflow_scripts.cxrcam.data.expected import say_what_differs
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.metrics.time_to_target import difference_with_interval
from workflow_scripts.cxrcam.paper.scorecard import (
    NOT_REPRODUCED,
    REPRODUCED,
    UNTESTABLE,
    Claim,
    Evidence,
    floor_of,
)

# Trainable parameters of ResNet18 with a new last layer, by number of outputs: 11,176,512 up to the
# pooling and 513 an output.
RESNET18_PARAMETERS = {2: 11_177_538, 3: 11_178_051}
PAPER_ACCURACY = 0.95


def paper_claims(evidence: Evidence) -> list[Claim]:
    """All claims, in the order of the paper."""
    return [
        *_data(evidence),
        *_parameters(evidence),
        *_headline(evidence),
        *_optimisers(evidence),
        *_validations(evidence),
        *_looking_at_the_test_set(evidence),
        *_fewer_classes(evidence),
        *_sub_samples_sooner(evidence),
        *_sub_samples_generalise(evidence),
        *_channels(evidence),
        *_maps(evidence),
    ]


def _accuracy_claim(
    element: str, claim: str, task: str, scheme: str, evidence: Evidence
) -> Claim | None:
    """Claim that a design reaches the paper's accuracy."""
    runs = evidence.runs(task, scheme)
    share = pooled(runs)
    if share is None:
        return None
    # As the paper prints it: whole per cents.
    reached = round(share.value, 2) >= PAPER_ACCURACY
    inside = share.low <= PAPER_ACCURACY <= share.high
    why = f"{'At or above' if reached else 'Below'} 95 % after rounding to whole per cents"
    if inside:
        why += "; the interval holds 95 %, so that this many images cannot tell"
    return Claim(
        element=element,
        claim=claim,
        paper="95 %",
        ours=f"{task}, {scheme}: {share}",
        verdict=REPRODUCED if reached else NOT_REPRODUCED,
        why=why + ".",
        **vars(share),
        floor=floor_of(runs),
    )


def _untestable(element: str, claim: str, paper: str, why: str) -> Claim:
    return Claim(element, claim, paper, "-", UNTESTABLE, why)


# --- claims ---------------------------------------------------------------------------------------


def _data(evidence: Evidence) -> list[Claim]:
    """Element 1: counts and sizes of the images."""
    claim = "15,153 chest X-rays (3,616 COVID-19, 10,192 normal, 1,345 viral), 299 × 299, AP or PA"
    if evidence.expected is None:
        return [
            _untestable(
                "data", claim, "15,153", "Nothing is expected of this data set (`expected:`)."
            )
        ]
    difference = say_what_differs(evidence.expected)
    agrees = bool(evidence.expected["agrees"].all())
    views = " Views (AP or PA) are not recorded in the database: not assessable."
    return [
        Claim(
            "data",
            claim,
            "15,153",
            difference,
            REPRODUCED if agrees else NOT_REPRODUCED,
            ("Counts and sizes agree." if agrees else "This is not the paper's data set.") + views,
        )
    ]


def _parameters(evidence: Evidence) -> list[Claim]:
    """Element 3: size of the network."""
    claims = []
    for task, found in evidence.parameters.items():
        k = len(evidence.classes[task])
        wanted = RESNET18_PARAMETERS.get(k) if evidence.architecture == "resnet18" else None
        claim = f"ResNet18 with its last layer replaced, {k} outputs"
        if wanted is None:
            why = f"The paper has no {evidence.architecture} with {k} outputs."
            claims.append(_untestable("network", claim, "-", why))
            continue
        claims.append(
            Claim(
                "network",
                claim,
                f"{wanted:,} parameters",
                f"{task}: {found:,} parameters",
                REPRODUCED if found == wanted else NOT_REPRODUCED,
                "Counted in the trained model.",
                value=float(found),
            )
        )
    return claims


def _headline(evidence: Evidence) -> list[Claim]:
    """Element 7: accuracy of 95 %."""
    claims = [
        _accuracy_claim("III-E, headline", "Accuracy of 95 %", task, scheme, evidence)
        for task in evidence.classes
        for scheme in (evidence.designs.complete, evidence.designs.subsample)
        if scheme
    ]
    return [claim for claim in claims if claim]


def _optimisers(evidence: Evidence) -> list[Claim]:
    """Element 4: the sentence that names two optimisers."""
    claims = [
        _accuracy_claim(
            "III, optimiser",
            f"The same with the other optimiser ({scheme})",
            task,
            scheme,
            evidence,
        )
        for task in evidence.classes
        for scheme in evidence.designs.recipes
    ]
    return [claim for claim in claims if claim]


def _validations(evidence: Evidence) -> list[Claim]:
    """Element 5: stratified 3-fold, as the introduction says."""
    if evidence.designs.kfold is None:
        why = "This configuration has no scheme of the kind stratified_kfold."
        return [_untestable("I", "Stratified k-fold validation", "95 %", why)]
    claims = [
        _accuracy_claim(
            "I, validation", "Accuracy of 95 %, k-fold", task, evidence.designs.kfold, evidence
        )
        for task in evidence.classes
    ]
    return [claim for claim in claims if claim]


def _looking_at_the_test_set(evidence: Evidence) -> list[Claim]:
    """Element 6: a validation loss without a validation set."""
    claims = []
    for task in evidence.classes:
        honest = evidence.designs.honest
        claim = _accuracy_claim(
            "III-E, validation",
            "The same where nothing looks at the test images (grouped, validation part of its own)",
            task,
            honest or "",
            evidence,
        )
        if claim:
            claims.append(claim)
    if not claims:
        why = "This configuration has no design with groups and a validation part of its own."
        claims.append(_untestable("III-E, validation", "Validation loss", "-", why))
    return claims


def _fewer_classes(evidence: Evidence) -> list[Claim]:
    """Element 10: two classes need less effort than three."""
    claim = "Fewer classes reach the target accuracy with less effort than more"
    sizes = {task: len(names) for task, names in evidence.classes.items()}
    few, many = min(sizes, key=lambda t: sizes[t]), max(sizes, key=lambda t: sizes[t])
    if sizes[few] == sizes[many]:
        return [_untestable("IV", claim, "-", "All tasks have the same number of classes.")]
    return [
        _compare_effort(
            f"IV, {scheme}",
            claim,
            (few, evidence.effort(few, scheme)["first_iteration"]),
            (many, evidence.effort(many, scheme)["first_iteration"]),
            "iterations",
            evidence.target,
        )
        for scheme in (evidence.designs.complete, evidence.designs.subsample)
        if scheme
    ]


def _sub_samples_sooner(evidence: Evidence) -> list[Claim]:
    """Element 10: sub-samples reach the target sooner, even added up."""
    complete, sub = evidence.designs.complete, evidence.designs.subsample
    claim = "Sub-samples reach the target accuracy sooner than the complete set"
    if not (complete and sub):
        why = "This configuration lacks a complete or a sub-sampled design."
        return [_untestable("IV", claim, "-", why)]
    claims = []
    for task in evidence.classes:
        of_complete = evidence.effort(task, complete)["first_seconds"]
        of_sub = evidence.effort(task, sub)
        by_seed = of_sub.groupby("seed")["first_seconds"]
        # min_count: a sum over runs of which one never got there is no sum.
        folds = len(of_sub) // max(1, of_sub["seed"].nunique())
        alone, summed = (
            _compare_effort(
                f"IV, {task}",
                f"{claim}{extra}",
                (name, seconds),
                (complete, of_complete),
                "s of training",
                evidence.target,
            )
            for name, extra, seconds in (
                (sub, "", of_sub["first_seconds"]),
                (f"{sub}, {folds} summed", ", even summed", by_seed.sum(min_count=folds)),
            )
        )
        if (alone.verdict, summed.verdict) == (NOT_REPRODUCED, UNTESTABLE):
            why = "Not even one sub-sample alone, and a sum takes longer than its parts."
            summed = replace(summed, verdict=NOT_REPRODUCED, why=why)
        claims += [alone, summed]
    return claims


def _compare_effort(
    element: str,
    claim: str,
    less: tuple[str, pd.Series],
    more: tuple[str, pd.Series],
    unit: str,
    target: float,
) -> Claim:
    """Whether one side reaches the target with less effort than the other."""
    (less_name, less_values), (more_name, more_values) = less, more

    def in_words(name: str, values: pd.Series) -> str:
        got, runs = values.dropna(), f"{len(values)} run{'s' * (len(values) != 1)}"
        if got.empty:
            return f"{name}: {target:.0%} not reached in {runs}"
        return f"{name}: {got.mean():,.0f} {unit} ({len(got)} of {runs} reached it)"

    ours = f"{in_words(less_name, less_values)}; {in_words(more_name, more_values)}"
    n = len(less_values) + len(more_values)
    got_less, got_more = less_values.dropna(), more_values.dropna()
    if min(len(less_values), len(more_values)) < 2:
        why = "A side of one run has no interval: set `seeds: [0, 1, 2]`."
        return Claim(element, claim, "-", ours, UNTESTABLE, why, n=n)
    if got_less.empty and got_more.empty:
        why = f"Neither side reached {target:.0%}."
        return Claim(element, claim, "-", ours, UNTESTABLE, why, n=n)
    if got_less.empty or got_more.empty:
        never, other = (less_name, got_more) if got_less.empty else (more_name, got_less)
        why = f"{never} never reached {target:.0%}; the other side did in {len(other)} runs."
        verdict = NOT_REPRODUCED if got_less.empty else REPRODUCED
        return Claim(element, claim, "-", ours, verdict, why, n=n)
    difference, low, high = difference_with_interval(
        got_less.astype(float).tolist(), got_more.astype(float).tolist()
    )
    if low is None or high is None:
        verdict = UNTESTABLE
        why = (
            f"Difference {difference:+z,.0f} {unit}, without an interval: fewer than two runs a "
            "side reached it, or all took the same."
        )
    else:
        verdict = REPRODUCED if high < 0 else NOT_REPRODUCED
        why = (
            f"Difference {difference:+z,.0f} {unit} (95 % interval {low:+z,.0f} to {high:+z,.0f})."
        )
    return Claim(element, claim, "-", ours, verdict, why, difference, low, high, n)


def _sub_samples_generalise(evidence: Evidence) -> list[Claim]:
    """Element 11: a sub-sample's model on all images that it has not seen."""
    claim = "Some sub-sample might generalise as well as the complete set, or better"
    complete, sub = evidence.designs.complete, evidence.designs.subsample
    claims = []
    for task in evidence.classes:
        runs, whole = evidence.runs(task, sub), pooled(evidence.runs(task, complete))
        column = "shared_test_accuracy"
        if whole is None or column not in runs or runs[column].isna().any() or runs.empty:
            continue
        best = runs.loc[[runs[column].idxmax()]]
        share = pooled(best, column, "shared_test_n")
        # What several sub-samples left over is nearly the same: each image counts once.
        rest = pooled(runs.assign(fold=0), "rest_accuracy", "rest_n")
        if share is None:
            continue
        ours = f"{task}: best sub-sample {share}, complete set {whole} on the same images"
        if rest is not None:
            balanced = runs["rest_balanced_accuracy"].mean()
            ours += (
                f"; all sub-samples on everything that they were not trained on {rest}, "
                f"balanced over classes {balanced:.1%}"
            )
        claims.append(
            Claim(
                element=f"V, {task}",
                claim=claim,
                paper="-",
                ours=ours,
                verdict=REPRODUCED if share.value >= whole.value else NOT_REPRODUCED,
                why=f"The best of {len(runs)} was chosen on these same images, which flatters it.",
                **vars(share),
                floor=floor_of(best),
            )
        )
    if not claims:
        why = "No sub-sampled scheme scores shared test images (`shared_test_of:`)."
        claims.append(_untestable("V", claim, "-", why))
    return claims


def _channels(evidence: Evidence) -> list[Claim]:
    """Element 12: the strongest channels."""
    table = evidence.channels
    claim = "The strongest activation channels were identified"
    if table.empty:
        why = "The network has no linear layer on pooled channels."
        return [_untestable("IV, channels", claim, "-", why)]
    shares = table.groupby("class", sort=False)["share"].sum()
    most = int(table.groupby("class").size().max())
    in_words = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return [
        Claim(
            "IV, channels",
            claim,
            "-",
            f"the {most} strongest channels carry of the positive evidence: {in_words}",
            REPRODUCED,
            "They can be named; that they mean anything does not follow.",
            value=float(shares.mean()),
        )
    ]


def _maps(evidence: Evidence) -> list[Claim]:
    """Element 13: maps point at the lesions."""
    claim = "The activation maps point at the lesions"
    claims = []
    measures = {
        "pointing_game": "maximum of the map inside a lesion",
        "lung_share": "share of the map inside the lungs",
    }
    for task in evidence.classes:
        scores = evidence.maps.get((task, evidence.designs.complete or ""), {})
        for measure, words in measures.items():
            score = scores.get(measure, {})
            if score.get("value") is None:  # then there is a reason
                continue
            value, chance, n = (score[key] for key in ("value", "chance", "n"))
            low, high = score["interval"] or (math.nan, math.nan)
            ours = f"{task}, {words}: {value:.1%} ({low:.1%} to {high:.1%}, n = {n:,}); "
            ours += f"a map without preference: {chance:.1%}"
            above = low > chance
            lesion = measure == "pointing_game"
            verdict = (REPRODUCED if above else NOT_REPRODUCED) if lesion else UNTESTABLE
            why = "above chance" if above else "not above chance"
            if not lesion:
                why += "; lungs are not lesions, which nobody has marked in this data"
            claims.append(
                Claim(
                    *("Figure 5", claim, "-", ours, verdict, why[0].upper() + why[1:] + "."),
                    *(value, low, high, n),
                )
            )
    if not claims:
        why = "Neither lesion nor lung masks are known for these images."
        claims.append(_untestable("Figure 5", claim, "-", why))
    return claims
