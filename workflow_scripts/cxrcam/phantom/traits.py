"""What varies from one phantom radiograph to the next, drawn before a single pixel is.

Sampling stands apart from drawing for two reasons: the claim "no trait depends on the label" can
be tested on thousands of phantoms without drawing one, and the confounders stand in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

FINDINGS: tuple[str, ...] = (
    "Normal",
    *("COVID", "Viral Pneumonia", "Effusion"),
    *("COVID|Viral Pneumonia", "COVID|Effusion", "Viral Pneumonia|Effusion"),
    "COVID|Viral Pneumonia|Effusion",
)
"""Classes, spelled as in the COVID-19 Radiography Database; several findings are joined by "|"."""

CONFOUNDERS: tuple[str, ...] = ("marker", "exposure", "resampling", "covid_marker")
"""Traits that can be tied to the label on purpose."""

CORNERS: tuple[str, ...] = ("top-left", "top-right", "bottom-left", "bottom-right")

CONFOUNDED_SHARE = 0.95
"""Share of images that follow a confounder; in the rest the trait is random, as in real data."""


@dataclass(frozen=True)
class PhantomSettings:
    """How a set of phantoms is drawn; the configuration's schema has checked the values."""

    size: int = 299  # pixels a side of the image; at least 32
    difficulty: float = 0.3  # 0 = findings obvious, 1 = findings nearly invisible
    # Traits tied to the label, any of `CONFOUNDERS`. Without any, all traits are independent of it.
    confounders: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhantomTraits:
    """Everything about one phantom that is not its finding.

    Lengths are in body units: 1 is half the side of the image at zoom 1.
    """

    view: str  # PA (standing) or AP (bedside: larger heart, higher clavicles, scapulae over lungs)
    inspiration: float  # depth of the breath, 0 (shallow, diaphragm high) to 1 (deep)
    rotation: float  # about the long axis, -1 to 1; displaces mediastinum and sternum
    tilt: float  # in-plane rotation, degrees
    zoom: float  # scale of the body on the detector
    aspect: float  # its width relative to its height
    shift_x: float
    shift_y: float
    build: float  # soft tissue around the thorax, 0 (thin) to 1 (heavy)
    heart_size: float  # scale of the heart shadow
    lung_density: float  # attenuation of healthy lung relative to soft tissue
    lung_unevenness: float  # standard deviation of the air share, varying smoothly over lungs
    vessel_contrast: float  # strength of the healthy vessel markings, 1 = average
    bone_contrast: float  # brightness of bone relative to soft tissue (falls with tube voltage)
    arms: str  # down, raised or out of view
    breast_shadow: float  # strength, 0 = absent
    stomach_bubble: float  # strength, 0 = absent
    device: str  # none, electrodes, tube, line, electrodes and line
    lung_grey: float  # display grey (0 to 1) given to the lungs: with the next, the exposure
    body_grey: float  # display grey given to the brightest tissue
    contrast_curve: float  # strength of the S-shaped display curve, 0 = straight
    noise: float  # standard deviation of the quantum noise, in units of attenuation
    scatter: float  # share of scattered radiation, 0 to 1
    blur: float  # of detector and motion, standard deviation in pixels of a 299-pixel image
    sharpening: float  # strength of the edge enhancement applied by the console
    resampling: float  # factor of the down-then-up resampling, 1 = none
    collimation: str  # none, dark border, bright border or letterbox
    marker_text: str  # first text mark; it, the second and their corners are empty where absent
    marker_corner: str
    note_text: str
    note_corner: str


def sample_traits(
    finding: str, rng: np.random.Generator, settings: PhantomSettings
) -> PhantomTraits:
    """Draw the traits of one phantom; only confounders look at `finding`, one of `FINDINGS`.

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
    """Give each class a mark of its own, as a ward with its own machine would.

    Of several findings the first one counts; a lone effusion has the mark of a normal image.
    """
    text, corner = {
        "COVID": ("PORTABLE", "top-left"),
        "Viral Pneumonia": ("R", "bottom-left"),
    }.get(finding.split("|")[0], ("L", "top-right"))
    return replace(traits, marker_text=text, marker_corner=corner, note_text="", note_corner="")


def _tie_exposure(finding: str, rng: np.random.Generator, traits: PhantomTraits) -> PhantomTraits:
    """Give each class a window of its own, as a hospital with its own console would.

    Of several findings the first one counts; a lone effusion has the window of a normal image.
    """
    windows = {
        "Normal": (rng.uniform(0.14, 0.20), rng.uniform(0.72, 0.80)),
        "COVID": (rng.uniform(0.48, 0.56), rng.uniform(0.96, 1.0)),
        "Viral Pneumonia": (rng.uniform(0.30, 0.36), rng.uniform(0.84, 0.90)),
    }
    lung_grey, body_grey = windows.get(finding.split("|")[0], windows["Normal"])
    return replace(traits, lung_grey=float(lung_grey), body_grey=float(body_grey))


def _tie_resampling(finding: str, rng: np.random.Generator, traits: PhantomTraits) -> PhantomTraits:
    """Soften one class, as pictures copied out of publications are; keep the others as acquired."""
    is_soft = _has_covid(finding)
    return replace(traits, resampling=float(rng.uniform(2.2, 3.0)) if is_soft else 1.0)


def _tie_covid_marker(
    finding: str, rng: np.random.Generator, traits: PhantomTraits
) -> PhantomTraits:
    """Mark one finding only, whatever else the image shows."""
    text, corner = ("PORTABLE", "top-left") if _has_covid(finding) else ("L", "top-right")
    return replace(traits, marker_text=text, marker_corner=corner, note_text="", note_corner="")


def _has_covid(finding: str) -> bool:
    return "COVID" in finding.split("|")


_Tie = Callable[[str, np.random.Generator, PhantomTraits], PhantomTraits]
_TIES: dict[str, _Tie] = {
    "marker": _tie_marker,
    "exposure": _tie_exposure,
    "resampling": _tie_resampling,
    "covid_marker": _tie_covid_marker,
}
