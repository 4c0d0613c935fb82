"""COVID-CAPS: a network whose classes are capsules, vectors whose length says how sure it is.

Afshar, Heidarian, Naderkhani, Oikonomou, Plataniotis & Mohammadi, "COVID-CAPS: A capsule
network-based framework for identification of COVID-19 cases from X-ray images", Pattern Recognition
Letters 138, 2020. Its capsules and its loss are those of Sabour, Frosst & Hinton, "Dynamic Routing
Between Capsules", NeurIPS 2017, whose numbers of equations stand below.

What the paper leaves open is as in the authors' code (binary.py of ShahinSHH/COVID-CAPS, in Keras):
convolutions without padding, batch normalisation behind a ReLU, capsules whose weights all places
share and that have no bias, Glorot's initial weights. Different from that code are

- routing: their layer replaces the logits b by the newest agreement, Sabour's adds it to them;
- running statistics of batch normalisation, which follow a tenth of each batch as in all networks
  here (theirs: a hundredth, too slow for trainings of a few hundred steps);
- the loss of the validation part, which has the weights of the classes here as well.

With two classes 295,360 parameters are trained. The 295,488 of the paper are all that Keras counts:
128 of them are the running statistics of batch normalisation, which no gradient moves.
"""

from contextlib import nullcontext
from typing import Final

import torch
from torch import nn

LEAST_LENGTH: Final = 1e-12
"""Shorter capsules count as this long, so that every length has a logarithm.

Untrained ones can be as short as 1e-8, as `squash` squares small lengths at each layer.
"""


def squash(s: torch.Tensor) -> torch.Tensor:
    """Shorten vectors along the last axis to a length below 1; their direction stays.

    Equation 1,  v = |s|² / (1 + |s|²) · s / |s|,  without its division by 0.
    """
    length = torch.linalg.vector_norm(s, dim=-1, keepdim=True)
    squashed: torch.Tensor = s * (length / (1 + length**2))
    return squashed


def routed(u: torch.Tensor, weight: torch.Tensor, iterations: int) -> torch.Tensor:
    """Capsules of the next layer, by routing by agreement (procedure 1).

    Each capsule i of the layer below predicts each capsule j: û_j|i = W_j u_i. A capsule j is a sum
    of its predictions, in which those count more that agree with it:

        c_ij = exp(b_ij) / Σ_k exp(b_ik)              (equation 3; a capsule i divides itself)
        v_j = squash(Σ_i c_ij û_j|i)                  (equation 2)
        b_ij ← b_ij + û_j|i · v_j                     (at first b_ij = 0)

    All capsules i share W_j. So W_j comes out of the sums, Σ_i c_ij û_j|i = W_j Σ_i c_ij u_i and
    û_j|i · v_j = u_i · W_jᵀ v_j, and the predictions themselves, 256 numbers for each of 11,236
    places of an image of 224 pixels, are never made.

    Parameters
    ----------
    u : float tensor, shape (n, capsules i, length of each)
    weight : float tensor, shape (capsules j, length of each, length of each u_i)
    iterations : int
        At least 1.

    Returns
    -------
    float tensor, shape (n, capsules j, length of each)
    """
    b = u.new_zeros(u.shape[0], len(weight), u.shape[1])  # (n, j, i)
    for iteration in range(iterations):
        c = b.softmax(dim=1)
        v = squash(torch.einsum("njd,jkd->njk", c @ u, weight))
        if iteration < iterations - 1:
            b = b + torch.einsum("njk,jkd->njd", v, weight) @ u.mT
    return v


class PrimaryCapsules(nn.Module):
    """Each place of a feature map as one capsule: (n, k, h, w) becomes (n, h · w, k)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Move channels last and places into one axis."""
        return features.flatten(2).mT


class CapsuleLayer(nn.Module):
    """`n_capsules` of length `n_out` each, from any number of capsules of length `n_in`."""

    def __init__(self, n_in: int, n_capsules: int, n_out: int, iterations: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_capsules, n_out, n_in))
        self.iterations = iterations
        nn.init.xavier_uniform_(self.weight.flatten(0, 1))  # Glorot's, of one dense layer to all

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Capsules (n, i, n_in) become capsules (n, n_capsules, n_out), in float32.

        bfloat16 has three digits: agreements summed over thousands of capsules would be noise.
        """
        device = u.device.type
        # Asked first, as "meta", where costs are counted, knows no autocast.
        casts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if casts else nullcontext():
            return routed(u.float(), self.weight, self.iterations)


class CovidCaps(nn.Module):
    """COVID-CAPS for any number of classes and images of 32 pixels a side or more.

    Its outputs are the logarithms of the lengths of the class capsules, so that they are logits as
    any network's: the class with the longest capsule has the largest, and the softmax gives lengths
    divided by their sum. The loss asks for no lengths beyond 0.9 and 0.1, so that of two classes a
    sure answer has a probability near 0.9 before it is calibrated.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(64, eps=1e-3)),
            *(nn.Conv2d(64, 64, 3), nn.ReLU(inplace=True), nn.AvgPool2d(2)),
            *(nn.Conv2d(64, 128, 3), nn.ReLU(inplace=True)),
            *(nn.Conv2d(128, 128, 3), nn.ReLU(inplace=True)),
        )
        for layer in self.features:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        self.primary = PrimaryCapsules()
        self.capsules1 = CapsuleLayer(128, 32, 8)
        self.capsules2 = CapsuleLayer(8, 32, 8)
        self.classes = CapsuleLayer(8, n_classes, 16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes), float32, of images (n, 3, height, width)."""
        capsules = self.primary(self.features(images))
        capsules = self.classes(self.capsules2(self.capsules1(capsules)))
        lengths: torch.Tensor = torch.linalg.vector_norm(capsules, dim=-1)
        return lengths.clamp(min=LEAST_LENGTH).log()


class MarginLoss(nn.Module):
    """Margin loss of each image, from the logits of `CovidCaps` (equation 4).

        L = w_y · Σ_c [ T_c max(0, 0.9 - |v_c|)² + 0.5 (1 - T_c) max(0, |v_c| - 0.1)² ]

    with y the class of the image and T_c = 1 for c = y, else 0. The weight w_y = 1 - n_y / n is the
    share of the training images that are of other classes, as in COVID-CAPS, so that an error on a
    rare class counts more. Of c classes of equal size each has the weight 1 - 1 / c.

    Parameters
    ----------
    labels : int64 tensor, shape (n,)
        Of the training part.
    n_classes : int
    """

    weights: torch.Tensor

    def __init__(self, labels: torch.Tensor, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.register_buffer("weights", 1 - self._present(labels).mean(0))

    def _present(self, labels: torch.Tensor) -> torch.Tensor:
        """T, float32 (n, classes); by comparison, which a GPU does deterministically."""
        return (labels[:, None] == torch.arange(self.n_classes, device=labels.device)).float()

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Losses, float32 (n,), of logits (n, c) and labels, int64 (n,)."""
        lengths = logits.exp()
        present = self._present(labels)
        missed = present * (0.9 - lengths).relu() ** 2
        claimed = 0.5 * (1 - present) * (lengths - 0.1).relu() ** 2
        return self.weights[labels] * (missed + claimed).sum(1)


def covid_caps(weights: None = None, num_classes: int = 2) -> nn.Module:
    """`CovidCaps` by the keywords of torchvision's constructors; there are no published weights."""
    return CovidCaps(num_classes)
