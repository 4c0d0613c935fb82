"""What `benchmarks.maps` measures of one trained network and each kind of its maps.

As in the project's audit, scores of place are those of diseased test images that the network
recognised: a map of the wrong class has no reason to point at the lesion of the right one.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from benchmarks.map_images import Images
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE
from workflow_scripts.cxrcam.map_tests.explanation_tests import drawn_images, explanation_tests
from workflow_scripts.cxrcam.map_tests.places import TOLERANCE
from workflow_scripts.cxrcam.map_tests.scores import (
    MapScore,
    energy_share,
    intersection_over_union,
    pointing_game,
)
from workflow_scripts.cxrcam.map_tests.summaries import summarise
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cost import multiply_adds
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.prediction import Predictions, predict
from workflow_scripts.cxrcam.seeds import generator, integer_seed, seed_sequence

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CPU = torch.device("cpu")
NETWORK = "network"  # in the column of maps: what is measured of the network itself
OWN = ("evidence", "class_map")
ATTRIBUTIONS = ("integrated_gradients", "occlusion")
STEPS = 32  # of integrated gradients
WINDOW, STRIDE = 32, 16  # pixels of an occluded square, and between neighbouring ones

# Measure: function, mask, options.
PLACES: dict[str, tuple[Any, str, dict[str, float]]] = {
    "pointing": (pointing_game, "lesions", {}),
    "pointing with tolerance": (pointing_game, "lesions", {"tolerance_pixels": TOLERANCE}),
    "heat in lesion": (energy_share, "lesions", {}),
    "overlap": (intersection_over_union, "lesions", {}),
    "heat in lungs": (energy_share, "lungs", {}),
    "hottest in lungs": (pointing_game, "lungs", {}),
}

Row = dict[str, Any]
Rows = npt.NDArray[np.int64]


@dataclass
class Measured:
    """Rows of the table, and values of single images.

    Attributes
    ----------
    rows : list of dict
        ``map``, ``measure``, ``n``, ``value``, ``low``, ``high`` (95 %) and ``chance``.
    arrays : dict of str to array
        ``right`` and, by map and measure, shape (n,): NaN where an image is not scored.
    """

    rows: list[Row] = field(default_factory=list)
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def add(self, kind: str, measure: str, value: float, n: int, **further: float | None) -> None:
        """Add a row."""
        row = {"map": kind, "measure": measure, "n": n, "value": value}
        self.rows.append(row | {"low": None, "high": None, "chance": None} | further)


@dataclass(frozen=True)
class Network:
    """A trained network, and the side of the images that it sees."""

    model: nn.Module
    backbone: Backbone
    side: int

    def predict(self, pixels: npt.NDArray[np.uint8], model: nn.Module | None = None) -> Predictions:
        """Outputs for images, of this network or of one of the same form."""
        return predict(model or self.model, self.backbone, pixels, IMAGENET, CPU)

    def maps_of(
        self,
        kind: str,
        pixels: npt.NDArray[np.uint8],
        classes: npt.NDArray[np.int64],
        model: nn.Module | None = None,
    ) -> RawMaps:
        """Maps of one kind and of one class an image, values of shape (n, 1, h, w)."""
        if kind in ATTRIBUTIONS:
            return attributions(kind, model or self.model, pixels, classes)
        if kind not in OWN:
            from workflow_scripts.cxrcam.maps.methods import method_maps  # brings OpenCV

            return method_maps(
                *(kind, model or self.model, self.backbone, pixels, classes),
                *(IMAGENET, CPU, self.side),
            )
        said = self.predict(pixels, model)
        values = said.evidence if kind == "evidence" else said.class_maps
        maps = RawMaps(values, self.side, self.backbone.stride, self.backbone.offset)
        return maps.of_class(classes)


def attributions(
    kind: str, model: nn.Module, pixels: npt.NDArray[np.uint8], classes: npt.NDArray[np.int64]
) -> RawMaps:
    """Maps of pixels by Captum, from a black image on, summed over the three channels.

    Integrated gradients: Sundararajan et al. 2017; smoothed, as single pixels are noise. Occlusion:
    Zeiler & Fergus 2014.
    """
    from captum.attr import IntegratedGradients, Occlusion

    side, values = pixels.shape[-1], []
    for image, label in zip(pixels, classes.tolist(), strict=True):
        shown = IMAGENET.apply(torch.from_numpy(image[None]))
        black = IMAGENET.apply(torch.zeros((1, side, side), dtype=torch.uint8))
        if kind == "occlusion":
            window, step = (3, WINDOW, WINDOW), (3, STRIDE, STRIDE)
            found = Occlusion(model).attribute(
                shown, window, step, black, label, perturbations_per_eval=16
            )
        else:
            found = IntegratedGradients(model).attribute(
                shown, black, label, n_steps=STEPS, internal_batch_size=16
            )
        summed = found.detach().sum(1).numpy()[0]
        values.append(summed if kind == "occlusion" else gaussian_filter(summed, STRIDE / 2))
    return RawMaps(np.stack(values)[:, None].astype(np.float32), side, 1, 0.0)


def measure_answers(result: Measured, said: Predictions, images: Images, where: str) -> None:
    """Accuracy, and how far the probabilities can be trusted; `where` is test or external."""
    right = said.logits.argmax(1) == images.labels
    confidence = said.probabilities.max(1)
    of_truth = said.probabilities[np.arange(len(right)), images.labels]
    low, high = wilson_interval(int(right.sum()), len(right))
    of_class = [float(right[images.labels == k].mean()) for k in np.unique(images.labels)]
    for measure, value, further in (
        ("accuracy", right.mean(), {"low": low, "high": high}),
        ("balanced accuracy", np.mean(of_class), {}),
        ("calibration error", expected_calibration_error(confidence, right), {}),
        ("log loss", -np.log(np.maximum(of_truth, 1e-12)).mean(), {}),
    ):
        result.add(NETWORK, f"{measure}, {where}", float(value), len(right), **further)


def measure_places(
    result: Measured, kind: str, heat: npt.NDArray[np.float32], images: Images, rows: Rows
) -> None:
    """Where the heat of some images lies, each score with its interval and its chance level.

    Parameters
    ----------
    result : Measured
        Gets rows and arrays.
    kind : str
        Of map.
    heat : float32 array, shape (k, MASK_SIDE, MASK_SIDE)
        Of the images that are scored.
    images : Images
        All test images.
    rows : int array, shape (k,)
        Positions of those that are scored.
    """
    for measure, (score, mask, options) in PLACES.items():
        regions = getattr(images, mask)[rows]
        if not regions.any():
            continue
        scored: MapScore = score(heat, regions, **options)
        summary = summarise(scored, seed=seed_sequence(0, "benchmark", measure))
        low, high = summary["interval"] or (None, None)
        if summary["value"] is None:
            continue
        further = {"low": low, "high": high, "chance": summary["chance"]}
        result.add(kind, measure, summary["value"], summary["n"], **further)
        values = np.full(len(images), np.nan, dtype=np.float32)
        values[rows] = np.where(scored.scored, scored.values, np.nan)
        result.arrays[f"{kind}|{measure}"] = values


def measure_kinds(
    result: Measured,
    network: Network,
    images: Images,
    called: npt.NDArray[np.int64],
    kinds: Mapping[str, int],
) -> None:
    """Scores of place of each kind of map, on at most so many images (0: all)."""
    recognised = np.flatnonzero((called == images.labels) & (images.labels > 0))
    # The same images whatever the network, as far as it recognises them.
    order = generator(0, "benchmark", "images").permutation(len(images))
    for kind, most in kinds.items():
        rows = order[np.isin(order, recognised)][: most or None]
        if not len(rows):
            continue
        began = time.process_time()
        maps = network.maps_of(kind, images.pixels[rows], called[rows])
        seconds = (time.process_time() - began) / len(rows)
        heat = maps.placed(np.zeros(len(rows), dtype=np.int64), MASK_SIDE)
        measure_places(result, kind, heat, images, rows)
        result.add(kind, "seconds an image", seconds, len(rows))
        squares = (-(-(network.side - WINDOW) // STRIDE) + 1) ** 2
        passes = {
            **{"score_cam": 1 + network.backbone.stage.channels, "occlusion": 1 + squares},
            "integrated_gradients": STEPS,
        }.get(kind, 1)
        result.add(kind, "forward passes an image", passes, len(rows))


def measure_tests(
    result: Measured,
    network: Network,
    images: Images,
    n_classes: int,
    seed: int,
    most: int,
    kinds: Sequence[str],
) -> None:
    """Randomisation, faithfulness and mirror images, as the project's audit tests them."""
    untrained = build_classifier(
        network.backbone, n_classes, integer_seed(seed, "benchmark", "randomisation")
    )
    for kind in kinds:
        rng = generator(0, "benchmark", "tests")
        rows = drawn_images(len(images), most, rng)
        tested = explanation_tests(
            network.model,
            untrained,
            lambda pixels: network.predict(pixels).probabilities,
            lambda model, pixels, of, kind=kind: network.maps_of(kind, pixels, of, model),
            images.pixels[rows],
            np.array(images.names)[rows],
            rng,
            seed_sequence(0, "benchmark", "test intervals"),
        )
        for measure, mean in _test_values(tested):
            interval = mean["interval"] or (None, None)
            result.add(
                *(kind, measure, mean["mean"], mean["n"]),
                **{"low": interval[0], "high": interval[1]},
            )


