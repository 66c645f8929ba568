"""Ask for candidates, run them side by side, tell what they gave; the study lies on disk at every moment."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from edgesmith.core.errors import BadInput, EdgesmithError
from edgesmith.fit.space import Settings, first, parameters, suggest
from edgesmith.fit.trial import MARGIN, Job, run_trial

PATIENCE = 4  # finished trials without a better one before the search ends
GAIN = 0.001  # what counts as better, as a share of the metric
REPEATS = 20  # settings the search may ask for again before it is taken to know no new ones


@dataclass
class Search:
    """A search in progress.

    Attributes:
        trials: most candidates that are run.
        time_s: most seconds; training stops then at the end of an epoch and goes on in the next run.
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
        """All results, earlier runs' included.

        Raises:
            EdgesmithError: the system killed a worker; what is finished is kept.
        """
        study = open_study(self.job.folder.study, self.job.seed)
        self._resume(study)
        deadline = time.monotonic() + self.time_s
        with _Workers(self.jobs, replace(self.job, deadline=deadline), self.lock) as submit:
            running: dict[Future[dict[str, Any] | None], optuna.Trial] = {}
            while True:
                while len(running) < self.jobs and not self._enough(len(running), deadline):
                    asked = self._ask(study, [trial.user_attrs["settings"] for trial in running.values()])
                    if asked is None:
                        break
                    trial, settings = asked
                    running[submit(settings)] = trial
                if not running:
                    return self.results
                # Told in the order they were asked for, so that the search does not depend on which ends first.
                oldest = next(iter(running))
                self._tell(study, running.pop(oldest), outcome(oldest))

    def _resume(self, study: optuna.Study) -> None:
        """Take over what is finished; queue again what a kill interrupted, and the first settings."""
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            known = self._known(trial)
            if known is not None:
                study.tell(trial.number, value(known, self.job.task.metric.direction))
            else:
                study.enqueue_trial({**trial.system_attrs.get("fixed_params", {}), **trial.params})
                study.tell(trial.number, state=TrialState.FAIL)
        for trial in study.get_trials(states=(TrialState.COMPLETE,)):
            known = self._known(trial)
            if known is not None and known not in self.results:
                self.results.append(known)
        self.results += [known for known in self.job.folder.results() if known not in self.results]
        for settings in first(self.epochs):
            study.enqueue_trial(parameters(settings), skip_if_exists=True)

    def _known(self, trial: FrozenTrial) -> dict[str, Any] | None:
        """The result on disk of a trial of an earlier run."""
        settings = trial.user_attrs.get("settings")
        return None if settings is None else self.job.folder.result(settings)

    def _ask(self, study: optuna.Study, running: Sequence[dict[str, Any]]) -> tuple[optuna.Trial, Settings] | None:
        """The next candidate that was not tried yet and may fit; None when the search asks for nothing new."""
        for _ in range(REPEATS):
            trial = study.ask()
            settings = suggest(trial, self.epochs)
            trial.set_user_attr("settings", settings.to_json())
            known = self.job.folder.result(settings.to_json())
            if known is not None:
                self._tell(study, trial, known)
            elif settings.to_json() in running:
                study.tell(trial, state=TrialState.FAIL)
            elif hopeless(settings, self.results):
                study.tell(trial, NOT_DONE)
            else:
                return trial, settings
        return None

    def _tell(self, study: optuna.Study, trial: optuna.Trial, result: dict[str, Any] | None) -> None:
        if result is None:  # out of time: it stays in the study as running, so that the next run takes it up
            return
        study.tell(trial, value(result, self.job.task.metric.direction))
        if result not in self.results:
            self.results.append(result)
            self.progress(result)

    def _enough(self, running: int, deadline: float) -> bool:
        """Whether to start no more; what was refused unseen costs seconds and does not count."""
        tried = [result for result in self.results if result["state"] != "too big"]
        if time.monotonic() >= deadline or len(tried) + running >= self.trials:
            return True
        return len(self.results) >= len(first(self.epochs)) and stale(tried, self.job.task.metric.direction)


