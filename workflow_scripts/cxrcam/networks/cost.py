"""What a network costs: its weights, and the multiplications of one image."""

import torch
from torch import nn
from torch.func import functional_call


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def multiply_adds(model: nn.Module, input_size: int) -> float:
    """Multiply-adds of one image's forward pass, as papers and torchvision count them.

    Convolutions and matrix products count; additions of a bias, normalisation, activation and
    pooling do not. Only shapes are followed: nothing is computed and no weight is copied.

    Parameters
    ----------
    model : nn.Module
        For three channels; neither its weights nor its mode change.
    input_size : int
        Pixels a side at its input.

    Returns
    -------
    float
        In GMAC, 10⁹ multiply-adds.
    """
    # Imported here: it loads Triton, a tenth of a second that trainings can do without.
    from torch.utils.flop_counter import FlopCounterMode

    tensors = {
        name: tensor.to("meta")
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
    }
    image = torch.empty(1, 3, input_size, input_size, device="meta")
    modes = {module: module.training for module in model.modules()}
    counter = FlopCounterMode(display=False)
    try:
        model.eval()  # batch normalisation in training mode refuses a single image
        with torch.no_grad(), counter:
            functional_call(model, tensors, (image,))
    finally:
        for module, mode in modes.items():
            module.training = mode
    return counter.get_total_flops() / 2 / 1e9  # it counts a multiply-add as two operations