def _test_values(tested: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and mean of each number that is kept of `explanation_tests`."""
    cascade = tested["randomisation"]
    for name, row in (
        ("last layer untrained", cascade[0]),
        ("all layers untrained", cascade[-2]),
        ("other images", cascade[-1]),
    ):
        for similarity in ("spearman", "ssim"):
            yield f"{similarity}, {name}", row[similarity]
    for row in tested["faithfulness"]:
        if row["map"] == "map":
            yield f"{row['test']} area", row["area"]
        else:
            yield f"{row['test']} advantage over {row['map']}", row["advantage"]
    for similarity in ("spearman", "ssim"):
        yield f"{similarity}, mirror image", tested["flip"][similarity]


def measure_network(
    network: Network,
    test: Images,
    external: Images | None,
    n_classes: int,
    seed: int,
    kinds: Mapping[str, int],
    tested: int,
) -> Measured:
    """All measures of one trained network.

    Parameters
    ----------
    network : Network
    test, external : Images
        External ones have no masks: their accuracy is all that is measured.
    n_classes : int
    seed : int
        Of the network.
    kinds : mapping of str to int
        Kinds of maps, and on how many images at most each is scored; 0 is all.
    tested : int
        Images on which the project's own maps are tested; 0 tests none.
    """
    result = Measured()
    said = network.predict(test.pixels)
    called = said.logits.argmax(1)
    measure_answers(result, said, test, "test")
    if external is not None:
        measure_answers(result, network.predict(external.pixels), external, "external")
    measure_kinds(result, network, test, called, kinds)
    if tested:
        measure_tests(result, network, test, n_classes, seed, tested, OWN[:1])
    result.add(NETWORK, "GMAC an image", multiply_adds(network.model, network.side), 1)
    chosen = np.arange(len(called)), called
    result.arrays |= {
        "right": called == test.labels,
        "names": np.array(test.names),
        "evidence": said.evidence[chosen],
        "geometry": np.array([network.side, network.backbone.stride, network.backbone.offset]),
    }
    return result
