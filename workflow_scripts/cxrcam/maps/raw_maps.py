"""Class activation maps on disk, and the evidence maps that are made of them when they are read.

What is stored are class activation maps (`cam`), one row an image, one column a class. They are
centred over the classes whenever they explain a prediction; only figures of the paper show them as
they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array
from workflow_scripts.cxrcam.contracts import maps_schema
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.maps.placement import place_map
from workflow_scripts.cxrcam.networks.evidence import evidence_maps


@dataclass(frozen=True)
class RawMaps:
    """Maps in their own unit of some images, and what is needed to lay them over the images.

    Attributes
    ----------
    values : float32 array, shape (n, classes, height, width)
    input_size : int
        Pixels a side that the network saw.
    stride : float
        Input pixels between neighbouring cells.
    offset : float
        Input pixels from the first pixel to the first cell.
    """

    values: Float32Array
    input_size: int
    stride: float
    offset: float

    def of_class(self, which: Int64Array) -> "RawMaps":
        """Maps of class `which` (n,) of each image, values of shape (n, 1, height, width)."""
        return replace(self, values=self.values[np.arange(len(which)), which][:, None])

    def of_images(self, rows: npt.NDArray[np.integer] | Sequence[int]) -> "RawMaps":
        """Maps of some of the images, by their positions."""
        return replace(self, values=self.values[np.asarray(rows, dtype=np.int64)])

    def placed(self, which: Int64Array, size: int) -> Float32Array:
        """Maps of class `which` (n,) of each image, laid over pictures of `size` pixels a side.

        Raw values, float32 (n, size, size): what is negative speaks against the class.
        """
        return self.place(self.values[np.arange(len(self.values)), which], size)

    def place(self, values: Float32Array, size: int) -> Float32Array:
        """Some of the values, shape (height, width) or (n, height, width), see `placed`."""
        return place_map(
            values, size, input_size=self.input_size, stride=self.stride, offset=self.offset
        )


def write_raw_maps(
    file: Path, image_ids: Sequence[str], classes: Sequence[str], maps: RawMaps
) -> None:
    """Write maps, whole or not at all; columns as `contracts.maps_schema`."""
    n, _, height, width = maps.values.shape
    schema = maps_schema(list(classes), height, width).with_metadata(
        {
            "height": str(height),
            "width": str(width),
            "input_size": str(maps.input_size),
            "stride": str(maps.stride),
            "offset": str(maps.offset),
        }
    )
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(4 * height * width),
            n,
            [None, pa.py_buffer(np.ascontiguousarray(maps.values[:, k], dtype=np.float32))],
        )
        for k in range(len(classes))
    ]
    with atomic_path(file) as temporary:
        pq.write_table(
            pa.Table.from_arrays([pa.array(image_ids), *columns], schema=schema), temporary
        )


def read_evidence_maps(file: Path, image_ids: Sequence[str], classes: Sequence[str]) -> RawMaps:
    """Read class activation maps and centre them over `classes`, which must be all of the task.

    Raises
    ------
    KeyError
        If an image has no map.
    """
    maps = read_raw_maps(file, image_ids, classes)
    return replace(maps, values=evidence_maps(maps.values))


def read_raw_maps(file: Path, image_ids: Sequence[str], classes: Sequence[str]) -> RawMaps:
    """Read maps of some images as they are stored, in the order asked for.

    Raises
    ------
    KeyError
        If an image has no map.
    """
    table = pq.read_table(file)
    facts = {key.decode(): value for key, value in table.schema.metadata.items()}
    shape = (-1, int(facts["height"]), int(facts["width"]))
    frame = table.to_pandas().set_index("image_id").loc[list(image_ids)]
    columns = [np.frombuffer(b"".join(frame[f"map_{name}"]), dtype=np.float32) for name in classes]
    return RawMaps(
        np.stack([column.reshape(shape) for column in columns], axis=1),
        int(facts["input_size"]),
        float(facts["stride"]),
        float(facts["offset"]),
    )


def with_absent_maps(maps: RawMaps) -> RawMaps:
    """Maps of a finding (n, 1, h, w), with those of its absence, whose logit is 0, before them."""
    return replace(maps, values=np.concatenate([np.zeros_like(maps.values), maps.values], axis=1))
