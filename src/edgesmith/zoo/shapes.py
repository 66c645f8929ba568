"""MobileNetV2's table, free of torch: a width and a size make a net, and its parameters can be counted."""

# expansion, channels, repeats, stride of the first: table 2 of arXiv:1801.04381
MOBILENET_V2_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2_channels(channels: int, width: float) -> int:
    """Channels times width to the nearest multiple of 8, never below 90%: the authors' own rounding.

    >>> mobilenet_v2_channels(32, 0.35), mobilenet_v2_channels(24, 0.35)
    (16, 8)
    """
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def mobilenet_v2_parameters(width: float) -> int:
    """Trainable numbers, with 1,000 classes.

    >>> mobilenet_v2_parameters(1.0)
    3504872
    """
    inside = mobilenet_v2_channels(32, width)
    total = 3 * 9 * inside + 2 * inside
    for expansion, channels, repeats, _ in MOBILENET_V2_BLOCKS:
        outside = mobilenet_v2_channels(channels, width)
        for _ in range(repeats):
            hidden = inside * expansion
            total += 0 if expansion == 1 else inside * hidden + 2 * hidden
            total += 9 * hidden + 2 * hidden + hidden * outside + 2 * outside
            inside = outside
    last = mobilenet_v2_channels(1280, max(1.0, width))
    return total + inside * last + 2 * last + last * 1000 + 1000
