"""The index: one row an image, everything that later stages need to know except its pixels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS

QUARANTINE_COLUMNS = ["image_id", "path", "label", "reason"]


class IndexingError(InputError):
    """The data set cannot be indexed; the message says why and what to do."""


def read_declared_sources(metadata_files: Sequence[Path]) -> dict[str, str]:
    """Source that the COVID-19 Radiography Database's own tables declare for each image.

    Parameters
    ----------
    metadata_files : sequence of Path
        ``<class>.metadata.xlsx`` with the columns FILE NAME and URL.

    Returns
    -------
    dict of str to str
        URL by lower-case file name without suffix: the tables say ``NORMAL-1`` where the file is
        ``Normal-1.png``. The database's numbering is known not to match its files, so this is what
        is declared, not what is true.

    Raises
    ------
    IndexingError
        If a table cannot be read.
    """
    sources: dict[str, str] = {}
    for file in metadata_files:
        try:
            table = pd.read_excel(file)
        except Exception as error:  # openpyxl and zipfile raise many kinds for a bad workbook
            raise IndexingError(
                f"The metadata table {str(file)!r} cannot be read as an Excel workbook ({error}). "
                "Repair it, or move it away: the sources are then unknown."
            ) from error
        if not {"FILE NAME", "URL"} <= set(table.columns):
            continue  # another kind of table; it declares no sources
        names = table["FILE NAME"].astype(str).str.strip().str.lower()
        # As objects: a column without any text was read as numbers.
        urls = table["URL"].astype(object).fillna("").astype(str).str.strip()
        sources.update(zip(names, urls, strict=True))
    return {name: url for name, url in sources.items() if url}


def group_images(
    image_ids: Sequence[str], patients: Sequence[str], duplicate_pairs: pd.DataFrame
) -> list[str]:
    """Group of each image: images that must stay on one side of a split.

    Images are linked when they are of one patient or (near-)duplicates of each other; a group is
    all that hangs together by such links.

    Patients are empty where unknown; `duplicate_pairs` has the columns ``image_id_a`` and
    ``image_id_b``.

    Returns
    -------
    list of str
        The patient of the group's first image that has one, else its first image's name.
    """
    rows = pd.Index(np.asarray(image_ids, dtype=object))
    ends = [rows.get_indexer(duplicate_pairs[f"image_id_{end}"]) for end in "ab"]
    patient = np.asarray(patients, dtype=object)
    known = np.flatnonzero(patient != "")
    number, names = pd.factorize(patient[known])
    first_of_patient = np.full(len(names), len(rows))
    np.minimum.at(first_of_patient, number, known)
    links = [np.stack(ends, axis=1), np.stack([first_of_patient[number], known], axis=1)]
    cluster = cluster_labels(len(rows), np.concatenate(links).astype(np.int64))
    # Of each cluster, its first image that has a patient.
    named = np.full(len(rows), len(rows))
    np.minimum.at(named, cluster[known], known)
    patient_row = named[cluster]
    has_patient = patient_row < len(rows)
    group = rows.to_numpy()[cluster]
    group[has_patient] = "patient:" + patient[patient_row[has_patient]]
    return list(group)


def build_index(
    listing: pd.DataFrame,
    facts: pd.DataFrame,
    duplicate_pairs: pd.DataFrame,
    declared_sources: Mapping[str, str],
    parts: Sequence[str] = ("",),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join what was listed with what decoding found.

    Parameters
    ----------
    listing : DataFrame
        Columns of `contracts.LISTING`.
    facts : DataFrame
        Columns of `contracts.FACTS`, the same images in any order.
    duplicate_pairs : DataFrame
        As from `duplicates.find_duplicates`, over the readable images.
    declared_sources : mapping
        As from `read_declared_sources`, names with their part before them.
    parts : sequence of str
        From `unions.parts_of`: what the names of the images of each data set of a union start with.

    Returns
    -------
    index : DataFrame
        Readable images sorted by `image_id`: `terms.INDEX_COLUMNS`, then the manifest's other
        columns; one of ours that it also has, such as ``width``, is called ``manifest_width``.
        Where the listing of a part knows no patient at all, ``patient`` is what DICOM files say.
    quarantine : DataFrame
        What was left out and why: image_id, path, label, reason.
    """
    table = listing.merge(facts, on="image_id", how="left", validate="one_to_one")
    table = table.sort_values("image_id", kind="stable", ignore_index=True)
    lost = table["file_sha256"].isna() & table["quarantine_reason"].isna()
    if lost.any():
        raise IndexingError(
            f"{int(lost.sum())} listed images were never decoded, for example "
            f"{table.loc[lost, 'image_id'].iloc[0]!r}: delete the cache folder and run again."
        )
    bad = table["quarantine_reason"].notna()
    quarantine = (
        table.loc[bad, ["image_id", "path", "label", "quarantine_reason"]]
        .rename(columns={"quarantine_reason": "reason"})
        .reset_index(drop=True)
    )
    index = table.loc[~bad].reset_index(drop=True)
    for part in parts:
        own = index["image_id"].str.startswith(part)
        if (index.loc[own, "patient"].fillna("") == "").all():
            found = patients_of_files(index.loc[own, "dicom_patient"])
            index.loc[own, "patient"] = found.where(found == "", part + found)
    index["group"] = group_images(
        index["image_id"].tolist(), index["patient"].fillna("").tolist(), duplicate_pairs
    )
    if declared_sources:
        index["source"] = _with_declared(index, declared_sources, parts)
    for column in ("source", "mask_path", "lesion_mask_path", "patient", "split"):
        index[column] = index[column].replace("", None)
    number, texts = pd.factorize(index["extra"])  # most often one and the same, {}
    extra = pd.DataFrame([json.loads(text) for text in texts]).take(number).set_index(index.index)
    extra = extra.rename(columns={name: f"manifest_{name}" for name in INDEX_COLUMNS})
    return pd.concat([index[list(INDEX_COLUMNS)], extra], axis=1), quarantine


