"""Classes of unequal size: weights in the loss, or in the draw of the images.

`train.class_weights` and `train.sampling` let a network learn as if the classes had other shares of
the training images than they have. So do its probabilities: with p_c of the network, pi_c the share
of class c among the training images and q_c the share at which it was learnt, what the network
would say at the shares of the data is proportional to

    p_c pi_c / q_c

(Elkan 2001; Saerens et al. 2002), the logit less log(q_c / pi_c). For weights in the loss,
q_c / pi_c is the weight; for balanced sampling of k classes it is 1 / (k pi_c).

**This correction is not made.** It would undo what the setting was chosen for: the answer is the
likeliest class, and that would again be the frequent one. Temperature scaling keeps the answer, and
for that reason cannot correct either: it has one number for all classes. So answers are those at
the shares that were learnt, and report, model card and the page of new images say that
probabilities are not those at the shares of the data. Sets of possible classes hold the truth as
often as promised all the same (`metrics.conformal`): they need no calibrated probability. The model
card has the weights and the images of each class, for those who want to correct.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import Float64Array, Int64Array
from workflow_scripts.cxrcam.errors import InputError

BALANCED = "balanced"
WITHIN_SOURCES = "balanced_within_sources"


def class_weights(
    labels: Int64Array, classes: Sequence[str], chosen: str | Mapping[str, float]
) -> Float64Array | None:
    """Weight of each class in the loss, shape (c,); None where all images count alike.

    The mean of the weights over the training images is 1, so that the loss keeps its size and the
    learning rate its meaning.

    Parameters
    ----------
    labels : int64 array, shape (n,)
        Classes of the training images.
    classes : sequence of str
    chosen : {"none", "balanced"} or mapping of str to float
        Balanced: a class weighs as much as any other, whatever its number of images. A mapping
        gives the ratios of the weights.
    """
    if chosen == "none":
        return None
    counts = np.bincount(labels, minlength=len(classes))
    if isinstance(chosen, Mapping):
        weights = np.array([chosen[name] for name in classes], dtype=float)
    else:
        weights = 1 / counts.clip(min=1)  # a class without images weighs nothing anyway
    scaled: Float64Array = weights * len(labels) / (weights * counts).sum()
    return scaled


def balanced_order(labels: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Positions of an epoch of as many images as there are, of each class equally many.

    Where the number of images is no multiple of that of the classes, those that get one more are
    drawn. A class gives its images in a random order; one that has too few begins again, in another
    order, so that none of its images is seen more than once oftener than another.

    Parameters
    ----------
    labels : int64 array, shape (n,)
        Class of each image.
    rng : np.random.Generator

    Returns
    -------
    int64 array, shape (n,)
    """
    present = np.unique(labels)
    each, rest = divmod(len(labels), len(present))
    wanted = np.full(len(present), each)
    wanted[rng.permutation(len(present))[:rest]] += 1
    drawn = []
    for name, n_wanted in zip(present, wanted, strict=True):
        members = np.flatnonzero(labels == name)
        rounds = -(-n_wanted // len(members))
        drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:n_wanted])
    return rng.permutation(np.concatenate(drawn))


def order_within_sources(
    labels: Int64Array, sources: Int64Array, rng: np.random.Generator
) -> Int64Array:
    """Positions of an epoch in which each source has its images, of each class equally many.

    So the class cannot be told from the source. Within a source as `balanced_order`.

    Parameters
    ----------
    labels, sources : int64 array, shape (n,)
        Class and source of each image.
    rng : np.random.Generator

    Returns
    -------
    int64 array, shape (n,)
    """
    members = (np.flatnonzero(sources == source) for source in np.unique(sources))
    return rng.permutation(
        np.concatenate([some[balanced_order(labels[some], rng)] for some in members])
    )


def numbered_sources(
    sources: Sequence[str | None], labels: Sequence[str], classes: Sequence[str]
) -> Int64Array:
    """Number of each training image's source; images without one make one source together.

    Raises
    ------
    InputError
        A source has no image of some class.
    """
    named = pd.Series([source or "unknown" for source in sources])
    counts = pd.crosstab(named, pd.Series(labels)).reindex(columns=list(classes), fill_value=0)
    for source, row in counts.iterrows():
        if (row == 0).any():
            lacking = ", ".join(row.index[row == 0])
            raise InputError(
                f"train.sampling is {WITHIN_SOURCES}, but no training image of the source "
                f"{source!r} is of the class {lacking}: add such images, leave that source out "
                "(`exclude` of the data set), or set train.sampling to natural."
            )
    return pd.factorize(named, sort=True)[0].astype(np.int64)
