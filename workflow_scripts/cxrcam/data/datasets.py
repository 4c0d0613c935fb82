"""What images a data set has: its listing, made from names and sizes alone.

Imported while Snakemake reads the workflow, so it uses the standard library only and opens no
image. Three kinds of data set give the same listing:

- ``class_folders``: one folder a class, as the COVID-19 Radiography Database unpacks
  (``COVID/images/*.png`` with ``COVID/masks/*.png``, or the older flat ``COVID/*.png``);
- ``manifest``: a CSV or Parquet table with ``path,label`` and optional columns;
- ``phantom``: images that the workflow draws itself, known from the configuration before they
  exist.
"""

import codecs
import csv
import hashlib
import io
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from workflow_scripts.cxrcam.errors import InputError

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"}
)

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})

# Columns of a manifest that mean something to the workflow; others are carried along as text.
MANIFEST_COLUMNS = ("path", "label", "patient", "source", "split", "mask_path", "lesion_mask_path")


class DatasetError(InputError):
    """The data set is not where or what the configuration says; the message says what to do."""


@dataclass(frozen=True)
class ImageFile:
    """One image of a data set, as listed.

    Attributes
    ----------
    image_id : str
        Stable name: class (or folder) and file name without suffix, for example
        ``COVID/COVID-12``. Everything after the index is keyed by it.
    path, mask_path, lesion_mask_path : str
        Files, relative to the working directory or absolute; masks empty where there is none.
    label : str
        Class name as the data set spells it.
    patient, source, split : str
        From a manifest; empty where unknown.
    size_bytes, modified_ns : int
        Of the file, to notice that it was replaced.
    extra : dict
        Further manifest columns.
    """

    image_id: str
    path: str
    label: str
    mask_path: str = ""
    lesion_mask_path: str = ""
    patient: str = ""
    source: str = ""
    split: str = ""
    size_bytes: int = 0
    modified_ns: int = 0
    extra: dict[str, str] = field(default_factory=dict)


def list_images(
    settings: Mapping[str, Any],
    phantom_root: Path,
    wanted: Callable[[str], bool] = lambda image_id: True,
) -> list[ImageFile]:
    """Images of a data set, sorted by `image_id`.

    Parameters
    ----------
    settings : mapping
        Entry of ``datasets`` in the configuration.
    phantom_root : Path
        Folder into which phantoms are (or will be) drawn; used by that kind only.
    wanted : callable
        Whether the image of that name is to be listed; all are. Files of others are not looked at,
        which is most of the time of a job that needs one shard.

    Raises
    ------
    DatasetError
        Folder or table missing, no image found, a row without file, an image listed twice, names
        that cannot be kept or told apart.
    """
    kind = settings["kind"]
    if kind == "class_folders":
        try:
            images = _list_class_folders(
                find_root(settings["root"]), settings.get("classes"), wanted
            )
        except OSError as error:
            raise DatasetError(
                f"The folder {error.filename!r} cannot be read: {error.strerror}. Check its "
                "permissions and the disk."
            ) from error
    elif kind == "manifest":
        images = _list_manifest(Path(settings["path"]), wanted)
    elif kind == "phantom":
        images = _list_phantoms(settings, phantom_root)
        images = [image for image in images if wanted(image.image_id)]
    else:
        raise DatasetError(f"Unknown kind of data set {kind!r}.")
    for image in images:
        try:
            image.path.encode()
        except UnicodeEncodeError:
            # Python reads such names, but hashes and Parquet do not take them.
            raise DatasetError(
                f"The name of the file {image.path!r} is not valid UTF-8: rename it (convmv does "
                "whole folders)."
            ) from None
    _check_labels(images)
    return sorted(images, key=lambda image: image.image_id)


def _check_labels(images: Iterable[ImageFile]) -> None:
    """Refuse classes that nobody could tell apart, or that no configuration can name."""
    spellings: dict[str, ImageFile] = {}
    for label, image in {image.label: image for image in images}.items():
        if not label.isprintable():
            raise DatasetError(
                f"The class {label!r} (of {image.path!r}) contains a line break or another control "
                "character: rename it."
            )
        # Most often one class in two spellings, of which a task would silently lack the other.
        plain = unicodedata.normalize("NFC", label).casefold()
        other = spellings.setdefault(plain, image)
        if other is not image:
            raise DatasetError(
                f"The classes {other.label!r} (of {other.path!r}) and {label!r} (of "
                f"{image.path!r}) differ by case or by how an accent is stored only: spell them "
                "alike, or rename one."
            )


