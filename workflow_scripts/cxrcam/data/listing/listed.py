"""A data set as the workflow plans with it: its images, their shards, what tells of a change.

Imported while Snakemake reads the workflow, so it uses the standard library only and opens no
image. Whatever depends on the data set in a rule asks for it here, by the wildcard `dataset`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workflow_scripts.cxrcam.data.listing.class_folders import DICOM_SUFFIXES, IMAGE_SUFFIXES
from workflow_scripts.cxrcam.data.listing.datasets import (
    class_sizes,
    find_root,
    labels_of_folders,
    list_data,
    place,
    shard_count,
    shard_fingerprints,
)
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile, suffix_of
from workflow_scripts.cxrcam.data.listing.left_out import LeftOut
from workflow_scripts.cxrcam.data.listing.reader_decisions import EXCLUDE, RELABEL, Decisions
from workflow_scripts.cxrcam.data.listing.unions import parts_of
from workflow_scripts.cxrcam.file_times import stamp_files


@dataclass(frozen=True)
class ListedDataSet:
    """One data set, listed."""

    settings: Mapping[str, Any]  # its entry under `datasets`, from `unions.with_members`
    phantom_root: Path  # folder into which phantoms are (or will be) drawn; used by that kind only
    images: list[ImageFile]  # sorted by `image_id`
    shards: list[str]  # names of the cache shards, 00000 and so on
    shard_fingerprints: list[str]  # as from `datasets.shard_fingerprints`, one a shard
    left_out: LeftOut = field(default_factory=dict)  # files of its folders that are not read
    decisions: Decisions = field(default_factory=Decisions)  # of readers, already in `images`

    @property
    def class_sizes(self) -> dict[str, int]:
        """Number of images of each class, 0 for a class folder that has none."""
        return class_sizes(self.images, labels_of_folders(self.settings))

    @property
    def parts(self) -> dict[str, Any]:
        """What the names of its images start with, and to which of them its tables belong."""
        return {
            "images": list(parts_of(self.settings)),
            "metadata": self.metadata_parts,
            "not_copies": self.not_copies_parts,
        }

    @property
    def metadata_tables(self) -> list[str]:
        """The database's own tables, ``<class>.metadata.xlsx``, where there are any."""
        return list(self.metadata_parts)

    @property
    def metadata_parts(self) -> dict[str, str]:
        """What goes before the names of the images that each of `metadata_tables` is about."""
        return {
            file: part
            for part, settings in parts_of(self.settings).items()
            if settings["kind"] == "class_folders"
            for file in sorted(map(str, find_root(settings["root"]).glob("*.metadata.xlsx")))
        }

    @cached_property  # asked for each shard
    def may_hold_dicom(self) -> bool:
        """Whether some file is not named as one of another format."""
        suffixes = {suffix_of(image.path).lower() for image in self.images}
        return not suffixes <= IMAGE_SUFFIXES - DICOM_SUFFIXES

    @property
    def image_settings(self) -> dict[str, Any]:
        """Those of its settings that decide which images there are, and how phantoms look."""
        return image_settings(self.settings)

    @property
    def is_drawn(self) -> bool:
        """Whether all its images are phantoms."""
        return all(part["kind"] == "phantom" for part in parts_of(self.settings).values())

    @property
    def drawn_parts(self) -> tuple[str, ...]:
        """What the names of its phantoms start with: nothing where all are."""
        parts = parts_of(self.settings).items()
        return tuple(part for part, settings in parts if settings["kind"] == "phantom")

    @property
    def not_copies(self) -> list[str]:
        """Tables of pairs that a reader found to be no copies, where the settings name some."""
        return list(self.not_copies_parts)

    @property
    def not_copies_parts(self) -> dict[str, str]:
        """What goes before the names of images in each of `not_copies`: those of a union's parts.

        A union's own table has whole names.
        """
        parts = {"": self.settings, **parts_of(self.settings)}
        named = {part: settings.get("not_copies") for part, settings in parts.items()}
        return {file: part for part, file in named.items() if file}

    @property
    def mask_fingerprint(self) -> str:
        """Hash over names, sizes and times of lung and lesion masks; drawn ones have none."""
        if self.is_drawn:
            return ""
        read = (image for image in self.images if not image.image_id.startswith(self.drawn_parts))
        both = ((image.mask_path, image.lesion_mask_path) for image in read)
        return stamp_files(file for masks in both for file in masks if file)

    @property
    def place(self) -> str:
        """Where it was looked for, for messages."""
        return place(self.settings)


def image_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a data set that decide which images there are, and how phantoms look."""
    # Not a reader's tables: what they decide is seen from the images that are listed.
    others = ("expected", "not_copies", EXCLUDE, RELABEL)
    without = {k: v for k, v in settings.items() if k not in others}
    if "members" in without:
        members = without["members"].items()
        without["members"] = {name: image_settings(member) for name, member in members}
    return without


def list_data_set(
    settings: Mapping[str, Any], phantom_root: Path, shard_images: int
) -> ListedDataSet:
    """List a data set, as `datasets.list_data` does, and divide it into shards.

    `shard_images` are images a shard, at most on average.
    """
    images, left_out, decisions = list_data(settings, phantom_root)
    n_shards = shard_count(len(images), shard_images)
    return ListedDataSet(
        settings,
        phantom_root,
        images,
        [f"{number:05d}" for number in range(n_shards)],
        shard_fingerprints(images, n_shards),
        left_out,
        decisions,
    )
