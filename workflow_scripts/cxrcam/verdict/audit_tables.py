"""What the audit measured: the one argument of every check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd


class Run(NamedTuple):
    """What names a training run."""

    task: str
    scheme: str
    fold: int
    seed: int


Numbers = Mapping[str, Any]
OfRuns = Mapping[Run, Numbers]


@dataclass(frozen=True)
class AuditTables:
    """What the audit found; everything may be missing.

    Each table but `duplicates`, `suspects` and `expected` has the columns ``task``, ``scheme`` and
    ``fold``; shares, errors and bounds are in [0, 1]. A column ``reason`` says why a number is
    missing.

    Attributes
    ----------
    duplicates : DataFrame or None
        As from `duplicates.find_duplicates`, with ``label_a`` and ``label_b`` (missing where the
        label is unknown).
    images : DataFrame or None
        All images of the index, by ``image_id``: ``label``, ``patient`` (missing where unknown).
    predictions : mapping of Run to str
        Files of the predictions, as `contracts.predictions_schema`: many rows, so that a check
        reads what it needs.
    leaks : DataFrame or None
        Fields of `leaks.LeakRow`, with ``grouped``.
    sources : mapping of str to mapping
        Fields of `class_by_source.ClassBySource`, by task ("" for the data set).
    columns : mapping of str to mapping of str to mapping
        Fields of `class_by_column.ClassByColumn`, by task and column of the index.
    acquisition : mapping of str to mapping of str to mapping
        Fields of `acquisition.TraceSeparability`, by task ("" for the data set) and trace.
    floors : DataFrame or None
        One row a floor and fold: ``floor``, ``n``, ``accuracy``, ``majority_share``. Scheme "":
        cross-validated over all images of the task, which is what small data sets need.
    runs : DataFrame or None
        One row a run, as tables/metrics.csv: ``seed``, ``n``, ``accuracy``; ``held_out``, where
        a scheme leaves out one source after the other; where known
        ``n_smallest_class``; where floors were computed ``best_floor``, ``best_floor_accuracy``,
        and ``gap``, ``gap_low``, ``gap_high`` (in [-1, 1]).
    masked_inputs : DataFrame or None
        One row a run and variant of covering: ``variant``, ``n``, ``accuracy``,
        ``majority_share``, ``original_accuracy``, ``retrained`` (bool: the network was trained on
        covered images, and ``original_accuracy`` is that of another one).
    maps : mapping of Run to mapping, or None
        Each run's maps.json: ``lung_share``, ``border_share``, ``pointing_game``,
        ``intersection_over_union``, each with ``n``, ``value``, ``interval``, ``chance``, or with
        ``reason``.
    map_tests : mapping of Run to mapping, or None
        ``randomisation``: rows as `randomisation.summarise_cascade`; ``faithfulness``: rows as
        `faithfulness.summarise_faithfulness`; ``flip``: ``ssim`` and ``spearman``, each as
        `summaries.MeanInterval`. Dataclasses as dicts; or ``{"reason": ...}`` in their place.
    repeatability : mapping of (task, scheme) to mapping, or None
        See `checks.repeatability.repeatability`.
    calibration : DataFrame or None
        One row a run: ``n``, ``accuracy``, ``ece_before``, ``ece_after`` (missing where no
        temperature was fitted).
    external : DataFrame or None
        One row a run and data set: ``data_set``, ``n``, ``accuracy``, ``majority_share``,
        ``internal_n``, ``internal_accuracy``.
    suspects : DataFrame or None
        As from `suspect_images.suspect_images`.
    expected : DataFrame or None
        As from `expected.compare_with_expected`.
    findings : DataFrame or None
        As from `metrics.findings.findings_table`, with the task of the network and the scheme.
    subgroups : DataFrame or None
        As from `metrics.subgroups.subgroup_table`, with the task of the network and the scheme.
    slices : DataFrame or None
        As from `audit.slices.slice_table`, with task and scheme.
    probes : DataFrame or None
        As from `probes.probe_table`, with the task of the network, the scheme, the fold and seed.
    questions : mapping of (str, str) to str
        Task that asks for a finding, by the task of the network and the finding.
    """

    duplicates: pd.DataFrame | None = None
    images: pd.DataFrame | None = None
    predictions: Mapping[Run, str] = field(default_factory=dict)
    leaks: pd.DataFrame | None = None
    sources: Mapping[str, Numbers] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Numbers]] = field(default_factory=dict)
    acquisition: Mapping[str, Mapping[str, Numbers]] = field(default_factory=dict)
    floors: pd.DataFrame | None = None
    runs: pd.DataFrame | None = None
    masked_inputs: pd.DataFrame | None = None
    maps: OfRuns | None = None
    map_tests: OfRuns | None = None
    repeatability: Mapping[tuple[str, str], Numbers] | None = None
    calibration: pd.DataFrame | None = None
    external: pd.DataFrame | None = None
    expected: pd.DataFrame | None = None
    suspects: pd.DataFrame | None = None
    findings: pd.DataFrame | None = None
    subgroups: pd.DataFrame | None = None
    slices: pd.DataFrame | None = None
    probes: pd.DataFrame | None = None
    questions: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of_classes(self, table: pd.DataFrame | None) -> pd.DataFrame | None:
        """Rows of tasks with exclusive classes; shares of right answers say little of findings."""
        return None if table is None else table[~table["task"].isin(self.questions.values())]

    @property
    def only_findings(self) -> bool:
        """Whether all that was trained are networks with several findings."""
        of_classes = self.of_classes(self.runs)
        return bool(self.questions) and of_classes is not None and of_classes.empty
