"""Domain shifts: pictures as a worse camera, another light or another angle would give them, at five severities.

Eight corruptions with the severities that the authors of arXiv:1903.12261 chose for 32x32 (their CIFAR-10-C),
and rotation by the angles of Rotated MNIST in arXiv:2007.01434. Pictures are (n, c, h, w) uint8, before and after.
Where this differs from the authors' code: fog's clouds are octaves of smooth noise instead of a diamond-square fractal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import SPLITS, Split, Task
from edgesmith.data.scenes import scaler

Apply = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]  # float32 in 0..1, a strength, chance

MOVING = ("rotation",)  # what moves pixels, so that boxes and masks no longer fit
CHUNK = 1024  # pictures at a time


@dataclass(frozen=True)
class Shift:
    """One way pictures change.

    Attributes:
        apply: pictures (n, c, h, w) float32 in 0..1, a strength and a generator, to the same shape; it may leave 0..1.
        strengths: of severities 1 to 5, in the unit that `apply` takes.
        identity: the strength that changes nothing.
    """

    apply: Apply
    strengths: tuple[float, float, float, float, float]
    identity: float = 0.0


def rotate(images: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn anticlockwise about the centre, between pixels linearly; what enters is 0."""
    try:
        from scipy.ndimage import affine_transform
    except ImportError as error:
        raise Missing('shifts: scipy is not installed; it turns and blurs. pip install "edgesmith[fit]"') from error
    # the exact values at right angles, where the cosine of a float is not 0
    sine, cosine = (round(float(part), 12) for part in (np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))))
    matrix = np.array(((cosine, sine), (-sine, cosine)))
    centre = (np.array(images.shape[-2:]) - 1) / 2
    offset = centre - matrix @ centre
    turned = np.empty_like(images)
    for index in np.ndindex(images.shape[:2]):
        turned[index] = affine_transform(images[index], matrix, offset, order=1)
    return turned


