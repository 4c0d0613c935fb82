"""Whether an exported file says what the network says: measured on test images."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
import torch
from scipy.special import softmax

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.export.graph import INPUT, LOGITS, MAPS
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval

TOLERANCE: Final = 1e-4
"""Largest difference of a float32 file, of logits and maps."""

PARITY_IMAGES: Final = 100
"""Test images that every file is compared on with PyTorch."""

LOSS_IMAGES: Final = 1000
"""Test images on which answers are counted, at most: of a network at 224 px, a minute's work."""

_BATCH: Final = 25
_WARNINGS_AND_WORSE: Final = 3


@dataclass(frozen=True)
class Outputs:
    """What a network said of n images and c classes.

    Attributes
    ----------
    logits : float32 array, shape (n, c)
    maps : float32 array, shape (n, c, h, w), or None
        None where the file holds no maps.
    """

    logits: Float32Array
    maps: Float32Array | None

    @property
    def probabilities(self) -> Float64Array:
        """Softmax of the logits, shape (n, c)."""
        shares: Float64Array = softmax(self.logits.astype(np.float64), axis=1)
        return shares

    def of(self, images: Int64Array) -> "Outputs":
        """Of some of the images, by their positions."""
        return Outputs(self.logits[images], None if self.maps is None else self.maps[images])


def spread_evenly(n: int, wanted: int) -> Int64Array:
    """Positions of up to `wanted` of n images, evenly apart, none twice."""
    return np.linspace(0, n - 1, min(n, wanted)).round().astype(np.int64)


def _network_input(pixels: UInt8Array) -> Float32Array:
    return pixels[:, None].astype(np.float32)


