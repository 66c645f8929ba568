"""Nets whose encoder comes trained from a package of its own: only a linear head is ours, over embeddings kept once."""

import hashlib

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from edgesmith.core.cache import cache_folder
from edgesmith.core.errors import BadInput
from edgesmith.core.task import SPLITS, Split, Task
from edgesmith.data.minilm import minilm_file
from edgesmith.training.state import save_tensors
from edgesmith.zoo.models.minilm import PAD, IntentClassifier, Minilm

BATCH = 64
LEFT_OUT = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


def load_encoder(module: IntentClassifier) -> None:
    """Put the published weights into the encoder.

    Raises:
        Missing: the package that holds them is not installed.
        BadInput: its file is damaged.
    """
    path = minilm_file("model.safetensors")
    try:
        weights = {name: tensor for name, tensor in load_file(path).items() if name not in LEFT_OUT}
        module.minilm.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise BadInput(f"zoo: {path} does not hold MiniLM's weights ({error}). Install the package again.") from error


def embedded(task: Task, encoder: Minilm) -> Task:
    """The task on the encoder's outputs: inputs (n, WIDTH) float32, computed once and kept in the user's cache."""
    parts: list[Split] = [getattr(task, name) for name in SPLITS]
    train, calibration, validation, test = (Split(_embeddings(part, encoder), part.labels) for part in parts)
    name = f"{task.name}-embedded"
    return Task(name, train, calibration, validation, test, metric=task.metric, classes=task.classes)


def _embeddings(split: Split, encoder: Minilm) -> np.ndarray:
    digest = hashlib.sha256(split.sha256().encode())
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    path = cache_folder() / "zoo" / f"embeddings-{digest.hexdigest()[:16]}.safetensors"
    if path.is_file():
        try:
            return load_file(path)["embeddings"].numpy()
        except (SafetensorError, KeyError) as error:
            raise BadInput(f"zoo: {path} holds no embeddings ({error}). Delete it.") from error
    found = embed(encoder, split.inputs)
    save_tensors(path, {"embeddings": torch.from_numpy(found)}, {})
    return found


@torch.no_grad()
def embed(encoder: nn.Module, tokens: np.ndarray) -> np.ndarray:
    """Outputs for (n, length) token ids, shorter rows first, so that little time goes into what fills up."""
    sizes = (tokens != PAD).sum(axis=1)
    order = np.argsort(sizes, kind="stable")
    parts = []
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        parts.append(encoder(torch.from_numpy(tokens[rows, : sizes[rows].max()])).numpy())
    found = np.empty((len(tokens), parts[0].shape[1]), np.float32)
    found[order] = np.concatenate(parts)
    return found