def _printable(text: object) -> str:
    """A name as it can stand in a message: as it is, or with escapes for what does not print."""
    return str(text) if str(text).isprintable() else repr(str(text))


def find_root(root: str | Sequence[str]) -> Path:
    """First existing folder of one or several candidates.

    Raises
    ------
    DatasetError
        If none exists.
    """
    candidates = [root] if isinstance(root, str) else list(root)
    for candidate in candidates:
        if Path(candidate).is_dir():
            return Path(candidate)
    raise DatasetError(
        f"The data set's folder {' or '.join(map(repr, candidates))} does not exist (looked from "
        f"{Path.cwd()}). Put or link the images there, or set `root` of this data set to the "
        "folder that holds one folder a class."
    )


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """Image files directly in a folder; hidden files are not images."""
    with os.scandir(folder) as entries:
        named = [
            entry
            for entry in entries
            if not entry.name.startswith(".")
            and os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 (speed)
        ]
    for entry in named:
        # Left out in silence, half a data set could be missing because a disk is not mounted.
        if entry.is_symlink() and not Path(entry).exists():
            raise DatasetError(
                f"The image {entry.path!r} is a link that leads nowhere: mend or remove it."
            )
    return [entry for entry in named if entry.is_file()]


def _folders(root: Path) -> list[str]:
    return sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _list_class_folders(
    root: Path, classes: Sequence[str] | None, wanted: Callable[[str], bool]
) -> list[ImageFile]:
    present = _folders(root)
    for name in classes or []:
        if name not in present:
            raise DatasetError(
                f"The class folder {name!r} does not exist in {root}. Found: "
                f"{', '.join(map(_printable, present)) or 'no folder at all'}."
            )
    images: list[ImageFile] = []
    found = 0
    for label in classes or present:
        folder = root / label / "images"
        if not folder.is_dir():
            folder = root / label  # the database's older, flat layout
        masks = _by_stem(root / label / "masks")
        lesions = _by_stem(root / label / "lesions")
        entries = _scan(folder)
        ids = _unique_ids(f"{label}/{entry.name}" for entry in entries)
        found += len(entries)
        for entry in entries:
            if not wanted(ids[f"{label}/{entry.name}"]):
                continue
            stem = os.path.splitext(entry.name)[0]  # noqa: PTH122 (speed)
            status = entry.stat()
            images.append(
                ImageFile(
                    image_id=ids[f"{label}/{entry.name}"],
                    path=entry.path,
                    label=label,
                    mask_path=masks.get(stem, ""),
                    lesion_mask_path=lesions.get(stem, ""),
                    size_bytes=status.st_size,
                    modified_ns=status.st_mtime_ns,
                )
            )
    if not found:
        raise DatasetError(
            f"No image found in {root}: expected one folder a class with images directly in it or "
            f"in its folder 'images'. Folders found: "
            f"{', '.join(map(_printable, present)) or 'none'}."
        )
    return images


def _unique_ids(names: Iterable[str]) -> dict[str, str]:
    """`image_id` of each file: its name without suffix, where that is not taken.

    Files that differ by suffix only (``a.png``, ``a.jpg``) keep it, and so does a file whose name
    without suffix is another file's (``a.png.png`` beside ``a.png``): each has its own name.
    """
    short = {name: os.path.splitext(name)[0] for name in names}  # noqa: PTH122 (speed)
    uses = Counter([*short, *short.values()])
    return {name: stem if uses[stem] == 1 else name for name, stem in short.items()}