def onnx_outputs(file: Path, pixels: UInt8Array, threads: int = 1) -> Outputs:
    """What an ONNX file says of some images, by onnxruntime on the CPU.

    Parameters
    ----------
    file : Path
    pixels : uint8 array, shape (n, image_size, image_size), n ≥ 1
    threads : int
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS_AND_WORSE
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    batches = [
        session.run(names, {INPUT: _network_input(pixels[start : start + _BATCH])})
        for start in range(0, len(pixels), _BATCH)
    ]
    joined = {
        name: np.concatenate([batch[place] for batch in batches])
        for place, name in enumerate(names)
    }
    return Outputs(joined[LOGITS], joined.get(MAPS))


def pt2_outputs(file: Path, pixels: UInt8Array) -> Outputs:
    """What a PT2 file says of some images, by PyTorch on the CPU; as `onnx_outputs`."""
    network = torch.export.load(file).module()
    with torch.no_grad():
        batches = [
            network(torch.from_numpy(_network_input(pixels[start : start + _BATCH])))
            for start in range(0, len(pixels), _BATCH)
        ]
    logits, *maps = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    return Outputs(logits, maps[0] if maps else None)


def differences(found: Outputs, reference: Outputs) -> dict[str, float | int | None]:
    """Largest differences between what two files say of the same images.

    Parameters
    ----------
    found, reference : Outputs

    Returns
    -------
    dict
        `n`; `logits`, `probabilities` and `maps` (None without maps): largest absolute difference;
        `largest_logit` and `largest_map`: largest absolute value of the reference, to judge it by.
    """

    def largest(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
        if a.shape != b.shape:
            raise ValueError(f"outputs of shapes {a.shape} and {b.shape} cannot be compared")
        return float(np.abs(a.astype(np.float64) - b).max())

    maps = largest_map = None
    if found.maps is not None and reference.maps is not None:
        maps = largest(found.maps, reference.maps)
        largest_map = float(np.abs(reference.maps).max())
    return {
        "n": len(reference.logits),
        "logits": largest(found.logits, reference.logits),
        "probabilities": largest(found.probabilities, reference.probabilities),
        "maps": maps,
        "largest_logit": float(np.abs(reference.logits).max()),
        "largest_map": largest_map,
    }


def require_parity(name: str, measured: Mapping[str, Any]) -> None:
    """Refuse a float32 file that says something else than the network.

    Parameters
    ----------
    name : str
        Of the file.
    measured : mapping
        See `differences`.

    Raises
    ------
    InputError
        If logits or maps differ by `TOLERANCE` or more. Values above 1 may differ by that share of
        the largest one: float32 has seven digits, wherever the point is.
    """
    for what, scale in (("logits", "largest_logit"), ("maps", "largest_map")):
        difference = measured[what]
        if difference is None:
            continue
        allowed = TOLERANCE * max(1.0, measured[scale])
        # Not "greater": NaN must not pass.
        if not difference < allowed:
            raise InputError(
                f"{name} differs from the network by {difference:.2g} in its {what} on "
                f"{measured['n']} images, where {allowed:.2g} is allowed, so it was not written: "
                "install the versions of torch, onnx, onnxscript and onnxruntime that "
                "envs/requirements.txt names, or report this with the name of the network."
            )


def loss(
    probabilities: npt.NDArray[Any], reference: npt.NDArray[Any], truth: Int64Array
) -> dict[str, Any]:
    """What a file's answers are worth, beside those of the run.

    Parameters
    ----------
    probabilities : float array, shape (n, c)
        Of the file.
    reference : float array, shape (n, c)
        Of predictions.parquet.
    truth : int array, shape (n,)
        Position of the true class.

    Returns
    -------
    dict
        `n`; `same_answer`, the share of images of which both name the same class; `probabilities`,
        the largest difference; `accuracy` with its Wilson interval `low` to `high`, and
        `accuracy_of_run` of the reference on the same images.
    """
    named, named_by_run = probabilities.argmax(axis=1), reference.argmax(axis=1)
    right = int((named == truth).sum())
    interval = wilson_interval(right, len(truth))
    return {
        "n": len(truth),
        "same_answer": float((named == named_by_run).mean()),
        "probabilities": float(np.abs(probabilities - reference).max()),
        "accuracy": right / len(truth),
        "low": interval.low,
        "high": interval.high,
        "accuracy_of_run": float((named_by_run == truth).mean()),
    }


def measured_files(
    files: Mapping[str, str],
    pixels: UInt8Array,
    few: Int64Array,
    reference: Outputs,
    of_run: npt.NDArray[Any],
    truth: Int64Array,
    threads: int,
) -> dict[str, dict[str, Any]]:
    """Size, checksum and parity of the exported files.

    Parameters
    ----------
    files : mapping of str to str
        ``float32``, ``float16`` and ``pt2``, as `onnx_files.write_exported` takes them.
    pixels : uint8 array, shape (n, image_size, image_size)
    few : int array, shape (k,)
        Positions of the images of which `reference` is what PyTorch says.
    of_run, truth
        As in `loss`, of all n.

    Returns
    -------
    dict
        By name of the file: `bytes`, `sha256`, `difference` as from `differences`; of the ONNX
        files `loss` as well.

    Raises
    ------
    InputError
        As `require_parity`, for all but ``float16``.
    """
    measured = {}
    for kind, file in files.items():
        path = Path(file)
        content = path.read_bytes()
        found: dict[str, Any] = {"bytes": len(content)}
        found["sha256"] = hashlib.sha256(content).hexdigest()
        if kind == "pt2":
            found["difference"] = differences(pt2_outputs(path, pixels[few]), reference)
        else:
            outputs = onnx_outputs(path, pixels, threads)
            found["difference"] = differences(outputs.of(few), reference)
            found["loss"] = loss(outputs.probabilities, of_run, truth)
        if kind != "float16":
            require_parity(path.name, found["difference"])
        measured[path.name] = found
    return measured


def parity_table(files: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a file of `measured_files`; what JSON nests becomes one column each."""
    rows = []
    for name, measured in files.items():
        row = {"file": name, "bytes": measured["bytes"], "sha256": measured["sha256"]}
        for part in ("difference", "loss"):
            row |= {f"{part}_{key}": value for key, value in measured.get(part, {}).items()}
        rows.append(row)
    # The PT2 file has no loss; without this type its gap would make fractions of whole numbers.
    return pd.DataFrame(rows).astype({"loss_n": "Int64"})
