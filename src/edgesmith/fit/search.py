"""Ask for candidates, run them side by side, tell what they gave; the study lies on disk at every moment."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from edgesmith.fit.space import Settings, first, parameters, suggest
from edgesmith.fit.trial import Job, run_trial

PATIENCE = 4  # finished trials without a better one before the search ends
GAIN = 0.001  # what counts as better, in units of the metric


@dataclass
class Search:
    """A search in progress.

    Attributes:
        trials: most candidates that are run.
        time_s: most seconds; what is running then is finished.
        jobs: candidates run side by side.
        progress: called with each result as it comes.
    """

    job: Job
    trials: int
    time_s: float
    jobs: int
    epochs: int
    lock: int
    progress: Callable[[dict[str, Any]], None]
    results: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> list[dict[str, Any]]:
        """All results, earlier runs' included."""
        study = self._study()
        self._resume(study)
        deadline = time.monotonic() + self.time_s
        with _workers(self.jobs, self.job, self.lock) as submit:
            running: dict[Future[dict[str, Any]], optuna.Trial] = {}
            while True:
                while len(running) < self.jobs and not self._enough(len(running), deadline):
                    trial, settings = self._ask(study)
                    running[submit(settings)] = trial
                if not running:
                    return self.results
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._tell(study, running.pop(future), future.result())

    def _study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(self.job.folder.study)))
            sampler = optuna.samplers.TPESampler(seed=self.job.seed, multivariate=True, group=True)
        return optuna.create_study(
            storage=storage, study_name="fit", load_if_exists=True, sampler=sampler, direction="maximize"
        )

    def _resume(self, study: optuna.Study) -> None:
        """Take over what is finished; queue again what a kill interrupted, or the first settings in a new study."""
        if not study.get_trials(deepcopy=False):
            for settings in first(self.epochs):
                study.enqueue_trial(parameters(settings))
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params or trial.system_attrs.get("fixed_params", {}))
        for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)):
            settings = Settings(**trial.user_attrs["settings"])
            known = self.job.folder.result(settings.to_json())
            if known is not None and known not in self.results:
                self.results.append(known)

    def _ask(self, study: optuna.Study) -> tuple[optuna.Trial, Settings]:
        trial = study.ask()
        settings = suggest(trial, self.epochs)
        trial.set_user_attr("settings", settings.to_json())
        return trial, settings

    def _tell(self, study: optuna.Study, trial: optuna.Trial, result: dict[str, Any]) -> None:
        study.tell(trial, value(result, self.job.task.metric.direction))
        if result not in self.results:
            self.results.append(result)
            self.progress(result)

    def _enough(self, running: int, deadline: float) -> bool:
        if time.monotonic() >= deadline or len(self.results) + running >= self.trials:
            return True
        return len(self.results) >= len(first(self.epochs)) and stale(self.results, self.job.task.metric.direction)


def value(result: dict[str, Any], direction: str) -> float:
    """What the search maximises: the metric where the limits hold, else how far from holding."""
    worst = max(result.get("ratios", {}).values(), default=0.0)
    if result["state"] != "done" or worst > 1:
        return -1e3 * max(worst, 1.0)
    return float(result["validation"]) if direction == "max" else -float(result["validation"])


def stale(results: list[dict[str, Any]], direction: str) -> bool:
    """Whether some candidate fits and the last PATIENCE ones brought no gain over the best before them."""
    values = [value(result, direction) for result in results]
    if len(values) <= PATIENCE or max(values) <= -1e3:
        return False
    return max(values[-PATIENCE:]) < max(values[:-PATIENCE]) + GAIN


class _workers:
    """Processes that share the job by fork; where there is no safe fork, the trials run in this process."""

    def __init__(self, jobs: int, job: Job, lock: int) -> None:
        self.job = job
        self.pool = None
        if jobs > 1 and sys.platform == "linux":
            context = multiprocessing.get_context("fork")
            self.pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker, initargs=(lock, job))

    def __enter__(self) -> Callable[[Settings], "Future[dict[str, Any]]"]:
        return self.submit

    def __exit__(self, *error: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def submit(self, settings: Settings) -> "Future[dict[str, Any]]":
        if self.pool:
            return self.pool.submit(_run_in_worker, settings)
        done: Future[dict[str, Any]] = Future()
        done.set_result(run_trial(self.job, settings))
        return done


_job: list[Job] = []  # a worker's share of the parent's memory, filled once when it starts


def _begin_worker(lock: int, job: Job) -> None:
    """Let the folder's lock end with the parent, and end with it."""
    os.close(lock)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    _job.append(job)


def _run_in_worker(settings: Settings) -> dict[str, Any]:
    return run_trial(_job[0], settings)