def _by_stem(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    # Sorted: of two files of one stem the same one is taken, however the disk lists them.
    entries = sorted(_scan(folder), key=lambda entry: entry.path)
    return {os.path.splitext(entry.name)[0]: entry.path for entry in entries}  # noqa: PTH122 (speed)


def _read_manifest(path: Path) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Columns and numbered rows of a manifest, every value as stripped text.

    Rows have the numbers that a spreadsheet shows: blank ones count, and are left out.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        import pyarrow.parquet as pq  # only here: a CSV user does not wait for it

        table = pq.read_table(path)
        columns = table.column_names
        rows = {
            number: {name: _text_of(value) for name, value in row.items()}
            for number, row in enumerate(table.to_pylist(), start=1)
        }
        return columns, rows
    text = _decoded(path.read_bytes())
    if "\0" in text:
        raise DatasetError(
            f"The manifest {str(path)!r} is not text: save it as CSV in UTF-8, or name it .parquet "
            "if it is Parquet."
        )
    # Not str.splitlines: it also divides at characters that may stand within a value.
    lines = io.StringIO(text, newline="")
    header = lines.readline()
    lines.seek(0)
    # Spreadsheets of many countries save "CSV" with semicolons or tabs.
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns = [name.strip() for name in next(reader, [])]
    rows = {}
    for number, values in enumerate(reader, start=2):
        values = [value.strip() for value in values]
        if not any(values):
            continue
        if len(values) != len(columns):
            raise DatasetError(
                f"Row {number} of {path} has another number of columns than its first line "
                f"({len(columns)}): put values that contain {delimiter!r} in quotes."
            )
        # Spreadsheets also save columns without name and content.
        rows[number] = {name: v for name, v in zip(columns, values, strict=True) if name}
    return columns, rows


def _decoded(encoded: bytes) -> str:
    """Text as spreadsheets save it: UTF-16 is what they call Unicode."""
    wide = encoded.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return encoded.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return encoded.decode("latin-1")  # which takes any bytes


def _text_of(value: object) -> str:
    """A cell of a Parquet table as the same cell of a CSV would read."""
    if value is None or value != value:  # NaN is what some writers put where nothing is
        return ""
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _list_manifest(path: Path, wanted: Callable[[str], bool]) -> list[ImageFile]:
    if not path.is_file():
        raise DatasetError(
            f"The manifest {str(path)!r} does not exist (looked from {Path.cwd()}). Write a CSV or "
            "Parquet table with the columns path and label, and set `path` of this data set to it."
        )
    try:
        columns, rows = _read_manifest(path)
    except csv.Error as error:
        raise DatasetError(
            f"The manifest {str(path)!r} cannot be read as a table ({error}): look for a quotation "
            "mark that is not closed, or save the table anew as CSV."
        ) from error
    except DatasetError:
        raise
    except Exception as error:  # a damaged Parquet file raises nearly anything
        if isinstance(error, OSError) and error.errno:
            raise DatasetError(
                f"The manifest {str(path)!r} cannot be read: {error.strerror}."
            ) from error
        if path.suffix.lower() not in PARQUET_SUFFIXES:
            raise
        raise DatasetError(
            f"The manifest {str(path)!r} is not a Parquet file of text, or is damaged: write it "
            "anew, or name it .csv if it is text."
        ) from error
    missing = [name for name in ("path", "label") if name not in columns]
    if missing:
        raise DatasetError(
            f"The manifest {str(path)!r} has no column {' and no column '.join(missing)}. It has: "
            f"{', '.join(map(_printable, columns)) or 'none'}. The first line must name the "
            "columns."
        )
    repeated = [name for name, n in Counter(columns).items() if n > 1 and name]
    if repeated:
        raise DatasetError(
            f"The manifest {str(path)!r} has the column {repeated[0]!r} more than once. Keep one."
        )
    if not rows:
        raise DatasetError(
            f"The manifest {str(path)!r} lists no image: write one row an image below its first "
            "line."
        )
    folder = path.parent
    names = {row["path"]: PurePosixPath(row["path"]).as_posix() for row in rows.values()}
    ids = _unique_ids(names.values())
    images: list[ImageFile] = []
    seen: dict[str, int] = {}
    for number, row in rows.items():
        place = f"Row {number} of {path}"
        if not row["path"] or not row["label"]:
            raise DatasetError(
                f"{place} has no {'path' if not row['path'] else 'label'}: fill it in, or remove "
                "the row."
            )
        file = folder / row["path"]
        # One file may be spelt in several ways: a.png, ./a.png, /data/a.png.
        first = seen.setdefault(os.path.abspath(file), number)  # noqa: PTH100 (follows no link)
        if first != number:
            raise DatasetError(
                f"{place} lists {row['path']!r} again (first in row {first}, label "
                f"{rows[first]['label']!r}; here {row['label']!r}). Keep one."
            )
        if not wanted(ids[names[row["path"]]]):
            continue
        try:
            status = file.stat()
        except (OSError, ValueError):
            raise DatasetError(
                f"{place} names the file {row['path']!r}, which does not exist (looked for "
                f"{_printable(file)}). Paths are relative to the manifest's folder."
            ) from None
        if not S_ISREG(status.st_mode):
            raise DatasetError(
                f"{place} names {row['path']!r}, which is no file (looked at "
                f"{_printable(file)}). List each "
                "image of a folder in a row of its own."
            )
        masks = {}
        for column in ("mask_path", "lesion_mask_path"):
            masks[column] = str(folder / row[column]) if row.get(column) else ""
            if masks[column] and not Path(masks[column]).is_file():
                raise DatasetError(
                    f"{place} names the {column} {row[column]!r}, which does not exist (looked for "
                    f"{_printable(masks[column])}). Paths are relative to the manifest's folder; "
                    "leave it empty where there is none."
                )
        images.append(
            ImageFile(
                image_id=ids[names[row["path"]]],
                path=str(file),
                label=row["label"],
                patient=row.get("patient", ""),
                source=row.get("source", ""),
                split=row.get("split", ""),
                size_bytes=status.st_size,
                modified_ns=status.st_mtime_ns,
                extra={k: v for k, v in row.items() if k not in MANIFEST_COLUMNS},
                **masks,
            )
        )
    return images


def _list_phantoms(settings: Mapping[str, Any], root: Path) -> list[ImageFile]:
    images = []
    for label, count in settings["images_per_class"].items():
        for number in range(1, count + 1):
            name = f"{label}-{number}"
            lesion = "" if label == "Normal" else str(root / label / "lesions" / f"{name}.png")
            images.append(
                ImageFile(
                    image_id=f"{label}/{name}",
                    path=str(root / label / "images" / f"{name}.png"),
                    label=label,
                    mask_path=str(root / label / "masks" / f"{name}.png"),
                    lesion_mask_path=lesion,
                    source="phantom",
                )
            )
    return images


def shard_count(n_images: int, shard_images: int) -> int:
    """Number of cache shards: a power of two, so that growing data seldom moves images about."""
    count = 1
    while count * shard_images < n_images:
        count *= 2
    return count


def shard_number(image_id: str, n_shards: int) -> int:
    """Shard of an image: by the hash of its name, so that others may come and go."""
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8]) % n_shards


