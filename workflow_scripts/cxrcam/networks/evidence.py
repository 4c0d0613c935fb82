"""Evidence maps: class activation maps without what the softmax does not see.

The derivation stands in `cam` and in docs/maps.md. No PyTorch: whoever reads maps can import this.
"""

import numpy as np

from workflow_scripts.cxrcam.arrays import Float32Array


def evidence_maps(class_maps: Float32Array) -> Float32Array:
    """Centre class activation maps over the classes: see `cam` for what that means.

    Parameters
    ----------
    class_maps : float32 array, shape (n, classes, height, width)

    Returns
    -------
    float32 array, shape (n, classes, height, width)
        Evidence for each class at each place, in units of the logit; the sum over the classes is 0
        everywhere.
    """
    centred: Float32Array = class_maps - class_maps.mean(axis=1, keepdims=True, dtype=np.float32)
    return centred
