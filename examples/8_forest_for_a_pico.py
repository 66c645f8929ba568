"""A random forest for a Raspberry Pi Pico: from scikit-learn, cut to a budget, in fixed point, run on the board."""

import tempfile

import numpy as np
from sklearn.ensemble import RandomForestClassifier

import edgesmith
from edgesmith import Budget
from edgesmith.data import load_task
from edgesmith.fit.fit import Effort
from edgesmith.pipeline.execute import run_artifact

task = load_task("digits")  # uint8 pixels, (n, 1, 8, 8)
rows = task.train.inputs.reshape(len(task.train), -1)
forest = RandomForestClassifier(24, max_depth=8, random_state=0).fit(rows, task.train.labels)

fit = edgesmith.fit(
    forest,
    task,
    target="rp2040",
    budget=Budget.parse(flash="32KB", ram="2KB"),
    out=tempfile.mkdtemp(),
    name="digits_forest",
    effort=Effort(trials=5),
)
for candidate in fit.candidates:
    print(candidate["settings"], f"{candidate['accuracy']:.1%}", candidate["flash_bytes"], "bytes")
for name, reading in fit.data["after"]["readings"].items():
    print(f"{name:8} {reading['value']:,.3f} {reading['unit']} ({reading['kind']})")

sample = task.test.inputs[0].reshape(1, -1)
(scores,) = run_artifact(fit.best.folder, {"x": sample}, on="board").values()
print("on the board:", int(np.argmax(scores)), "wanted:", int(task.test.labels[0]))
