"""The search's state: it survives kills and damage, asks for nothing twice, and stops in time."""

import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import optuna
import pytest

from edgesmith import Budget, targets, zoo
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput, EdgesmithError, Unsupported
from edgesmith.core.task import ACCURACY, Metric
from edgesmith.fit import search as searching
from edgesmith.fit import trial as trials
from edgesmith.fit.folder import Folder
from edgesmith.fit.predict import Predictor
from edgesmith.fit.search import Search, cut_torn_line, hopeless, open_study, outcome, stale, value
from edgesmith.fit.space import CALIBRATIONS, CRITERIA, Settings, first, parameters
from edgesmith.fit.trial import Job, finite, run_trial, tune

SECOND = first(1)[1]


@pytest.fixture
def job(tmp_path):
    bed = zoo.load("digits-cnn")
    board = targets.load("stm32f103")
    return Job(bed.module, bed.task, Predictor(board, bed.task, Budget().within(board), "cnn"), Folder(tmp_path), 0)


@pytest.fixture
def instant(monkeypatch):
    """Trials that end at once and leave a result as real ones do; the list of their settings."""
    ran = []

    def run(job, settings):
        ran.append(settings)
        result = {"state": "done", "validation": 0.5, "ratios": {}, "settings": settings.to_json(), "seconds": 0.0}
        write_file(job.folder.trial(settings.to_json()) / "result.json", json.dumps(result))
        return result

    monkeypatch.setattr(searching, "run_trial", run)
    return ran


def search(job, trials=3, time_s=600.0):
    return Search(job, trials, time_s, jobs=1, epochs=1, lock=-1, progress=lambda result: None)


def test_nothing_is_tried_twice(job, instant):
    wanted = [s for s in first(1) if s.bits != "mixed"]  # all 8 bits fit, so a mix is the same
    results = search(job, trials=len(wanted)).run()
    assert [r["settings"] for r in results] == [s.to_json() for s in wanted]
    more = search(job, trials=len(wanted) + 4)
    more.run()
    assert len(instant) == len({str(settings) for settings in instant}) == len(more.results)


def test_the_search_does_not_depend_on_which_trial_ends_first(tmp_path, job, monkeypatch):
    def settings_of(folder, slow):
        def run(job, settings):
            score = sum(json.dumps(settings.to_json()).encode()) % 97 / 97
            time.sleep(0.4 * (int(97 * score) % 2 == slow))
            return {"state": "done", "validation": score, "ratios": {}, "settings": settings.to_json(), "seconds": 0.0}

        monkeypatch.setattr(searching, "run_trial", run)
        folder.mkdir()
        lock = os.open(folder, os.O_RDONLY)  # a worker closes its own copy of it
        own = replace(job, folder=Folder(folder))
        found = Search(own, len(first(1)) + 5, 600.0, jobs=2, epochs=1, lock=lock, progress=lambda result: None).run()
        os.close(lock)
        return [result["settings"] for result in found]

    found = settings_of(tmp_path / "a", slow=0)
    assert len(found) > len(first(1)) and found == settings_of(tmp_path / "b", slow=1)


def test_what_a_finished_candidate_rules_out_is_not_tried():
    as_it_is, int8, pruned, mixed, learned, both, _ = first(1)

    def tried(settings, state, ratio):
        return {"settings": settings.to_json(), "state": state, "ratios": {"flash_bytes": ratio}}

    too_large = [tried(as_it_is, "done", 9.0), tried(replace(pruned, precision="float32", fill=0.85), "too big", 8.0)]
    assert hopeless(replace(as_it_is, calibration="entropy"), too_large), "calibration changes no cost"
    assert hopeless(replace(pruned, precision="float32", criterion="slimming", fill=0.7), too_large)
    assert not hopeless(replace(pruned, precision="float32", fill=1.0), too_large), "it has more room"
    assert not hopeless(int8, too_large) and not hopeless(pruned, too_large), "another precision"
    assert not hopeless(replace(int8, calibration="entropy"), [tried(int8, "done", 0.9)])
    assert hopeless(mixed, [tried(int8, "done", 0.9)]), "where all 8 bits have room, a mix is all 8 bits"
    assert not hopeless(mixed, [tried(int8, "done", 1.9)]) and not hopeless(both, [tried(pruned, "too big", 1.9)])
    assert hopeless(replace(learned, fill=0.7), [tried(mixed, "too big", 0.0)]), "no mix has so little room"
    assert not hopeless(learned, [tried(replace(mixed, fill=0.7), "too big", 0.0)])
    assert not hopeless(replace(mixed, calibration="minmax"), [tried(mixed, "done", 1.0)])
    uniform = replace(int8, bits="4")
    assert hopeless(replace(uniform, calibration="entropy"), [tried(uniform, "done", 1.2)])
    assert not hopeless(uniform, [tried(int8, "done", 1.2)]), "fewer bits take less"
    at_the_floor = {**tried(replace(pruned, fill=0.5), "too big", 0.0), "floor": 0.8}
    assert hopeless(replace(pruned, fill=0.7), [at_the_floor]) and not hopeless(pruned, [at_the_floor])


def test_candidates_of_a_fit_before_bits_are_known_again():
    """Their settings have no bits: they meet the same folder, and the search's parameters."""
    earlier = {name: value for name, value in SECOND.to_json().items() if name not in ("bits", "learned")}
    assert earlier == SECOND.to_json() and Settings(**earlier) == SECOND
    assert replace(SECOND, bits="4", learned=2).to_json() == {**earlier, "bits": "4", "learned": 2}


