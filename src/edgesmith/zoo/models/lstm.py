"""A recurrent net over a window of sensor readings."""

from torch import Tensor, nn


class LstmClassifier(nn.Module):
    """One LSTM and a linear layer on its last step: (n, channels, steps) to (n, classes)."""

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.lstm(x.transpose(1, 2))
        return self.classify(steps[:, -1])
