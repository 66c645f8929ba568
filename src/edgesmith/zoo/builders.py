"""From a net's name to its module."""

from collections.abc import Callable

import torch
from torch import nn

from edgesmith.zoo.entries import Entry
from edgesmith.zoo.models.cifar_resnet import CifarResnet
from edgesmith.zoo.models.detector import Detector
from edgesmith.zoo.models.digits import DigitsCnn, DigitsResnet
from edgesmith.zoo.models.fashion import FashionCnn
from edgesmith.zoo.models.llama import Llama, Shape
from edgesmith.zoo.models.lstm import LstmClassifier
from edgesmith.zoo.models.minilm import IntentClassifier
from edgesmith.zoo.models.mlperf_tiny import DsCnn, FcAutoencoder, MobilenetV1, Resnet8
from edgesmith.zoo.models.mobilenet_v2 import MobilenetV2
from edgesmith.zoo.models.segmenter import Segmenter
from edgesmith.zoo.models.speech import SpeechDscnn
from edgesmith.zoo.models.tabular import ScoringAutoencoder
from edgesmith.zoo.models.vit import Vit
from edgesmith.zoo.shapes import MOBILENET_V2_BLOCKS, REDISTRIBUTED_BLOCKS, SMALL_PICTURE_BLOCKS

LLAMA_TINY = Shape(vocabulary=2048, width=64, depth=3, heads=4, key_heads=2, hidden=160, length=64)
LLAMA = Shape(vocabulary=2048, width=256, depth=6, heads=8, key_heads=4, hidden=768, length=64)

BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "digits-cnn": DigitsCnn,
    "digits-resnet": DigitsResnet,
    "fashion-cnn": FashionCnn,
    "fashion-vit": lambda: Vit(channels=1, size=28, patch=7, classes=10),
    "fashion-resnet20": lambda: CifarResnet(blocks=3, channels=1, classes=10),
    "fashion-mobilenet-v2-035": lambda: MobilenetV2(0.35, 10, SMALL_PICTURE_BLOCKS, stem=(1, 2)),
    "scenes-segmenter": lambda: Segmenter(channels=1, size=32, patch=4, classes=5),
    "scenes-detector": lambda: Detector(channels=1, classes=5, widths=(8, 16, 24, 32), head=16),
    "scenes-detector-large": lambda: Detector(channels=1, classes=5, widths=(16, 32, 48, 72), head=40),
    "speech-dscnn": SpeechDscnn,
    "occupancy-lstm": lambda: LstmClassifier(channels=5, hidden=24, classes=2),
    "nslkdd-autoencoder": lambda: ScoringAutoencoder(features=118, hidden=64, code=12),
    "shakespeare-llama-tiny": lambda: Llama(LLAMA_TINY),
    "shakespeare-llama": lambda: Llama(LLAMA),
    "clinc-minilm": lambda: IntentClassifier(classes=151),
    "ds-cnn": DsCnn,
    "mobilenet-v1-025": MobilenetV1,
    "resnet8": Resnet8,
    "fc-autoencoder": FcAutoencoder,
    "vit": lambda: Vit(channels=3, size=32, patch=4, classes=10),
    "lstm": lambda: LstmClassifier(channels=6, hidden=32, classes=6),
}


def build(entry: Entry, seed: int = 0) -> nn.Module:
    """A net in training mode with the weights that `seed` gives; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blocks = REDISTRIBUTED_BLOCKS if entry.redistributed else MOBILENET_V2_BLOCKS
        return MobilenetV2(entry.width, blocks=blocks) if entry.width else BUILDERS[entry.name]()


def random_inputs(entry: Entry, count: int, seed: int) -> torch.Tensor:
    """Inputs of the shape and type that a net takes: numbers from 0 to 1, or token ids."""
    generator, shape = torch.Generator().manual_seed(seed), (count, *entry.input_shape[1:])
    if entry.vocabulary:
        return torch.randint(0, entry.vocabulary, shape, generator=generator, dtype=torch.int32)
    return torch.rand(shape, generator=generator)


def blank_input(entry: Entry) -> torch.Tensor:
    """One input where there are no data: zeros, or token ids at random, which say which ids there may be."""
    return random_inputs(entry, 1, seed=0) if entry.vocabulary else torch.zeros(entry.input_shape)


def random_net(entry: Entry, seed: int = 0) -> nn.Module:
    """A net that looks trained though it is not, in eval mode.

    He's initialization, batch norms with scales and shifts of their own and the statistics of seeded random
    inputs: every layer then carries values of a sensible size, so that quantizing the net is a fair exercise.
    """
    module = build(entry, seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.7, 1.3, generator=generator)
            nn.init.normal_(layer.bias, 0, 0.2, generator=generator)
    settle(module, torch.rand((16, *entry.input_shape[1:]), generator=generator))
    return module.eval()


@torch.no_grad()
def settle(module: nn.Module, inputs: torch.Tensor) -> None:
    """Give every batch norm the mean and variance it sees on `inputs`."""
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    module.train()(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
