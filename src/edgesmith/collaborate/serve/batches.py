"""Requests of all clients in one queue, taken to the model in batches by one thread beside the event loop."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesmith.collaborate.serve.limits import Limits
from edgesmith.collaborate.serve.metrics import Metrics
from edgesmith.collaborate.serve.wire import Arrays, Status
from edgesmith.core.errors import EdgesmithError

Infer = Callable[[Arrays], Mapping[str, np.ndarray]]
Result = Mapping[str, np.ndarray] | Exception
# One result per request, in order: as a list once all are done, or from an iterator, each as soon as it is done.
InferMany = Callable[[Sequence[Arrays]], Iterable[Result]]

log = logging.getLogger(__name__)


def one_by_one(infer: Infer) -> InferMany:
    """A batch through a model of batch one; what fails fails alone."""

    def many(batch: Sequence[Arrays]) -> Iterator[Result]:
        for inputs in batch:
            try:
                yield infer(inputs)
            except Exception as error:
                yield error

    return many


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a request.

    Attributes:
        queue_s, compute_s: until the model began, and until it ended.
    """

    status: Status
    outputs: Arrays
    text: str = ""
    queue_s: float = 0.0
    compute_s: float = 0.0


ENDING = Done("closing", {}, "the server ends")


@dataclass(slots=True, eq=False)
class Job:
    """A request that waits; times are of time.monotonic.

    Attributes:
        until_s: when its client stops waiting.
    """

    inputs: Arrays
    came_s: float
    until_s: float
    done: "asyncio.Future[Done]"

    def end(self, done: Done) -> None:
        """Answer, unless nobody waits any more."""
        if not self.done.done():
            self.done.set_result(done)


class Batches:
    """The queue and the thread. Make it and use it inside one event loop.

    The thread is a daemon: a model that never comes back keeps nobody from ending the program.
    """

    def __init__(self, infer_many: InferMany, limits: Limits, metrics: Metrics) -> None:
        self.infer_many, self.limits, self.metrics = infer_many, limits, metrics
        self.loop = asyncio.get_running_loop()
        self.waiting: asyncio.Queue[Job] = asyncio.Queue(limits.max_queue)
        self.handed: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self.free = asyncio.Event()
        self.free.set()
        threading.Thread(target=self._compute, daemon=True, name="edgesmith-model").start()
        self.collector = self.loop.create_task(self._collect())

    async def run(self, inputs: Arrays, patience_s: float) -> Done:
        """One request through the model; busy at once if the queue is full."""
        now_s = time.monotonic()
        job = Job(inputs, now_s, now_s + patience_s, self.loop.create_future())
        try:
            self.waiting.put_nowait(job)
        except asyncio.QueueFull:
            return Done("busy", {}, f"the queue is full ({self.limits.max_queue} requests)")
        return await job.done

    def close(self) -> None:
        """End; what still waits is answered as closing."""
        self.collector.cancel()
        while not self.waiting.empty():
            self.waiting.get_nowait().end(ENDING)
        self.handed.put(None)

    async def _collect(self) -> None:
        """Hand over a batch whenever the thread is free, so that waiting happens where the bound is."""
        jobs: list[Job] = []
        try:
            while True:
                await self.free.wait()
                await self._fill(jobs)
                if wanted := self._wanted(jobs):
                    self.metrics.batches.observe(len(wanted))
                    self.free.clear()
                    self.handed.put(wanted)
                jobs.clear()
        finally:
            for job in jobs:
                job.end(ENDING)

    async def _fill(self, jobs: list[Job]) -> None:
        """The next job and others with it, up to the number and time of the limits."""
        jobs.append(await self.waiting.get())
        while len(jobs) < self.limits.batch and not self.waiting.empty():
            jobs.append(self.waiting.get_nowait())
        until_s = jobs[0].came_s + self.limits.batch_wait_ms * 1e-3
        while len(jobs) < self.limits.batch and (left_s := until_s - time.monotonic()) > 0:
            try:
                jobs.append(await asyncio.wait_for(self.waiting.get(), left_s))
            except TimeoutError:
                return

    def _wanted(self, jobs: list[Job]) -> list[Job]:
        """Those whose clients still wait; the model's time is not spent on others."""
        now_s, found = time.monotonic(), []
        for job in jobs:
            if now_s >= job.until_s:
                job.end(Done("late", {}, "it was not its turn before its deadline", now_s - job.came_s))
            elif not job.done.done():
                found.append(job)
        return found

    def _compute(self) -> None:
        """The thread: batch after batch."""
        while (jobs := self.handed.get()) is not None:
            try:
                for job, done in zip(jobs, self._results(jobs), strict=True):
                    self.loop.call_soon_threadsafe(job.end, done)
                self.loop.call_soon_threadsafe(self.free.set)
            except RuntimeError:  # the loop has ended
                return

    def _results(self, jobs: list[Job]) -> Iterator[Done]:
        began_s = time.monotonic()
        try:
            made: Iterable[Result] = self.infer_many([job.inputs for job in jobs])
        except Exception as error:
            made = [error] * len(jobs)
        results, together = iter(made), isinstance(made, Sequence)
        for job in jobs:
            result = _next(results)
            ended_s = time.monotonic()
            yield _done(result, began_s - job.came_s, ended_s - began_s)
            began_s = began_s if together else ended_s


def _next(results: Iterator[Result]) -> Result:
    """The next result; a fault of the model's is one too."""
    try:
        return next(results)
    except StopIteration:
        return RuntimeError("the model gave fewer results than it got requests")
    except Exception as error:
        return error


def _done(result: Result, queue_s: float, compute_s: float) -> Done:
    if not isinstance(result, Exception):
        return Done("ok", result, "", queue_s, compute_s)
    if isinstance(result, EdgesmithError):
        return Done("error", {}, str(result), queue_s, compute_s)
    log.error("the model failed", exc_info=result)
    return Done("error", {}, f"the model failed: {type(result).__name__}", queue_s, compute_s)