def _with_declared(
    index: pd.DataFrame, declared_sources: Mapping[str, str], parts: Sequence[str]
) -> pd.Series:
    """Sources of the listing; where it knows none but the name of a part, those declared."""
    source = index["source"].copy()
    for part in parts:
        names = index.loc[
            index["image_id"].str.startswith(part) & source.isin(["", part[:-1]]), "image_id"
        ]
        stems = part + names.str.rsplit("/", n=1).str[-1].str.lower()
        declared = stems.map(declared_sources)
        source.loc[names.index] = declared.fillna(part[:-1])
    return source


def patients_of_files(hashes: pd.Series) -> pd.Series:
    """Patients as DICOM files know them, empty where they do not.

    One number in all of several files is none: a program that removed names wrote it.
    """
    known = hashes.dropna()
    if len(known) > 1 and known.nunique() == 1:
        return pd.Series("", index=hashes.index, dtype=object)
    return hashes.astype(object).where(hashes.notna(), "")


def in_words(index: pd.DataFrame, quarantine: pd.DataFrame) -> list[str]:
    """What a person should know of the images: sentences, one a kind, the commonest first.

    Parameters
    ----------
    index, quarantine : DataFrame
        As from `build_index`.
    """
    n_images = len(index) + len(quarantine)
    sentences = [
        f"Left out {count} of {n_images} images: {reason}"
        for reason, count in common_reasons(quarantine)
    ]
    notes = index["notes"].dropna().str.split("; ").explode().value_counts()
    for note, count in sorted(notes.items(), key=lambda item: (-item[1], item[0])):
        sentences.append(f"Of {n_images} images, {count}: {note}.")
    known = index["dicom_patient"].dropna()
    if index["patient"].isna().all() and len(known) > 1 and known.nunique() == 1:
        sentences.append(
            f"All {len(known)} DICOM images that name a patient name the same patient, so patients "
            "count as unknown. List them in a manifest, to keep each on one side of a split."
        )
    return sentences


MOST_YEARS: Final = 25
"""Between two X-rays of one patient; collections span some twenty."""


def patients_in_words(index: pd.DataFrame) -> list[str]:
    """Sentences on patients who cannot be one person: two sexes, or ages too far apart.

    `index` has ``image_id``, ``patient`` and, of manifests and collections, ``sex`` and ``age`` as
    text.
    """
    known = index[index["patient"].notna()]
    sentences = []
    if "sex" in known:
        sexes = known[known["sex"].fillna("").astype(str).str.strip() != ""]
        several = sexes.groupby("patient")["sex"].nunique()
        strange = several.index[several > 1]
        if len(strange):
            rows = sexes[sexes["patient"] == strange[0]].drop_duplicates("sex")
            sentences.append(_two_people("sexes", "sex", rows, len(strange)))
    if "age" in known:
        years = known.assign(years=pd.to_numeric(known["age"], errors="coerce"))
        span = years.groupby("patient")["years"].agg(lambda ages: ages.max() - ages.min())
        strange = span.index[span > MOST_YEARS]
        if len(strange):
            rows = years[years["patient"] == strange[0]].dropna(subset="years")
            rows = rows.sort_values("years").iloc[[0, -1]]
            sentences.append(_two_people("ages", "age", rows, len(strange)))
    return sentences


def _two_people(noun: str, column: str, rows: pd.DataFrame, n_patients: int) -> str:
    told = " and ".join(f"{row[column]} ({row['image_id']})" for row in rows.to_dict("records"))
    more = f" {n_patients - 1:,} more patient{'s' * (n_patients > 2)}." if n_patients > 1 else ""
    return (
        f"The patient {rows['patient'].iloc[0]!r} has two {noun}: {told}. Two people under one "
        f"name are kept on one side of a split for nothing: correct the table.{more}"
    )


def common_reasons(quarantine: pd.DataFrame) -> list[tuple[str, int]]:
    """Reasons and how often each occurs; those that differ by numbers only are one, its first."""
    alike = quarantine["reason"].str.replace(r"\d[\d,.]*", "#", regex=True)
    reasons = quarantine.groupby(alike)["reason"].agg(["first", "size"])
    reasons = reasons.sort_values("size", ascending=False, kind="stable")
    return [(str(row["first"]), int(row["size"])) for _, row in reasons.iterrows()]


def check_quarantine(quarantine: pd.DataFrame, n_images: int, allowed_share: float) -> None:
    """Stop when too many images are unreadable: then something larger is wrong.

    Raises
    ------
    IndexingError
        If their share is above `allowed_share`; names the commonest reasons and some files.
    """
    if len(quarantine) <= allowed_share * n_images:
        return
    common = "; ".join(
        f"{count} × {reason.rstrip('.')}" for reason, count in common_reasons(quarantine)[:3]
    )
    files = ", ".join(quarantine["path"].head(3))
    raise IndexingError(
        f"{len(quarantine)} of {n_images} images cannot be read ({len(quarantine) / n_images:.1%}; "
        f"image.max_quarantined_share allows {allowed_share:.1%}). Reasons: {common}. For example: "
        f"{files}. The whole list stands in this rule's log. Repair or remove the files, or allow "
        "a larger share."
    )