def noise(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of standard deviation `sigma`."""
    return images + np.float32(sigma) * rng.standard_normal(images.shape, np.float32)


def impulse_noise(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Make a share of all values black or white, as likely either."""
    hit, white = rng.random(images.shape, np.float32) < share, rng.random(images.shape, np.float32) < 0.5
    return np.where(hit, white.astype(np.float32), images)


def blur(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian of standard deviation `sigma` in pixels; the edge is repeated outwards."""
    try:
        from scipy.ndimage import gaussian_filter
    except ImportError as error:
        raise Missing('shifts: scipy is not installed; it turns and blurs. pip install "edgesmith[fit]"') from error
    return gaussian_filter(images, (0, 0, sigma, sigma), mode="nearest") if sigma else images


def contrast(images: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Draw every value towards the mean of its picture's channel."""
    means = images.mean(axis=(2, 3), keepdims=True)
    return (images - means) * np.float32(factor) + means


def brightness(images: np.ndarray, more: float, rng: np.random.Generator) -> np.ndarray:
    """Raise the value (of hue, saturation, value) of each pixel: in grey pictures, add."""
    value = images.max(axis=1, keepdims=True)
    raised = np.minimum(value + np.float32(more), 1)
    return np.where(value > 0, images * (raised / np.maximum(value, 1e-6)), raised)


def fog(images: np.ndarray, thickness: float, rng: np.random.Generator) -> np.ndarray:
    """Add clouds of 0 to `thickness`, then scale back so that the brightest stays as bright."""
    n, _, height, width = images.shape
    decay = np.interp(thickness, (0.5, 0.75, 1.0, 1.5), (3, 2.5, 2, 1.75))  # finer clouds the thicker, as the authors'
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    foggy = images + np.float32(thickness) * clouds(n, (height, width), decay, rng)[:, None]
    return foggy * brightest / np.maximum(brightest + np.float32(thickness), 1e-6)


def clouds(n: int, size: tuple[int, int], decay: float, rng: np.random.Generator) -> np.ndarray:
    """Octaves of smooth noise, each twice as fine and `decay` times weaker: (n, h, w) float32, each from 0 to 1."""
    total = np.zeros((n, *size), np.float32)
    knots, strength = 2, 1.0
    while knots <= max(size):
        rows, columns = (_between(knots, length) for length in size)
        total += strength * (rows @ rng.uniform(-1, 1, (n, knots, knots)).astype(np.float32) @ columns.T)
        knots, strength = 2 * knots, strength / decay
    low, high = total.min(axis=(1, 2), keepdims=True), total.max(axis=(1, 2), keepdims=True)
    return (total - low) / np.maximum(high - low, 1e-6)


def _between(knots: int, length: int) -> np.ndarray:
    """(length, knots) weights: each pixel between its two knots, linearly."""
    place = np.linspace(0, knots - 1, length)[:, None]
    return np.maximum(0, 1 - np.abs(place - np.arange(knots))).astype(np.float32)


def pixelate(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Shrink to a share of the size, each new pixel the mean of what it covers, and enlarge again the same way."""
    for axis in (2, 3):
        old = images.shape[axis]
        new = max(1, int(old * share))
        weights = (scaler(old, new) @ scaler(new, old)).astype(np.float32)
        images = np.moveaxis(np.moveaxis(images, axis, -1) @ weights.T, -1, axis)
    return images


def jpeg(images: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """Through a JPEG file of this quality, 1 to 95; grey or three colours. 100 stands for no file at all."""
    if quality == 100:
        return images
    try:
        from PIL import Image
    except ImportError as error:
        raise Missing('shifts: Pillow is not installed; it writes JPEG. pip install "edgesmith[fit]"') from error
    if images.shape[1] not in (1, 3):
        raise BadInput(
            f"shifts: JPEG holds 1 or 3 channels; these pictures have {images.shape[1]}. Pick another shift."
        )
    read = np.empty_like(images)
    for index, pixels in enumerate(np.rint(images * 255).clip(0, 255).astype(np.uint8)):
        file = BytesIO()
        Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(
            file, "JPEG", quality=int(quality)
        )
        back = np.asarray(Image.open(file), np.float32) / 255
        read[index] = back if back.ndim == 2 else back.transpose(2, 0, 1)
    return read


SHIFTS: Mapping[str, Shift] = {
    "rotation": Shift(rotate, (15, 30, 45, 60, 75)),
    "noise": Shift(noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "impulse_noise": Shift(impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "blur": Shift(blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "contrast": Shift(contrast, (0.75, 0.5, 0.4, 0.3, 0.15), 1.0),
    "brightness": Shift(brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "fog": Shift(fog, (0.2, 0.5, 0.75, 1.0, 1.5)),
    "pixelate": Shift(pixelate, (0.95, 0.9, 0.85, 0.75, 0.65), 1.0),
    "jpeg": Shift(jpeg, (80, 65, 58, 50, 40), 100),
}


def shift_images(images: np.ndarray, shift: str, severity: int, seed: int = 0, white: int = 255) -> np.ndarray:
    """Pictures under one shift; the chance is the same at every severity.

    Args:
        images: (n, c, h, w) uint8.
        shift: one of SHIFTS.
        severity: 1 to 5, or 0 for no change.
        white: the greatest value a pixel may have.

    Raises:
        BadInput: no such shift or severity, or pictures of another shape or type.
        Missing: scipy or Pillow is not installed.
    """
    if shift not in SHIFTS or severity not in range(6):
        raise BadInput(f"shifts: {shift!r} at {severity}; need one of {', '.join(SHIFTS)}, at a severity of 0 to 5.")
    if images.ndim != 4 or images.dtype != np.uint8 or images.size == 0 or not 0 < white <= 255:
        raise BadInput(
            f"shifts: pictures are {images.shape} {images.dtype}, white is {white}; need (n, c, h, w) uint8, white"
            " from 1 to 255. Convert them."
        )
    how = SHIFTS[shift]
    strength = how.strengths[severity - 1] if severity else how.identity
    shifted = np.empty_like(images)
    for chunk, start in enumerate(range(0, len(images), CHUNK)):
        part = images[start : start + CHUNK].astype(np.float32) / np.float32(white)
        after = how.apply(part, strength, np.random.default_rng((seed, chunk)))
        shifted[start : start + CHUNK] = np.rint(after * white).clip(0, white)
    return shifted


def shifted_task(
    task: Task, shift: str, severity: int, splits: tuple[str, ...] = ("test",), seed: int = 0, white: int = 255
) -> Task:
    """The task with the pictures of some splits under one shift; the other splits and all labels stay.

    Args:
        splits: which of train, calibration, validation, test.
        white: the greatest value a pixel may have; the digits' is 16.

    Raises:
        BadInput: as `shift_images`, no such split, or a shift that moves pixels where labels are boxes or masks.
        Missing: as `shift_images`.
    """
    if unknown := set(splits) - set(SPLITS):
        raise BadInput(f"shifts: no split is called {sorted(unknown)[0]!r}; need some of: {', '.join(SPLITS)}.")
    if shift in MOVING and severity and task.test.labels.ndim > 1:
        raise BadInput(f"shifts: {shift} moves what the labels of {task.name} point at. Pick another shift.")
    changed = {}
    for name in splits:
        split: Split = getattr(task, name)
        images = shift_images(split.inputs, shift, severity, seed * len(SPLITS) + SPLITS.index(name), white)
        changed[name] = Split(images, split.labels)
    return replace(task, name=f"{task.name}-{shift}-{severity}", **changed)  # type: ignore[arg-type]