def shard_fingerprints(images: Iterable[ImageFile], n_shards: int) -> list[str]:
    """One hash a shard over name, size and time of its files: changes when an image is replaced."""
    digests = [hashlib.sha256(f"{n_shards}\n".encode()) for _ in range(n_shards)]
    for image in images:
        line = f"{image.image_id}\x1f{image.path}\x1f{image.size_bytes}\x1f{image.modified_ns}\n"
        digests[shard_number(image.image_id, n_shards)].update(line.encode())
    return [digest.hexdigest()[:16] for digest in digests]


def listing_fingerprint(images: Iterable[ImageFile]) -> str:
    """One hash over everything that the listing says, labels and masks included."""
    digest = hashlib.sha256()
    for image in images:
        digest.update("\x1f".join(map(str, vars(image).values())).encode() + b"\n")
    return digest.hexdigest()[:16]


def class_sizes(images: Iterable[ImageFile], folders: Iterable[str] = ()) -> dict[str, int]:
    """Number of listed images of each class; 0 for a class folder that has none."""
    sizes = Counter(dict.fromkeys(folders, 0))
    sizes.update(image.label for image in images)
    return dict(sizes)


def class_folders(settings: Mapping[str, Any]) -> list[str]:
    """Class folders of a data set of that kind, empty ones too; none for other kinds."""
    if settings["kind"] != "class_folders":
        return []
    return list(settings.get("classes") or _folders(find_root(settings["root"])))


def place(settings: Mapping[str, Any]) -> str:
    """Where a data set was looked for, for messages."""
    if settings["kind"] == "class_folders":
        return str(find_root(settings["root"]))
    return str(settings["path"]) if settings["kind"] == "manifest" else "the phantoms"
