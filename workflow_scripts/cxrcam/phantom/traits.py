"""What varies from one phantom radiograph to the next, drawn before a single pixel is.

Sampling stands apart from drawing for two reasons: the claim "no trait depends on the label" can
be tested on thousands of phantoms without drawing one, and the confounders stand in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

FINDINGS: tuple[str, ...] = ("Normal", "COVID", "Viral Pneumonia")
"""Class names, spelled as in the COVID-19 Radiography Database."""

CONFOUNDERS: tuple[str, ...] = ("marker", "exposure", "resampling")
"""Traits that can be tied to the label on purpose."""

CORNERS: tuple[str, ...] = ("top-left", "top-right", "bottom-left", "bottom-right")

MINIMUM_SIZE = 32
"""Pixels. Below it a rib is thinner than a pixel and a phantom shows nothing."""

CONFOUNDED_SHARE = 0.95
"""Share of images that follow a confounder; in the rest the trait is random, as in real data."""


@dataclass(frozen=True)
class PhantomSettings:
    """How a set of phantoms is drawn.

    Attributes
    ----------
    size : int
        Side of the square image, in pixels; at least 32.
    difficulty : float
        0 = findings obvious, 1 = findings nearly invisible.
    confounders : tuple of str
        Traits tied to the label, any of "marker", "exposure", "resampling". Empty is the clean
        setting: every trait independent of the label.

    Raises
    ------
    ValueError
        If a value lies outside what is listed here.
    """

    size: int = 299
    difficulty: float = 0.3
    confounders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size < MINIMUM_SIZE:
            raise ValueError(
                f"Phantom size is {self.size} pixels, but it must be at least {MINIMUM_SIZE}."
            )
        if not 0.0 <= self.difficulty <= 1.0:
            raise ValueError(
                f"Phantom difficulty is {self.difficulty}, but it must lie between 0 and 1."
            )
        for confounder in self.confounders:
            if confounder not in CONFOUNDERS:
                raise ValueError(
                    f"Unknown confounder '{confounder}'; allowed are {', '.join(CONFOUNDERS)}."
                )


@dataclass(frozen=True)
class PhantomTraits:
    """Everything about one phantom that is not its finding.

    Lengths are in body units: 1 is half the side of the image at zoom 1.

    Attributes
    ----------
    view : str
        "PA" (standing) or "AP" (bedside: larger heart, higher clavicles, scapulae over the lungs).
    inspiration : float
        Depth of the breath, 0 (shallow, diaphragm high) to 1 (deep).
    rotation : float
        Turn about the long axis of the body, -1 to 1; displaces the mediastinum and the sternum.
    tilt : float
        In-plane rotation, in degrees.
    zoom, aspect : float
        Scale of the body on the detector, and its width relative to its height.
    shift_x, shift_y : float
        Displacement of the body.
    build : float
        Soft tissue around the thorax, 0 (thin) to 1 (heavy).
    heart_size : float
        Scale of the heart shadow.
    lung_density : float
        Attenuation of healthy lung relative to soft tissue (falls with age and with inspiration).
    lung_unevenness : float
        Standard deviation of the share of air that varies smoothly over healthy lungs.
    vessel_contrast : float
        Strength of the healthy vessel markings, 1 = average.
    bone_contrast : float
        Brightness of bone relative to soft tissue (falls with tube voltage).
    arms : str
        "down", "raised" or "out of view".
    breast_shadow, stomach_bubble : float
        Strength, 0 = absent.
    device : str
        "none", "electrodes", "tube", "line" or "electrodes and line".
    lung_grey, body_grey : float
        Display grey (0 to 1) given to the lungs and to the brightest tissue: the exposure.
    contrast_curve : float
        Strength of the S-shaped display curve, 0 = straight.
    noise : float
        Standard deviation of the quantum noise, in units of attenuation.
    scatter : float
        Share of scattered radiation, 0 to 1.
    blur : float
        Detector and motion blur (standard deviation), in pixels of a 299-pixel image.
    sharpening : float
        Strength of the edge enhancement applied by the console.
    resampling : float
        Factor of the down-then-up resampling, 1 = none.
    collimation : str
        "none", "dark border", "bright border" or "letterbox".
    marker_text, marker_corner : str
        First text mark and its corner; empty where there is none.
    note_text, note_corner : str
        Second text mark and its corner; empty where there is none.
    """

    view: str
    inspiration: float
    rotation: float
    tilt: float
    zoom: float
    aspect: float
    shift_x: float
    shift_y: float
    build: float
    heart_size: float
    lung_density: float
    lung_unevenness: float
    vessel_contrast: float
    bone_contrast: float
    arms: str
    breast_shadow: float
    stomach_bubble: float
    device: str
    lung_grey: float
    body_grey: float
    contrast_curve: float
    noise: float
    scatter: float
    blur: float
    sharpening: float
    resampling: float
    collimation: str
    marker_text: str
    marker_corner: str
    note_text: str
    note_corner: str


def sample_traits(
    finding: str, rng: np.random.Generator, settings: PhantomSettings
) -> PhantomTraits:
    """Draw the traits of one phantom.

    Parameters
    ----------
    finding : str
        One of `FINDINGS`; looked at only by the confounders.
    rng : numpy.random.Generator
        Source of randomness; advanced in place.
    settings : PhantomSettings
        Names the confounders.

    Returns
    -------
    PhantomTraits

    Raises
    ------
    ValueError
        If the finding is unknown.
    """
    if finding not in FINDINGS:
        raise ValueError(f"Unknown finding '{finding}'; allowed are {', '.join(FINDINGS)}.")
    traits = _sample_independent_traits(rng)
    # A stream of its own, so that the same patient is drawn with and without confounders.
    tie_rng = np.random.default_rng(int(rng.integers(2**63)))
    for confounder in settings.confounders:
        if tie_rng.random() < CONFOUNDED_SHARE:
            traits = _TIES[confounder](finding, tie_rng, traits)
    return traits


def _choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def _sample_independent_traits(rng: np.random.Generator) -> PhantomTraits:
    view = _choose(rng, {"PA": 0.6, "AP": 0.4})
    bedside = view == "AP"
    marker_corner, note_corner = (str(corner) for corner in rng.choice(CORNERS, 2, replace=False))
    marker_text = _choose(
        rng, {"R": 0.3, "L": 0.25, "PORTABLE": 0.08, "AP": 0.06, "PA": 0.06, "": 0.25}
    )
    note_text = _choose(rng, {"": 0.7, "PORTABLE": 0.1, "AP": 0.06, "SUPINE": 0.06, "PA": 0.08})
    if marker_text in ("R", "L"):
        # A side mark stands on the side that it names; the patient's right is left in the image.
        side = "left" if marker_text == "R" else "right"
        marker_corner = f"{marker_corner.split('-')[0]}-{side}"
    if note_corner == marker_corner:
        note_text = ""
    return PhantomTraits(
        view=view,
        inspiration=float(rng.beta(2.5, 2.0) if not bedside else rng.beta(2.0, 2.5)),
        rotation=float(np.clip(rng.normal(0, 0.35), -1, 1)),
        tilt=float(np.clip(rng.normal(0, 1.8), -5, 5)),
        zoom=float(rng.uniform(0.94, 1.17)),
        aspect=float(rng.uniform(0.87, 1.13)),
        shift_x=float(rng.normal(0, 0.035)),
        shift_y=float(rng.normal(0, 0.045)),
        build=float(rng.beta(2, 2.5)),
        heart_size=float(rng.normal(1.09 if bedside else 0.96, 0.09)),
        lung_density=float(rng.uniform(0.2, 0.36)),
        lung_unevenness=float(rng.uniform(0.01, 0.08)),
        vessel_contrast=float(rng.uniform(0.7, 1.35)),
        bone_contrast=float(rng.uniform(0.55, 1.35)),
        arms=_choose(rng, {"down": 0.4, "raised": 0.2, "out of view": 0.4}),
        breast_shadow=float(rng.uniform(0.2, 1.0) if rng.random() < 0.4 else 0.0),
        stomach_bubble=float(rng.uniform(0.3, 1.0) if rng.random() < 0.55 else 0.0),
        device=_choose(
            rng,
            {
                "none": 0.68,
                "electrodes": 0.12,
                "tube": 0.06,
                "line": 0.06,
                "electrodes and line": 0.08,
            },
        ),
        lung_grey=float(rng.uniform(0.18, 0.48)),
        body_grey=float(rng.uniform(0.78, 0.99)),
        contrast_curve=float(rng.uniform(0.0, 0.8)),
        noise=float(rng.uniform(0.008, 0.03)),
        scatter=float(rng.uniform(0.02, 0.12)),
        blur=float(rng.uniform(0.35, 0.8)),
        sharpening=float(rng.choice([0.0, 0.0, 0.4, 0.8, 1.2])),
        resampling=float(rng.uniform(1.5, 3.0) if rng.random() < 0.12 else 1.0),
        collimation=_choose(
            rng, {"none": 0.74, "dark border": 0.14, "bright border": 0.05, "letterbox": 0.07}
        ),
        marker_text=marker_text,
        marker_corner=marker_corner if marker_text else "",
        note_text=note_text,
        note_corner=note_corner if note_text else "",
    )


def _tie_marker(finding: str, rng: np.random.Generator, traits: PhantomTraits) -> PhantomTraits:
    """Give each class a mark of its own, as a ward with its own machine would."""
    text, corner = {
        "Normal": ("L", "top-right"),
        "COVID": ("PORTABLE", "top-left"),
        "Viral Pneumonia": ("R", "bottom-left"),
    }[finding]
    return replace(traits, marker_text=text, marker_corner=corner, note_text="", note_corner="")


def _tie_exposure(finding: str, rng: np.random.Generator, traits: PhantomTraits) -> PhantomTraits:
    """Give each class a window of its own, as a hospital with its own console would."""
    lung_grey, body_grey = {
        "Normal": (rng.uniform(0.14, 0.20), rng.uniform(0.72, 0.80)),
        "COVID": (rng.uniform(0.48, 0.56), rng.uniform(0.96, 1.0)),
        "Viral Pneumonia": (rng.uniform(0.30, 0.36), rng.uniform(0.84, 0.90)),
    }[finding]
    return replace(traits, lung_grey=float(lung_grey), body_grey=float(body_grey))


def _tie_resampling(finding: str, rng: np.random.Generator, traits: PhantomTraits) -> PhantomTraits:
    """Soften one class, as pictures copied out of publications are; keep the others as acquired."""
    return replace(traits, resampling=float(rng.uniform(2.2, 3.0)) if finding == "COVID" else 1.0)


_Tie = Callable[[str, np.random.Generator, PhantomTraits], PhantomTraits]
_TIES: dict[str, _Tie] = {
    "marker": _tie_marker,
    "exposure": _tie_exposure,
    "resampling": _tie_resampling,
}
