"""Every method of quantization as a candidate of a fit: it runs, keeps the net's quality, and costs what it said."""

from dataclasses import replace

import pytest

from edgesmith import Budget, targets, zoo
from edgesmith.fit.folder import Folder
from edgesmith.fit.predict import Predictor
from edgesmith.fit.space import OWN, TRAINED, UNIFORM, Settings, first
from edgesmith.fit.trial import Job, compiled_graph, read_graph, run_trial
from edgesmith.pipeline.realize import realize

EPOCHS = {**dict.fromkeys(TRAINED, 1), "bitnet": 4}  # two bits take longer
CANDIDATES = [*((name, "4") for name in UNIFORM), *((name, "own") for name in OWN)]


@pytest.mark.parametrize(("name", "bits"), CANDIDATES)
def test_a_candidate_costs_what_was_predicted(name, bits, tmp_path):
    bed, board = zoo.load("digits-cnn"), targets.load("nucleo-l4r5zi")
    predictor = Predictor(board, bed.task, Budget().within(board), "cnn")
    job = Job(bed.module, bed.task, predictor, Folder(tmp_path), 0)
    settings = replace(first(1)[1], bits=bits, quantizer=name, learned=EPOCHS.get(name, 0))
    result = run_trial(job, settings)
    assert result["state"] == "done", result
    assert result["validation"] > 0.9
    linked = realize(compiled_graph(read_graph(job.folder, Settings(**result["settings"]))), board)
    for figure, error in (("flash", 0.03), ("ram", 0.05), ("latency", 0.15)):
        predicted = result["prediction"][figure]["value"]
        assert linked.readings[figure].value == pytest.approx(predicted, rel=error), figure
