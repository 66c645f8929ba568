"""How a net was trained; free of torch, so that the zoo can be listed without it."""

from dataclasses import dataclass
from typing import Literal

Augment = Literal["none", "shift", "flip_shift"]


@dataclass(frozen=True)
class Recipe:
    """AdamW with a warm-up of a tenth and a cosine to zero.

    Attributes:
        learning_rate: at the peak; 1e-3 to 4e-3 suits nets of this size (our measurement).
        augment: "shift" moves each image or waveform by up to an eighth; "flip_shift" also mirrors half of the images.
        train_samples: train on the first so many of the train split, 0 for all of it.
        bfloat16: the forward pass in bfloat16 where torch's autocast allows it; weights and the loss stay float32. Half
            the time for 3x3 convolutions on a CPU with AVX512-BF16, no gain for depthwise ones (our measurement).
        channels_last: convolutions in NHWC; half the time for depthwise convolutions, a sixth off others (likewise).
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    augment: Augment = "none"
    train_samples: int = 0
    bfloat16: bool = False
    channels_last: bool = False
