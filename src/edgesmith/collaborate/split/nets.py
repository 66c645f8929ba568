"""Small convolutional encoders and decoders around a bottleneck."""

from torch import nn

from edgesmith.core.errors import BadInput


class Encoder(nn.Sequential):
    """Convolutions that each halve the picture, and one that makes the latents.

    (n, inside, h, w) to (n, channels, h / 2^k, w / 2^k) with k widths, rounded up at every halving.
    """

    def __init__(self, inside: int, widths: tuple[int, ...], channels: int) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv2d(inside, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inside = width
        super().__init__(*layers, nn.Conv2d(inside, channels, 3, 1, 1))


class Decoder(nn.Sequential):
    """Latents to what a layer of the teacher made: (n, channels, h, w) to (n, outside, times * h, times * w).

    Args:
        times: how often each row and column is repeated.
    """

    def __init__(self, channels: int, outside: int, times: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            *([nn.Upsample(scale_factor=times, mode="nearest")] if times > 1 else []),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        )


def times_of(shape: tuple[int, ...], grid: tuple[int, ...], who: str) -> int:
    """How often a decoder repeats rows and columns: a layer makes (channels, h, w), latents lie on a grid (h', w').

    Raises:
        BadInput: the layer's grid is no multiple of the latents', alike in both directions.
    """
    times = shape[1] // grid[0] if len(shape) == 3 else 0
    if not times or shape[1:] != (times * grid[0], times * grid[1]):
        raise BadInput(
            f"{who}: the layer makes {shape}; need height and width the same multiple of the latents' {grid}. "
            "Change how often the encoder halves, or the layer."
        )
    return times
