"""An autoencoder that says how unlike the known a connection is."""

from torch import Tensor, nn


class ScoringAutoencoder(nn.Module):
    """(n, features) to (n, 1): the root of the mean squared error of its reconstruction.

    The score is part of the net, so the board itself tells normal from strange. Trained towards a score of 0 under
    squared error, it minimizes exactly the usual reconstruction error.
    """

    def __init__(self, features: int, hidden: int, code: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, code),
            nn.ReLU(),
            nn.Linear(code, hidden),
            nn.ReLU(),
            nn.Linear(hidden, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        error = self.layers(x) - x
        return (error * error).mean(1, keepdim=True).sqrt()
