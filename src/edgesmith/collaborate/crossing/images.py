"""Send the picture itself: PNG, JPEG or WebP, and what that takes."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split

Codec = Literal["PNG", "JPEG", "WEBP"]
QUALITIES = (95, 75, 50, 25)
TIMED = 50  # pictures of which coding is timed


@dataclass(frozen=True)
class Picture:
    """A way to send a picture.

    Attributes:
        quality: of a JPEG or a WebP, 1 to 100; PNG loses nothing.
        own_tables: a JPEG brings Huffman tables made for it, which makes small files smaller.
    """

    codec: Codec
    quality: int = 0
    own_tables: bool = False

    @property
    def name(self) -> str:
        """Such as "JPEG 75"."""
        return f"{self.codec} {self.quality}".removesuffix(" 0")

    def encode(self, picture: np.ndarray) -> bytes:
        """(channels, h, w) uint8, 1 or 3 channels, to the file's bytes."""
        pixels = picture[0] if picture.shape[0] == 1 else np.moveaxis(picture, 0, -1)
        file = io.BytesIO()
        options: dict[str, Any] = {} if self.codec == "PNG" else {"quality": self.quality}
        if self.codec == "PNG" or self.own_tables:
            options["optimize"] = True
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, self.codec, **options)
        return file.getvalue()

    def decode(self, data: bytes, channels: int, size: tuple[int, ...] | None = None) -> np.ndarray:
        """Inverse of `encode`, as near as the codec is.

        Args:
            size: (h, w) that it must have; looked at before any pixel is.

        Raises:
            BadInput: no such file, or a picture of another size.
        """
        try:
            with Image.open(io.BytesIO(data), formats=[self.codec]) as file:
                mode = "L" if channels == 1 and self.codec != "WEBP" else "RGB"  # WebP is never grey
                if file.mode != mode or (size and file.size != tuple(size[::-1])):
                    raise BadInput(f"picture: a {file.mode} of {file.size}; need {mode} of {size}.")
                pixels = np.asarray(file.convert("L") if channels == 1 else file)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise BadInput(f"picture: not a {self.codec} ({error}); need its file.") from error
        return pixels[None] if channels == 1 else np.moveaxis(pixels, -1, 0)


def picture_from_json(data: Any) -> Picture:
    """Inverse of `dataclasses.asdict`.

    Raises:
        BadInput: a field is missing, unknown or out of range.
    """
    sound = isinstance(data, dict) and set(data) == {"codec", "quality", "own_tables"}
    sound = sound and data["codec"] in get_args(Codec) and type(data["own_tables"]) is bool
    if not sound or type(data["quality"]) is not int or not 0 <= data["quality"] <= 100:
        raise BadInput("picture: need a codec, a quality up to 100 and own_tables; the file is damaged.")
    return Picture(**data)


@dataclass(frozen=True)
class Sent:
    """Pictures after they were sent.

    Attributes:
        inputs: (n, channels, h, w) uint8 as they arrive.
        mean_bytes: of one file.
        encode_ms, decode_ms: medians on this machine.
    """

    inputs: np.ndarray
    mean_bytes: float
    encode_ms: float
    decode_ms: float


PICTURES: Sequence[Picture] = (Picture("PNG"), *(Picture("JPEG", quality) for quality in QUALITIES))


def are_pictures(split: Split) -> bool:
    """Whether inputs are grey or colour pictures of bytes, (n, 1 or 3, h, w)."""
    return split.inputs.dtype == np.uint8 and split.inputs.ndim == 4 and split.inputs.shape[1] in (1, 3)


def send(picture: Picture, inputs: np.ndarray) -> Sent:
    """What becomes of (n, channels, h, w) uint8 pictures."""
    channels = inputs.shape[1]
    files = [picture.encode(one) for one in inputs]
    arrived = np.stack([picture.decode(file, channels) for file in files])
    encode_ms = _median_ms(lambda index: picture.encode(inputs[index]), len(inputs))
    decode_ms = _median_ms(lambda index: picture.decode(files[index], channels), len(inputs))
    return Sent(arrived, float(np.mean([len(file) for file in files])), encode_ms, decode_ms)


def _median_ms(run: Callable[[int], object], count: int) -> float:
    spans = []
    for index in range(min(count, TIMED)):
        start = time.perf_counter_ns()
        run(index)
        spans.append((time.perf_counter_ns() - start) * 1e-6)
    return float(np.median(spans))