class _Alone(JournalFileOpenLock):
    """No lock: the fit owns its folder, and one that a killed process left would be waited for."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


def open_study(path: Path, seed: int) -> optuna.Study:
    """The study in a journal, or a new one; a line that a kill left half-written is cut off.

    Raises:
        BadInput: the journal is damaged, or cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        cut_torn_line(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), _Alone(str(path))))
            study = optuna.create_study(storage=storage, study_name="fit", load_if_exists=True, direction="maximize")
            # A resumed search must not draw the same settings again.
            seed += len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
        return study
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise BadInput(
            f"fit: {path} is damaged or cannot be written ({error}); need the search's journal. "
            "Delete it: the finished trials beside it are kept."
        ) from error


def cut_torn_line(path: Path) -> None:
    """Cut a journal after its last whole line: what follows was never acknowledged."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        if not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def outcome(future: "Future[dict[str, Any] | None]") -> dict[str, Any] | None:
    """What a trial gave; None when its time ran out.

    Raises:
        EdgesmithError: the system killed a worker.
    """
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise EdgesmithError(
            "fit: a worker was killed, most often because memory ran out; the finished trials are kept. "
            "Run the same command again with fewer --jobs."
        ) from error


NOT_DONE = -1e9  # below every metric, an error in large units included


def value(result: dict[str, Any], direction: str) -> float:
    """What the search maximises: the metric where the limits hold, else how far from holding."""
    worst = max(result["ratios"].values(), default=0.0)
    if result["state"] != "done" or worst > 1:
        return NOT_DONE * max(worst, 1.0)
    return float(result["validation"]) if direction == "max" else -float(result["validation"])


def hopeless(settings: Settings, results: Sequence[dict[str, Any]]) -> bool:
    """Whether a finished candidate shows already that these settings cannot fit.

    Without pruning precision and bits alone settle the cost; what no pruning and no mix reached, none will with less
    room; and where all 8 bits have room, a mix of bits is all 8 bits.
    """
    for result in results:
        tried = Settings(**result["settings"])
        worst = max(result["ratios"].values(), default=0.0)
        if tried.precision != settings.precision or (tried.criterion == "none") != (settings.criterion == "none"):
            continue
        plain = settings.criterion == "none" and tried.bits == "8" and result["state"] == "done"
        if settings.bits == "mixed" and settings.precision == "int8" and plain and worst <= MARGIN * settings.fill:
            return True
        if tried.bits != settings.bits:
            continue
        if tried.quantizer != settings.quantizer and not (tried.foreseen() and settings.foreseen()):
            continue
        settled = not settings.fills() and worst > 1
        too_big = result["state"] == "too big" and settings.fill <= tried.fill
        if settled or too_big or result.get("floor", 0.0) > settings.fill:
            return True
    return False


def stale(results: list[dict[str, Any]], direction: str) -> bool:
    """Whether some candidate fits and the last PATIENCE ones brought no gain over the best before them."""
    values = [value(result, direction) for result in results]
    if len(values) <= PATIENCE or max(values) <= NOT_DONE:
        return False
    best = max(values[:-PATIENCE])
    return max(values[-PATIENCE:]) < best + GAIN * abs(best)


class _Workers:
    """Processes that share the job by fork; where there is no safe fork, the trials run in this process."""

    def __init__(self, jobs: int, job: Job, lock: int) -> None:
        self.job = job
        self.pool = None
        if jobs > 1 and sys.platform == "linux":
            context = multiprocessing.get_context("fork")
            begin = (lock, job, os.getpid())
            self.pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker, initargs=begin)

    def __enter__(self) -> Callable[[Settings], "Future[dict[str, Any] | None]"]:
        return self.submit

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self.pool is None:
            return
        if kind is not None:  # an interrupt ends at once; what was running goes on in the next run
            for process in list(self.pool._processes.values()):
                process.kill()
        self.pool.shutdown(cancel_futures=True)

    def submit(self, settings: Settings) -> "Future[dict[str, Any] | None]":
        if self.pool:
            return self.pool.submit(_run_in_worker, settings)
        done: Future[dict[str, Any] | None] = Future()
        done.set_result(run_trial(self.job, settings))
        return done


_job: list[Job] = []  # a worker's share of the parent's memory, filled once when it starts


def _begin_worker(lock: int, job: Job, parent: int) -> None:
    """Let the folder's lock end with the parent, and end with it."""
    os.close(lock)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before that took hold
        os._exit(1)
    _job.append(job)


def _run_in_worker(settings: Settings) -> dict[str, Any] | None:
    return run_trial(_job[0], settings)
