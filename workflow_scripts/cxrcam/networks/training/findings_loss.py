"""What a network with several findings learns by, and how many of its answers are right."""

import torch
from torch import nn


class FindingsLoss(nn.Module):
    """Binary cross entropy of each finding, where it is known.

    Parameters
    ----------
    smoothing : float
        Share of the target that is spread over present and absent alike, in [0, 1).
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, logits: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Losses (n,) of logits (n, k) and what is known (n, k): 1, 0 or NaN.

        Each known answer counts 1 / k, so that an image of which little is known counts little.
        """
        told = known.isfinite()
        target = torch.where(told, known, 0.0)
        target = target * (1 - self.smoothing) + self.smoothing / 2
        losses = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (losses * told).sum(1) / known.shape[1]


def right_answers(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Number of images (n) that are answered right, on the device.

    Of classes, labels int64 (n,), the likeliest one is the answer. Of findings, labels float32
    (n, k), an image counts by the share of its known findings that are told right; one of which
    nothing is known counts none.
    """
    if labels.ndim == 1:
        return (logits.argmax(1) == labels).sum()
    told = labels.isfinite()
    right = ((logits > 0) == (labels > 0.5)) & told
    return (right.sum(1).double() / told.sum(1).clamp(min=1)).sum()
