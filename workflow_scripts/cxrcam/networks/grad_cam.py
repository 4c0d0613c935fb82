"""Grad-CAM, raw, for networks between whose last feature map and logits lie several layers.

Hooks, channel weights and the weighted sum are those of the library pytorch-grad-cam. Left out is
what the library does next: it cuts off negative values and rescales each map by its own extremes,
after which maps of two images or two classes can no longer be compared.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, equations 1 and 2 (the latter before its ReLU).

Importing this module imports OpenCV: do so only where a network needs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from pytorch_grad_cam import GradCAM  # type: ignore[import-untyped]
from pytorch_grad_cam.base_cam import BaseCAM  # type: ignore[import-untyped]
from torch import nn

# Lifts features of 0 by less than float32 can add to any other: see `watched`.
SMALLEST = torch.finfo(torch.float32).tiny


@contextmanager
def watched(
    method: type[BaseCAM], model: nn.Module, layer: str, rectified_later: bool = False
) -> Iterator[BaseCAM]:
    """One of the library's methods with its hooks on a layer, and gradients at that layer only.

    Everything is taken off again at the end, whatever happens; errors are not swallowed.

    Parameters
    ----------
    method : type
        A class of the library.
    model : nn.Module
        Set to evaluation mode, and left in it; its gradients stay as they are.
    layer : str
        Dotted name of the layer whose output, shape (n, k, h, w), is watched.
    rectified_later : bool
        As in `architectures.Architecture`: what is watched is then the rectified output, which is
        what the network goes on with.

    Yields
    ------
    BaseCAM
        Its `activations_and_grads` runs the model and keeps activations and gradients.
    """
    target = model.get_submodule(layer)
    trainable = [p for p in model.parameters() if p.requires_grad]

    def restart(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        """Begin the graph here, and without the weights.

        That spares the way back through all convolutions and a second copy of VGG19's 140 million
        weights.
        """
        if not rectified_later:
            # A copy, as what comes next may work in place, which no leaf of a graph allows.
            return output.detach().requires_grad_().clone()
        # The network's own rectification comes behind the library's hook. Features above 0 pass it
        # as if it were not there, and so do their gradients. The sum is there because that
        # rectification works in place, which no leaf of a graph allows.
        return output.detach().relu().requires_grad_() + SMALLEST

    restarted = target.register_forward_hook(restart)
    library = method(model=model, target_layers=[target])
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield library
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        library.activations_and_grads.release()
        restarted.remove()


def grad_cam(
    model: nn.Module, layer: str, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and raw Grad-CAM maps of all classes, from one forward pass.

    Parameters
    ----------
    model : nn.Module
        Set to evaluation mode, and left in it; its gradients stay as they are.
    layer : str
        Dotted name of the layer whose output, shape (n, k, h, w), is weighed.
    images : float tensor, shape (n, channels, height, width)
        Made outside `torch.inference_mode`, like the model: gradients are computed here.

    Returns
    -------
    logits : float tensor, shape (n, c)
    maps : float32 tensor, shape (n, c, h, w), on the CPU
        ``sum_k a_ck f_k(x, y)`` with ``a_ck`` the mean over (x, y) of the gradient of logit c with
        respect to ``f_k``; positive and negative. Unlike exact maps they add up to no logit.
    """
    with watched(GradCAM, model, layer) as library, torch.enable_grad():
        seen = library.activations_and_grads
        logits = seen(images)
        maps = []
        for of_class in logits.sum(0):  # images do not mix: each gets the gradient of its own
            of_class.backward(retain_graph=True)
            # NumPy has no bfloat16.
            activations, gradients = (
                found[0].float().numpy() for found in (seen.activations, seen.gradients)
            )
            maps.append(library.get_cam_image(images, None, None, activations, gradients))
    return logits.detach(), torch.from_numpy(np.stack(maps, axis=1)).float()
