"""A model and data of your own: any module, any arrays."""

import tempfile

import numpy as np
import torch
from torch import nn

import edgesmith
from edgesmith import Budget, Task
from edgesmith.core.task import Normalize, Split
from edgesmith.fit.fit import Effort

rng = np.random.default_rng(0)
labels = rng.integers(0, 2, 600)
waves = np.sin(np.linspace(0, 12, 64) * (1 + labels[:, None])) + 0.3 * rng.standard_normal((600, 64))
raw = np.clip(waves * 40 + 128, 0, 255).astype(np.uint8)[:, None, :]  # what a sensor would give: (n, channels, time)
parts = [Split(raw[a:b], labels[a:b]) for a, b in ((0, 350), (350, 400), (400, 500), (500, 600))]
task = Task("waves", *parts, normalize=Normalize((128.0,), (40.0,)), classes=("slow", "fast"))

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv1d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv1d(16, 32, 5, stride=2), nn.ReLU(),
    nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 2),
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
x, y = torch.from_numpy(task.normalize(task.train.inputs)), torch.from_numpy(task.train.labels)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

fit = edgesmith.fit(
    model,
    task,
    target="rp2040",
    budget=Budget.parse(flash="16KB", ram="4KB"),
    out=tempfile.mkdtemp(),
    effort=Effort(trials=4, epochs=3),
)
for name, reading in fit.data["after"]["readings"].items():
    print(f"{name:8} {reading['value']:,.3f} {reading['unit']} ({reading['kind']})")
