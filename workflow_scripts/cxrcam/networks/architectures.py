"""The networks of the workflow: those that it knows, whole or cut, and any other one, whole.

One entry of `ARCHITECTURES`, and its stages in `stages.STAGES`, are all that a known network needs.
What is to be known of any other network of torchvision or timm is found by looking at it (`found`).
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, Literal

from torch import nn

from workflow_scripts.cxrcam.configuration.stages import STAGES, Stage, stage_problem
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.capsules import covid_caps
from workflow_scripts.cxrcam.networks.decomposition import compose_in_evaluation
from workflow_scripts.cxrcam.networks.found import look
from workflow_scripts.cxrcam.networks.libraries import Normalisation, build_network
from workflow_scripts.cxrcam.networks.pooling import with_deterministic_pooling
from workflow_scripts.cxrcam.networks.without_compiler import compiler_left_out

with compiler_left_out():
    import torchvision

# Before module names might hold no dots, DenseNet's layers were called norm.1; the published files
# still say so, and torchvision renames them just like this when it loads them itself.
OLD_DENSENET_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")


def modern_densenet_name(name: str) -> str:
    """Name of a DenseNet tensor today: ``denselayer1.norm.1.weight`` is ``denselayer1.norm1.…``."""
    return OLD_DENSENET_NAME.sub(r"\1\2", name)


def _vgg19(**settings: Any) -> nn.Module:  # noqa: ANN401 (torchvision's own keywords)
    """VGG19 whose pooling has a deterministic gradient; the same tensors, the same outputs."""
    return with_deterministic_pooling(torchvision.models.vgg19(**settings))


# The auxiliary classifier of Inception only serves training from random weights, with a loss of
# its own; without it the network returns logits like all others. `transform_input` stays on, for
# random weights too: it turns the ImageNet normalisation that all networks here get (image.mean,
# image.std) into the range -1 to 1 that the published weights, which come from TensorFlow, expect.
# Tied to `weights`, as in torchvision, it would be lost where a saved model is built again.
_inception_v3 = partial(
    torchvision.models.inception_v3, aux_logits=False, transform_input=True, init_weights=True
)


# --- ending behind a stage ------------------------------------------------------------------------


def _end_resnet(model: Any, stage: Stage, n_classes: int) -> None:  # noqa: ANN401
    """Leave out the stages behind `stage`; their forward pass goes through."""
    for k in range(int(stage.layer[-1]) + 1, 5):
        setattr(model, f"layer{k}", nn.Identity())
    model.fc = nn.Linear(stage.channels, n_classes)


def _end_densenet(model: Any, stage: Stage, n_classes: int) -> None:  # noqa: ANN401
    """End with the normalisation of a transition; DenseNet itself rectifies what comes last."""
    block = stage.layer.split(".")[1]
    children = dict(model.features.named_children())
    kept = list(children)[: list(children).index(block)]
    transition = nn.Sequential(OrderedDict(norm=children[block].norm))
    model.features = nn.Sequential(
        OrderedDict([*((name, children[name]) for name in kept), (block, transition)])
    )
    model.classifier = nn.Linear(stage.channels, n_classes)


def _end_mobilenet(model: Any, stage: Stage, n_classes: int) -> None:  # noqa: ANN401
    """Leave out the blocks behind `stage`."""
    model.features = model.features[: int(stage.layer.split(".")[1]) + 1]
    model.classifier[1] = nn.Linear(stage.channels, n_classes)


def _end_squeezenet(model: Any, stage: Stage, n_classes: int) -> None:  # noqa: ANN401
    """Leave out the modules behind `stage`; the last convolution stays the last layer."""
    model.features = model.features[: int(stage.layer.split(".")[1]) + 1]
    model.classifier[1] = nn.Conv2d(stage.channels, n_classes, kernel_size=1)
    nn.init.normal_(model.classifier[1].weight, std=0.01)  # as torchvision does
    nn.init.zeros_(model.classifier[1].bias)


def _end_inception(model: Any, stage: Stage, n_classes: int) -> None:  # noqa: ANN401
    """Leave out the blocks behind `stage`."""
    blocks = [name for name, _ in model.named_children() if name.startswith("Mixed_")]
    for name in blocks[blocks.index(stage.layer) + 1 :]:
        setattr(model, name, nn.Identity())
    model.fc = nn.Linear(stage.channels, n_classes)


def _end_vgg(model: Any, stage: Stage, n_classes: int) -> None:  # noqa: ANN401
    """Pool what the convolutions give to one linear layer, in the place of three: exact maps."""
    model.features = model.features[: int(stage.layer.split(".")[1]) + 1]
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier = nn.Linear(stage.channels, n_classes)


# --- keeping the resolution -----------------------------------------------------------------------


def _steps_of_resnet(model: Any) -> list[nn.Module]:  # noqa: ANN401
    """Layers and blocks in the order in which they run."""
    blocks = [b for k in range(1, 5) for b in getattr(model, f"layer{k}").children()]
    return [model.conv1, model.maxpool, *blocks]


def _steps_of_features(model: Any) -> list[nn.Module]:  # noqa: ANN401
    """As `_steps_of_resnet`, where they stand one behind the other."""
    return list(model.features.children())


def keep_resolution(steps: Sequence[nn.Module], stride: int) -> None:
    """Let no step halve the resolution once neighbouring cells are `stride` input pixels apart.

    What comes later looks at every second cell instead (dilation), so that with the same weights
    the network computes what it computed before, and the cells between. This is the algorithme à
    trous of Holschneider et al. 1989, as Yu et al., "Dilated Residual Networks", CVPR 2017, use it.

    Parameters
    ----------
    steps : sequence of nn.Module
        Layers or blocks in the order in which they run; each halves the resolution once at most.
    stride : int
        Input pixels, a power of two.

    Raises
    ------
    ValueError
        If average pooling would have to be dilated, which PyTorch cannot do.
    """
    reached, dilation = 1, 1
    for step in steps:
        layers = [m for m in step.modules() if isinstance(m, _SPATIAL)]
        factor = max((_side(layer.stride) for layer in layers), default=1)
        halved = factor > 1 and reached >= stride
        own = dilation
        for layer in layers:  # registered in the order in which they run
            strided = _side(layer.stride) > 1
            if halved and strided:
                layer.stride = 1 if not isinstance(layer, nn.Conv2d) else (1, 1)
            _dilate(layer, own)
            if halved and strided and _side(layer.kernel_size) > 1:
                own = dilation * factor  # what follows within the block sees the finer grid
        if halved:
            dilation *= factor
        else:
            reached *= factor


_SPATIAL: Final = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def _side(size: Any) -> int:  # noqa: ANN401 (int or pair, as PyTorch allows both)
    """Kernel or stride along one side."""
    return int(size if isinstance(size, int) else size[0])


def _dilate(layer: nn.Module, dilation: int) -> None:
    """Spread the kernel of a layer over every `dilation`-th cell."""
    if dilation == 1 or _side(layer.kernel_size) == 1:
        return
    if isinstance(layer, nn.AvgPool2d):
        raise ValueError("average pooling cannot be dilated")
    pair = isinstance(layer, nn.Conv2d)
    padding = _side(layer.padding) * dilation
    layer.dilation = (dilation, dilation) if pair else dilation  # type: ignore[assignment]
    layer.padding = (padding, padding) if pair else padding  # type: ignore[assignment]


# --- the networks ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Architecture:
    """One network."""

    build: Callable[..., nn.Module]  # torchvision's constructor, or one with the same keywords
    # torchvision.models.WeightsEnum: published ImageNet weights; a name in timm; None where there
    # are none.
    imagenet: Any
    # Dotted name of the last layer with weights: nn.Linear, nn.Conv2d of 1 x 1 whose output is
    # pooled to the logits, or capsules.
    head: str
    # Cuts the network behind a stage and gives it a last layer for so many classes; None where it
    # can only be whole.
    end: Callable[[Any, Stage, int], None] | None
    # Its layers and blocks in the order in which they run, for `keep_resolution`.
    steps: Callable[[Any], list[nn.Module]] | None = _steps_of_features
    # Fewest pixels a side that it takes; 32 is also the least that `image.size` allows.
    minimum_size: int = 32
    # The published network has several dense layers behind its last feature map, so that there is
    # no exact map of the whole of it.
    dense_layers: bool = False
    # Its last layers are capsules: it learns by margin loss, and has no exact map either.
    capsules: bool = False
    # It rectifies its last feature map by a function, not by a layer.
    rectified_later: bool = False
    # Prefix of tensors that published files hold and this network has no use for.
    auxiliary: str | None = None
    # Name of a tensor in the network, from that in a published file.
    modern_name: Callable[[str], str] = str
    # Mean and standard deviation of the input that its published weights were trained with, where
    # they may be others than those of the configuration.
    normalisation: Normalisation | None = None
    # What a person should know of its maps, in sentences.
    notes: tuple[str, ...] = ()


# From the fewest to the most multiplications, the order of cost that counts.
ARCHITECTURES: dict[str, Architecture] = {
    "mobilenet_v2": Architecture(
        build=torchvision.models.mobilenet_v2,
        imagenet=torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1,
        head="classifier.1",
        end=_end_mobilenet,
    ),
    "squeezenet1_1": Architecture(
        build=torchvision.models.squeezenet1_1,
        imagenet=torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
        head="classifier.1",
        end=_end_squeezenet,
    ),
    "resnet18": Architecture(
        build=torchvision.models.resnet18,
        imagenet=torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
        head="fc",
        end=_end_resnet,
        steps=_steps_of_resnet,
    ),
    "densenet121": Architecture(
        build=torchvision.models.densenet121,
        imagenet=torchvision.models.DenseNet121_Weights.IMAGENET1K_V1,
        head="classifier",
        end=_end_densenet,
        rectified_later=True,
        modern_name=modern_densenet_name,
    ),
    "resnet50": Architecture(
        build=torchvision.models.resnet50,
        imagenet=torchvision.models.ResNet50_Weights.IMAGENET1K_V1,
        head="fc",
        end=_end_resnet,
        steps=_steps_of_resnet,
    ),
    "densenet201": Architecture(
        build=torchvision.models.densenet201,
        imagenet=torchvision.models.DenseNet201_Weights.IMAGENET1K_V1,
        head="classifier",
        end=_end_densenet,
        rectified_later=True,
        modern_name=modern_densenet_name,
    ),
    "covid_caps": Architecture(
        build=covid_caps, imagenet=None, head="classes", end=None, steps=None, capsules=True
    ),
    "inception_v3": Architecture(
        build=_inception_v3,
        imagenet=torchvision.models.Inception_V3_Weights.IMAGENET1K_V1,
        head="fc",
        end=_end_inception,
        steps=None,  # branches of unlike depth: none of its strides can be left out
        minimum_size=75,
        auxiliary="AuxLogits.",
    ),
    "resnet101": Architecture(
        build=torchvision.models.resnet101,
        imagenet=torchvision.models.ResNet101_Weights.IMAGENET1K_V1,
        head="fc",
        end=_end_resnet,
        steps=_steps_of_resnet,
    ),
    "vgg19": Architecture(
        build=_vgg19,
        imagenet=torchvision.models.VGG19_Weights.IMAGENET1K_V1,
        head="classifier.6",
        end=_end_vgg,
        dense_layers=True,
    ),
}


@lru_cache(maxsize=32)
def _found_architecture(name: str) -> Architecture:
    """What was found of a network that is none of `ARCHITECTURES`; errors are those of `look`."""
    found = look(name)
    return Architecture(
        build=partial(build_network, name),
        imagenet=found.published,
        head=found.head,
        end=None,
        steps=None,
        minimum_size=found.minimum_size,
        dense_layers=not found.exact,
        rectified_later=found.rectified_later,
        auxiliary="aux" if name == "googlenet" else None,
        modern_name=modern_densenet_name,
        normalisation=found.normalisation,
        notes=found.notes,
    )


@dataclass(frozen=True)
class Backbone:
    """A network without its last layer: what it is, where it ends, how fine its maps are.

    Raises
    ------
    InputError
        A stage or stride that the network cannot have.
    """

    architecture: str  # key of `ARCHITECTURES`, or a name in `libraries`
    last_stage: int | None = None  # key of its `stages`; None is the whole published network
    # Input pixels between neighbouring cells of the maps, by dilation; None is the stage's own.
    map_stride: int | None = None
    sub_classes: int = 1  # outputs of the last layer for each class, see `decomposition`

    def __post_init__(self) -> None:
        if problem := stage_problem(self.architecture, self.last_stage, self.map_stride):
            raise InputError(problem)

    def __str__(self) -> str:
        end = "" if self.is_whole else f" up to stage {self.last_stage}"
        maps = f" with maps of {self.map_stride} px" if self.map_stride else ""
        parts = f", {self.sub_classes} sub-classes a class" if self.sub_classes > 1 else ""
        return f"{self.architecture}{end}{maps}{parts}"

    @property
    def known(self) -> Architecture:
        """What is known of the architecture."""
        name = self.architecture
        return ARCHITECTURES[name] if name in ARCHITECTURES else _found_architecture(name)

    @property
    def stages(self) -> dict[int, Stage]:
        """Where the network can end."""
        name = self.architecture
        return STAGES[name] if name in STAGES else {0: look(name).stage}

    @property
    def stage(self) -> Stage:
        """Where the network ends."""
        return self.stages[self.last_stage or max(self.stages)]

    @property
    def is_whole(self) -> bool:
        """Whether it is the published network but for its last layer."""
        return self.last_stage is None or (
            self.last_stage == max(self.stages) and not self.known.dense_layers
        )

    @property
    def head(self) -> str:
        """Dotted name of the last layer with weights."""
        cut_dense = self.known.dense_layers and not self.is_whole
        return self.known.head.split(".")[0] if cut_dense else self.known.head

    @property
    def feature_layer(self) -> str:
        """Dotted name of the layer whose output the maps are made of.

        That is the last feature map or, where the last layer is a convolution (SqueezeNet), what is
        pooled to the logits.
        """
        return "classifier.2" if self.architecture == "squeezenet1_1" else self.stage.layer

    @property
    def stride(self) -> int:
        """Input pixels between neighbouring cells of the maps."""
        return self.map_stride or self.stage.stride

    @property
    def offset(self) -> float:
        """Input pixels from the first pixel to the centre of the first cell; dilation keeps it."""
        return self.stage.offset

    @property
    def map_kind(self) -> Literal["exact", "grad_cam"]:
        """Whether maps decompose the logit exactly, or weigh features by gradients.

        The latter where several layers lie between them: the whole VGG, COVID-CAPS, and what was
        found to be so.
        """
        several_layers = self.known.dense_layers or self.known.capsules
        return "grad_cam" if several_layers and self.is_whole else "exact"

    def build(self, n_classes: int) -> nn.Module:
        """Network with a last layer for `n_classes`, initialised from PyTorch's generator.

        In training mode, on the CPU, float32. With sub-classes, its outputs are theirs in training
        mode and those of the classes in evaluation mode.
        """
        outputs = n_classes * self.sub_classes
        model = self.known.build(weights=None, num_classes=outputs)
        if not self.is_whole and self.known.end is not None:
            self.known.end(model, self.stage, outputs)
        if self.stride < self.stage.stride and self.known.steps is not None:
            keep_resolution(self.known.steps(model), self.stride)
        if self.sub_classes > 1:
            compose_in_evaluation(model, self.sub_classes)
        return model
