"""The published systems that the paper stands beside: what they state, and how they are run here.

Numbers are those of the publications' abstracts, on their own images: they can be set beside ours,
not against them. Add a system here, in presets/related.yaml and in the schema (`system`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class System:
    """One published system.

    Attributes
    ----------
    name : str
        As it is called in tables.
    source : str
        Authors, title, journal.
    published : str
        Its headline, as its abstract states it.
    states, open, chosen : str
        What the publication says of the method, what it leaves open, and what is done here.
    accuracy : mapping of int to float
        Accuracy that it states, between 0 and 1, by the number of classes; empty if it states none.
    """

    name: str
    source: str
    published: str
    states: str
    open: str
    chosen: str
    accuracy: Mapping[int, float]


SYSTEMS: Final[Mapping[str, System]] = {
    "paper": System(
        "The paper",
        "CAM of ResNet18 trained on ImageNet for Covid-19 pneumonia detection.",
        "accuracy 95 %",
        "ResNet18 from ImageNet, all layers trained.",
        "See `snakemake paper`, which runs each of its readings.",
        "The complete data set, divided once; and the same network on the honest division.",
        {2: 0.95, 3: 0.95},
    ),
    "apostolopoulos": System(
        "Apostolopoulos & Mpesiana",
        "Apostolopoulos, Mpesiana: Covid-19: automatic detection from X-ray images utilizing "
        "transfer learning with convolutional neural networks. Phys Eng Sci Med 43, 2020.",
        "accuracy 96.78 %, sensitivity 98.66 %, specificity 96.46 % (best of five networks)",
        "VGG19, MobileNetV2, Inception, Xception and Inception-ResNetV2 from ImageNet. The first "
        "part of each network is frozen, the rest and a new classifier learn; ten-fold "
        "cross-validation on 224 COVID, 700 pneumonia and 504 normal images.",
        "How COVID images of one patient were divided; on which images training was stopped.",
        "VGG19, MobileNetV2 and Inception v3 with their last blocks trained. Xception and "
        "Inception-ResNetV2 need timm: after `pip install timm`, presets/related-timm.yaml adds "
        "them. The classifier is one linear layer, which exact maps need (VGG19 keeps its own "
        "three).",
        {2: 0.9678},
    ),
    "detrac": System(
        "DeTraC",
        "Abbas, Abdelsamea, Gaber: Classification of COVID-19 in chest X-ray images using DeTraC "
        "deep convolutional neural network. Applied Intelligence 51, 2021.",
        "accuracy 95.12 %, sensitivity 97.91 %, specificity 91.87 %",
        "Each class is divided into two sub-classes by k-means on features of a pre-trained "
        "network, a network learns to tell the sub-classes apart, and its answers are composed. 80 "
        "normal, 105 COVID and 11 SARS images, multiplied by augmentation.",
        "How many of the augmented images of one X-ray stand on both sides of the division.",
        "ResNet18 with two sub-classes a class (`model: {decompose: 2}`), without further "
        "augmentation.",
        {3: 0.9512},
    ),
    "deep_covid": System(
        "Deep-COVID",
        "Minaee, Kafieh, Sonka, Yazdani, Jamalipour Soufi: Deep-COVID: predicting COVID-19 from "
        "chest X-ray images using deep transfer learning. Medical Image Analysis 65, 2020.",
        "sensitivity 97 %, specificity about 90 %",
        "ResNet18, ResNet50, SqueezeNet and DenseNet121 from ImageNet, of which the last layer "
        "alone learns; the threshold is chosen for sensitivity. 184 COVID and 5,000 other images.",
        "The threshold is chosen on the test images on which it is then judged.",
        "The same four networks. On the honest division the threshold is chosen on the validation "
        "part; where there is none, on the test images, as published, and the table says so.",
        {},
    ),
    "covid_caps": System(
        "COVID-CAPS",
        "Afshar, Heidarian, Naderkhani, Oikonomou, Plataniotis, Mohammadi: COVID-CAPS: a capsule "
        "network-based framework for identification of COVID-19 cases from X-ray images. Pattern "
        "Recognition Letters 138, 2020.",
        "accuracy 95.7 %, sensitivity 90 %, specificity 95.8 % (from scratch)",
        "Four convolutions and three capsule layers with routing by agreement; margin loss "
        "weighted by class; COVID against all other images. Pre-trained on 94,323 X-rays: 98.3 %.",
        "How the images were divided.",
        "The network from scratch (`model: {architecture: covid_caps}`). Their X-rays for "
        "pre-training cannot be had here; a file of them would be `model.weights`. Maps are "
        "Grad-CAM's.",
        {2: 0.957},
    ),
    "chowdhury": System(
        "Chowdhury et al.",
        "Chowdhury, Rahman, Khandakar, et al.: Can AI help in screening viral and COVID-19 "
        "pneumonia? IEEE Access 8, 2020.",
        "accuracy 99.7 % (two classes), 97.9 % (three classes)",
        "Eight networks from ImageNet, with and without augmentation (turns, scaling, shifts), "
        "five-fold cross-validation on 423 COVID, 1,485 viral pneumonia and 1,579 normal images.",
        "Copies of one picture in the database were not kept together.",
        "The eight networks. Augmentation is mirroring, the only one of the paper and of this "
        "project.",
        {2: 0.997, 3: 0.979},
    ),
}
