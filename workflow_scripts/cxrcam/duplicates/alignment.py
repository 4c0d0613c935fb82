"""Lay one image over another by their keypoints, and see whether they agree where both are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Float64Array, UInt8Array
from workflow_scripts.cxrcam.images.keypoints import NO_WORD, STEPS, Keypoints, View, normalised

#: Keypoints that must fit one transform. Strangers have 25 or fewer as a rule, copies 60 or more,
#: those that are small on a page 25.
LEAST_INLIERS: Final = 18
#: How well, as a share of the width.
TOLERANCE: Final = 0.016
#: Enlargement beyond which a transform is no copy of anything.
LARGEST_SCALE: Final = 3.0

#: Smallest side of images that are compared, in pixels.
LEAST_SIZE: Final = 64
#: Window of the local contrast normalisation, as a share of the width.
WINDOW_SHARE: Final = 0.1
#: Tiles along each side that are compared one by one, and of how many something must be seen.
TILES: Final = 12
LEAST_TILES: Final = 18
#: Variance of normalised pixels below which a tile shows nothing.
LEAST_VARIANCE: Final = 0.05

#: Agreement below which two images are strangers.
LEAST_CORRELATION: Final = 0.5
#: Share of the tiles that may agree less than is said of all. Text and arrows spoil a few; what
#: strangers share, a burnt-in frame or a page, is in a few too.
AGREEING_SHARE: Final = 1 / 4

#: Squares along each side of a checkerboard, and brightness of what only one image shows.
SQUARES: Final = 6
OUTSIDE: Final = 0.35

#: Grey levels by which letters and arrows differ from what they cover.
SIGN_STEP: Final = 50.0
#: Grey levels by which a page differs from the picture that is printed on it, and width of the
#: border that is looked at, in pixels.
FRAME_STEP: Final = 25.0
BORDER: Final = 7


@dataclass(frozen=True)
class Fit:
    """A transform that takes keypoints of one image to those of another.

    Attributes
    ----------
    transform : float64 array, shape (2, 3)
        From shares of the width and height of the second image, as its `view` shows it, to those
        of the first.
    inliers : int
        Keypoints that fit.
    view : View
    """

    transform: Float64Array
    inliers: int
    view: View


@dataclass(frozen=True)
class Overlay:
    """How two images agree when one is laid over the other.

    Attributes
    ----------
    transform : float64 array, shape (2, 3)
        From shares of the width and height of the second image to those of the first.
    inliers : int
        Keypoints that fit it.
    overlap : float
        Share of either image that the other shows, the smaller of the two.
    correlation : float
        Of what both show, local contrast normalised: three quarters of the tiles agree as well
        or better.
    inverted : bool
        Whether black and white are exchanged.
    framed : bool
        Whether one image ends within the other at a visible border.
    signs : float
        Share of what both show that differs strongly, as under letters and arrows.
    brightening : float
        Mean difference of the grey levels of what both show.
    """

    transform: Float64Array
    inliers: int
    overlap: float
    correlation: float
    inverted: bool
    framed: bool
    signs: float
    brightening: float


def fitted(a: Keypoints, b: Keypoints, view: View) -> Fit | None:
    """Find the affine transform that most keypoints agree on.

    Parameters
    ----------
    a, b : Keypoints
    view : View
        In which way b may be changed.

    Returns
    -------
    Fit or None
        None where fewer than `LEAST_INLIERS` agree, or on something that no copy does.
    """
    of_a, of_b = (some.words[:, 0] != NO_WORD for some in (a, b))
    if min(of_a.sum(), of_b.sum()) < LEAST_INLIERS:
        return None
    # Two words in one number: half of the time.
    left, right = a.words[of_a].view(np.uint64), view.of_words(b.words[of_b]).view(np.uint64)
    differing = np.zeros((len(left), len(right)), np.uint8)
    for ours, others in zip(left.T, right.T, strict=True):
        differing += np.bitwise_count(ours[:, None] ^ others)
    # Each the other's closest.
    nearest, back = differing.argmin(axis=1), differing.argmin(axis=0)
    i = np.flatnonzero(back[nearest] == np.arange(len(nearest)))
    if len(i) < LEAST_INLIERS:
        return None
    points = a.points[of_a][i] / STEPS, view.of_points(b.points[of_b][nearest[i]] / STEPS)
    cv2.setRNGSeed(0)
    transform, inside = cv2.estimateAffine2D(
        points[1], points[0], ransacReprojThreshold=TOLERANCE, maxIters=600, confidence=0.999
    )
    if transform is None or (inliers := int(inside.sum())) < LEAST_INLIERS:
        return None
    stretched = np.linalg.svd(transform[:, :2], compute_uv=False)
    if stretched[0] > LARGEST_SCALE or stretched[1] < 1 / LARGEST_SCALE:
        return None
    return Fit(transform, inliers, view) if np.linalg.det(transform[:, :2]) > 0 else None


def overlay(a: UInt8Array, b: UInt8Array, fit: Fit) -> Overlay | None:
    """Compare what two images both show.

    Parameters
    ----------
    a, b : uint8 array, shape (size, size)
    fit : Fit
        As from `fitted`.

    Returns
    -------
    Overlay or None
        None where they agree less than `LEAST_CORRELATION`, show too little of one another, or
        nothing but one grey, or have fewer than `LEAST_SIZE` pixels a side.
    """
    size, b = len(a), fit.view.of_pixels(b)
    if size < LEAST_SIZE:
        return None
    matrix = _in_pixels(fit.transform, size)
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    # What is laid over the other is made smaller, not larger: no detail is missing then.
    if scale > 1:
        a, b, matrix, scale = b, a, cv2.invertAffineTransform(matrix), 1 / scale
    window = round(size * WINDOW_SHARE)
    below, above = normalised(a, window), normalised(b, max(1, round(window / scale)))
    above, grey = (cv2.warpAffine(some, matrix, (size, size)) for some in (above, b))
    ones = np.ones((size, size), np.float32)
    both = cv2.warpAffine(ones, matrix, (size, size), flags=cv2.INTER_NEAREST)
    tiles = _tile_correlations(below, above, both)
    correlation = float(np.quantile(tiles, AGREEING_SHARE)) if len(tiles) >= LEAST_TILES else 0.0
    if correlation < LEAST_CORRELATION:
        return None
    shown = both > 0
    # By which b came before its view, if that was mirrored.
    mirror = np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1]]) if fit.view.mirrored else np.eye(3)
    return Overlay(
        transform=fit.transform @ mirror,
        inliers=fit.inliers,
        overlap=float(shown.mean()),
        correlation=correlation,
        inverted=fit.view.inverted,
        framed=_is_framed(a, shown),
        signs=_signs(a, grey, shown),
        brightening=float(cv2.absdiff(a, grey)[shown].mean()),
    )


def checkerboard(
    a: UInt8Array, b: UInt8Array, transform: Float64Array, *, inverted: bool = False
) -> UInt8Array:
    """Show two images in one, square by square: where they are one picture, lines go on.

    Parameters
    ----------
    a, b : uint8 array, shape (size, size)
    transform : float64 array, shape (2, 3)
        As of `Overlay`.
    inverted : bool
        Whether black and white of b are to be exchanged.

    Returns
    -------
    uint8 array, shape (size, size)
        Squares of a, and by turns of b, laid over it and made as bright; a alone, darker, where b
        shows nothing.
    """
    size = len(a)
    matrix = _in_pixels(transform, size)
    laid = cv2.warpAffine(255 - b if inverted else b, matrix, (size, size))
    ones = np.ones((size, size), np.uint8)
    shown = cv2.warpAffine(ones, matrix, (size, size), flags=cv2.INTER_NEAREST) > 0
    board: UInt8Array = np.rint(a * OUTSIDE).astype(np.uint8)
    if not shown.any():
        return board
    mean_a, mean_b = a[shown].mean(), laid[shown].mean()
    gain = a[shown].std() / max(float(laid[shown].std()), 1.0)
    alike = np.clip(np.rint((laid - mean_b) * gain + mean_a), 0, 255).astype(np.uint8)
    square = np.arange(size) * SQUARES // size
    of_b = (square[:, None] + square) % 2 == 1
    board[shown] = np.where(of_b, alike, a)[shown]
    return board


def _in_pixels(transform: Float64Array, size: int) -> Float64Array:
    """Transform of pixels, whose centres lie at whole numbers, shape (2, 3)."""
    half = np.array([0.5, 0.5])
    linear = transform[:, :2]
    shift = size * transform[:, 2] + linear @ half - half
    matrix: Float64Array = np.column_stack([linear, shift])
    return matrix


def _tile_correlations(a: Float32Array, b: Float32Array, both: Float32Array) -> Float32Array:
    """Correlation of each tile of which both images show half or more, and more than one grey."""
    side = len(a) // TILES

    def sums(values: Float32Array) -> Float32Array:
        cut = values[: side * TILES, : side * TILES].reshape(TILES, side, TILES, side)
        summed: Float32Array = cut.sum(axis=(1, 3), dtype=np.float32).ravel()
        return summed

    count = sums(both)

    def means(values: Float32Array) -> Float32Array:
        of_tiles = sums(values) / np.maximum(count, 1)
        return of_tiles.astype(np.float32)

    mean_a, mean_b = means(a * both), means(b * both)
    variances = means(a * a * both) - mean_a**2, means(b * b * both) - mean_b**2
    seen = (count >= side**2 / 2) & (np.minimum(*variances) > LEAST_VARIANCE)
    covariance = means(a * b * both) - mean_a * mean_b
    lengths = np.sqrt(variances[0][seen] * variances[1][seen])
    correlations: Float32Array = (covariance[seen] / lengths).astype(np.float32)
    return correlations


def _signs(a: UInt8Array, b: UInt8Array, shown: BoolArray) -> float:
    """Share of what both show whose grey level is not what that of the other lets expect."""
    # Blurred, so that sharp edges need not lie on each other to the pixel.
    first, second = (cv2.blur(some, (3, 3))[shown] for some in (a, b))
    shares = []
    for given, asked in ((first, second), (second, first)):
        count = np.maximum(np.bincount(given, minlength=256), 1)
        expected = np.bincount(given, asked, minlength=256) / count
        shares.append(float((np.abs(asked - expected[given]) > SIGN_STEP).mean()))
    return max(shares)


def _is_framed(a: UInt8Array, shown: BoolArray) -> bool:
    """Whether grey levels change suddenly where the other image ends, or nothing is beyond it."""
    inside, outside = shown.astype(np.float32), (~shown).astype(np.float32)
    if not outside.any():
        return False
    sizes = (BORDER, BORDER)
    near_in, near_out = cv2.blur(inside, sizes), cv2.blur(outside, sizes)
    border = (near_in > 0.3) & (near_out > 0.3)
    if not border.any():
        return False
    levels = a.astype(np.float32)
    within = cv2.blur(levels * inside, sizes)[border] / near_in[border]
    beyond = cv2.blur(levels * outside, sizes)[border] / near_out[border]
    return bool(np.median(np.abs(within - beyond)) > FRAME_STEP)
