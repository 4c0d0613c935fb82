"""Grad-CAM, raw, for networks between whose last feature map and logits lie several layers.

Hooks, channel weights and the weighted sum are those of the library pytorch-grad-cam. Left out is
what the library does next: it cuts off negative values and rescales each map by its own extremes,
after which maps of two images or two classes can no longer be compared.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, equations 1 and 2 (the latter before its ReLU).

Importing this module imports OpenCV: do so only where a network needs it.
"""

import numpy as np
import torch
from pytorch_grad_cam import GradCAM  # type: ignore[import-untyped]
from torch import nn


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
    target = model.get_submodule(layer)
    trainable = [p for p in model.parameters() if p.requires_grad]
    # Gradients are wanted at this layer only. Beginning the graph here, and without the weights,
    # spares the way back through all convolutions and a second copy of VGG19's 140 million weights.
    restart = target.register_forward_hook(lambda _m, _i, out: out.detach().requires_grad_())
    library = GradCAM(model=model, target_layers=[target])
    seen = library.activations_and_grads
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        with torch.enable_grad():
            logits = seen(images)
            maps = []
            for of_class in logits.sum(0):  # images do not mix: each gets the gradient of its own
                of_class.backward(retain_graph=True)
                activations, gradients = seen.activations[0].numpy(), seen.gradients[0].numpy()
                maps.append(library.get_cam_image(images, target, None, activations, gradients))
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        seen.release()
        restart.remove()
    return logits.detach(), torch.from_numpy(np.stack(maps, axis=1)).float()