def test_a_journal_of_a_fit_before_bits_goes_on(job, instant):
    study = open_study(job.folder.study, 0)
    old = {"criterion": "none", "precision": "int8", "calibration": "minmax", "equalize": False, "correct_bias": True}
    choices = {"criterion": ("none", *CRITERIA), "precision": ("int8", "float32"), "calibration": CALIBRATIONS}
    choices |= {"equalize": (False, True), "correct_bias": (True, False)}
    study.enqueue_trial(old)
    trial = study.ask()
    for name, each in choices.items():
        trial.suggest_categorical(name, each)
    study.tell(trial, 0.5)
    assert len(search(job, trials=6).run()) == 6


def test_a_journal_with_a_torn_last_line_goes_on(job, instant):
    search(job, trials=2).run()
    with job.folder.study.open("ab") as file:
        file.write(b'{"op_code": 6, "worker')
    assert len(search(job, trials=3).run()) == 3
    assert len(open_study(job.folder.study, 0).get_trials(states=(optuna.trial.TrialState.COMPLETE,))) == 3


def test_a_lock_left_by_a_killed_process_is_not_waited_for(job, instant):
    search(job, trials=1).run()
    os.symlink(job.folder.study, f"{job.folder.study}.lock")
    begin = time.monotonic()
    assert len(search(job, trials=2).run()) == 2
    assert time.monotonic() - begin < 10, "optuna's own lock is waited for 30 s"


def test_a_journal_damaged_inside_is_explained_and_may_be_deleted(job, instant):
    search(job, trials=2).run()
    lines = job.folder.study.read_bytes().splitlines(keepends=True)
    job.folder.study.write_bytes(b"".join([lines[0], b"garbage\n", *lines[1:]]))
    with pytest.raises(BadInput, match="Delete it"):
        search(job, trials=3).run()
    job.folder.study.unlink()
    assert len(search(job, trials=3).run()) == 3
    assert len(instant) == 3, "finished trials are taken over without their journal"


def test_a_result_written_before_its_trial_was_told_is_taken_over(job, instant):
    study = open_study(job.folder.study, 0)
    study.enqueue_trial(parameters(SECOND))
    trial, settings = search(job)._ask(study, [])
    searching.run_trial(job, settings)
    assert search(job, trials=1).run()[0]["settings"] == settings.to_json()
    assert len(instant) == 1


def test_a_trial_killed_between_two_questions_keeps_its_settings(job, instant):
    study = open_study(job.folder.study, 0)
    study.enqueue_trial(parameters(SECOND))
    study.ask().suggest_categorical("criterion", ("none", "l1_norm", "slimming", "taylor"))
    search(job, trials=5).run()
    assert SECOND in instant


def test_lines_are_cut_only_where_they_are_torn(tmp_path):
    path = tmp_path / "journal"
    cut_torn_line(path)
    for content, kept in ((b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"a", b"")):
        path.write_bytes(content)
        cut_torn_line(path)
        assert path.read_bytes() == kept


def test_time_ends_a_training_and_the_next_run_goes_on_with_it(job, monkeypatch):
    settings = replace(first(3)[2], epochs=3)
    late = replace(job, deadline=time.monotonic())
    monkeypatch.setattr(trials, "prune", lambda job, settings: job.module)
    assert run_trial(late, settings) is None
    place = job.folder.trial(settings.to_json())
    assert (place / "training.safetensors").is_file() and not (place / "result.json").exists()
    epochs = []
    real = trials.Run

    def watched(state_file, progress):
        return real(state_file, lambda epoch, loss: (epochs.append(epoch), progress(epoch, loss)))

    monkeypatch.setattr(trials, "Run", watched)
    tune(job, settings, job.module, place)
    assert epochs == [1, 2], "epoch 0 was kept"


def test_out_of_time_leaves_the_trial_for_the_next_run(job, monkeypatch):
    monkeypatch.setattr(searching, "run_trial", lambda job, settings: None)
    assert search(job, time_s=0.2).run() == []
    assert open_study(job.folder.study, 0).get_trials(states=(optuna.trial.TrialState.RUNNING,))


def test_a_candidate_that_cannot_be_lowered_fails_alone(job, monkeypatch):
    def refuse(*words):
        raise Unsupported("lower: no way for this op")

    monkeypatch.setattr(trials, "compress", refuse)
    result = run_trial(job, SECOND)
    assert result["state"] == "failed" and "no way" in result["why"]
    assert value(result, "max") < 0


def test_weights_that_diverge_are_a_failed_candidate(job, monkeypatch):
    broken = zoo.load("digits-cnn").module
    next(broken.parameters()).data.view(-1)[0] = float("inf")
    assert finite(job.module) and not finite(broken)
    monkeypatch.setattr(trials, "tune", lambda *words: broken)
    assert run_trial(job, SECOND)["state"] == "failed"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_a_killed_worker_is_named_and_nothing_is_lost():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        future = pool.submit(die)
        with pytest.raises(EdgesmithError, match="worker was killed.*Run the same command again"):
            outcome(future)


def test_gains_are_shares_of_the_metric():
    def error(validation):
        return {"state": "done", "validation": validation, "ratios": {}}

    large = [error(100.0), *[error(99.99)] * searching.PATIENCE]
    small = [error(0.0010), *[error(0.0009)] * searching.PATIENCE]
    assert stale(large, "min"), "a hundredth of a percent is no gain"
    assert not stale(small, "min"), "a tenth is"


def test_meeting_a_limit_depends_on_the_direction():
    error = Metric("mean squared error", "min", ACCURACY.compute)
    assert ACCURACY.meets(0.9, 0.9) and not ACCURACY.meets(0.89, 0.9) and ACCURACY.meets(0.0, None)
    assert error.meets(0.9, 0.9) and not error.meets(0.91, 0.9)
    assert (ACCURACY.unit, error.unit) == ("fraction", "mean squared error")
