"""MobileNetV2's table, free of torch: a width and a size make a net, and its parameters can be counted."""

from collections.abc import Sequence

Block = tuple[int, int, int, int, int]

# expansion, channels, repeats, stride of the first, kernel of the unstrided: table 2 of arXiv:1801.04381
MOBILENET_V2_BLOCKS: tuple[Block, ...] = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)
# The receptive field moved from the stage that runs patch by patch to what follows (arXiv:2110.15352, section 3.2):
# a smaller kernel and a block less before the picture is an eighth of its size, two blocks more after. The authors give
# no table; this one keeps about as many multiply-accumulates.
REDISTRIBUTED_BLOCKS: tuple[Block, ...] = (
    (1, 16, 1, 1, 1),
    (6, 24, 1, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 6, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)

# For pictures of 28x28: the second and the sixth stage do not halve, so that 4x4 are left at the end, not 1x1.
SMALL_PICTURE_BLOCKS: tuple[Block, ...] = tuple(
    (expansion, channels, repeats, 1 if channels in (24, 160) else stride, kernel)
    for expansion, channels, repeats, stride, kernel in MOBILENET_V2_BLOCKS
)


def mobilenet_v2_channels(channels: int, width: float) -> int:
    """Channels times width to the nearest multiple of 8, never below 90%: the authors' own rounding.

    >>> mobilenet_v2_channels(32, 0.35), mobilenet_v2_channels(24, 0.35)
    (16, 8)
    """
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def mobilenet_v2_parameters(width: float, blocks: Sequence[Block] = MOBILENET_V2_BLOCKS) -> int:
    """Trainable numbers, with 1,000 classes.

    >>> mobilenet_v2_parameters(1.0)
    3504872
    """
    inside = mobilenet_v2_channels(32, width)
    total = 3 * 9 * inside + 2 * inside
    for expansion, channels, repeats, stride, kernel in blocks:
        outside = mobilenet_v2_channels(channels, width)
        for repeat in range(repeats):
            taps = 9 if repeat == 0 and stride == 2 else kernel * kernel
            hidden = inside * expansion
            total += 0 if expansion == 1 else inside * hidden + 2 * hidden
            total += taps * hidden + 2 * hidden + hidden * outside + 2 * outside
            inside = outside
    last = mobilenet_v2_channels(1280, max(1.0, width))
    return total + inside * last + 2 * last + last * 1000 + 1000
