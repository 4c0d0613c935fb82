"""Names of patients and institutions as keyed hashes: the same name, the same hash; no way back.

The hash is an HMAC (RFC 2104) with SHA-256 under a key that is drawn once a project and stays in
`results/`. Without the key, nobody can find out by trying whose number a hash belongs to.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any, Final

from workflow_scripts.cxrcam.data.listing.spellings import is_missing, normalised
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.images.dicom_tags import DicomTags

KEY_BYTES: Final = 32
#: Of 2^64 hashes, two of a million patients meet once in 40 million projects.
HASH_DIGITS: Final = 16

NO_KEY: Final = "patient left out (file is not named .dcm)"


def write_new_key(path: Path) -> None:
    """Draw a key and write it, for its owner's eyes only."""
    write_text(path, secrets.token_hex(KEY_BYTES) + "\n")
    path.chmod(0o600)


def read_key(path: Path) -> bytes:
    """Key as `write_new_key` wrote it.

    Raises
    ------
    InputError
        It was changed to something that is none.
    """
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InputError(
            f"{str(path)!r} is not the key that the workflow wrote there (64 hexadecimal digits). "
            "Restore it, or delete it: images are then read anew with a new key."
        )
    return key


def pseudonym(key: bytes, kind: str, name: str) -> str | None:
    """Hash of a name, the same for all spellings that differ by case, blanks or zeros in front.

    Parameters
    ----------
    kind : str
        What it names: a patient and an institution of one name have different hashes.

    Returns
    -------
    str or None
        16 hexadecimal digits; None for words that mean "unknown".
    """
    if is_missing(name):
        return None
    message = f"{kind}\0{normalised(name)}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:HASH_DIGITS]


def dicom_facts(tags: DicomTags, notes: list[str], key: bytes | None) -> dict[str, Any]:
    """Columns ``notes`` and ``dicom_...`` of `contracts.FACTS` for one image.

    Without a key, patient and institution stay unknown.
    """
    patient = institution = None
    if key is not None:
        patient = pseudonym(key, "patient", tags.patient or "")
        institution = pseudonym(key, "institution", tags.institution or "")
    elif tags.patient and not is_missing(tags.patient):
        notes = [*notes, NO_KEY]
    return {
        "notes": "; ".join(notes) or None,
        "dicom_modality": tags.modality,
        "dicom_view": tags.view,
        "dicom_age": tags.age,
        "dicom_sex": tags.sex,
        "dicom_manufacturer": tags.manufacturer,
        "dicom_model": tags.model,
        "dicom_burned_in": tags.burned_in,
        "dicom_institution": institution,
        "dicom_patient": patient,
    }
