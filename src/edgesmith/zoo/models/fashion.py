"""A convolutional net for Fashion-MNIST."""

from torch import Tensor, nn

from edgesmith.zoo.models.digits import ConvNorm


class FashionCnn(nn.Module):
    """Four convolutions, twice halved: (n, 1, 28, 28) to (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            ConvNorm(1, 16, 3, 2),
            nn.ReLU(),
            ConvNorm(16, 24),
            nn.ReLU(),
            nn.MaxPool2d(2),
            ConvNorm(24, 40),
            nn.ReLU(),
            ConvNorm(40, 48),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classify = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x).flatten(1))
