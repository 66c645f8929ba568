"""A circuit breaker: after failures in a row nobody asks the server, until a probe beside says that it is back.

Nygard, Release It!, 2007. Closed: all may ask. Open: none, and a thread probes, ever less often. Trial: the probe went
well, one request may ask; its answer closes the breaker, its failure opens it again.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "trial", "trying"]


@dataclass(frozen=True)
class Policy:
    """When to stop asking, and how to come back.

    Attributes:
        failures: in a row that open it. Three: one is noise, and each costs a request its deadline.
        first_s, most_s: until the first probe, and at most between two; each wait is twice the one before, give or
            take a fifth, so that clients do not come back all at once.
        probe_s: for which a probe waits.
    """

    failures: int = 3
    first_s: float = 0.1
    most_s: float = 5.0
    probe_s: float = 1.0


class Breaker:
    """Says whether to ask; safe to use from several threads.

    Args:
        probe: whether the server can be reached, given so many seconds.
    """

    def __init__(self, probe: Callable[[float], bool], policy: Policy | None = None) -> None:
        self.probe, self.policy = probe, policy or Policy()
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.state: State = "closed"
        self.failed = 0
        self.opened = 0
        self.wait_s = self.policy.first_s

    def admits(self) -> bool:
        """Whether this request may ask; who may says by `record` how it went."""
        with self.lock:
            if self.state == "trial":
                self.state = "trying"
                return True
            return self.state == "closed"

    def record(self, well: bool | None) -> None:
        """How an admitted request went; None where the server was not asked after all."""
        with self.lock:
            if well:
                self.state, self.failed, self.wait_s = "closed", 0, self.policy.first_s
            elif well is None:
                self.state = "trial" if self.state == "trying" else self.state
            else:
                self._failed()

    def close(self) -> None:
        """No more probes."""
        self.ended.set()

    def _failed(self) -> None:
        self.failed += 1
        if self.state == "open" or (self.state == "closed" and self.failed < self.policy.failures):
            return
        self.state, self.opened = "open", self.opened + 1
        threading.Thread(target=self._probe, args=(self.opened,), daemon=True, name="edgesmith-probe").start()

    def _probe(self, opening: int) -> None:
        """Until the server is back, or the breaker was closed or opened anew meanwhile."""
        while not self.ended.wait(self._next_wait_s()):
            well = self._current(opening) and self.probe(self.policy.probe_s)
            with self.lock:
                if self.state != "open" or self.opened != opening:
                    return
                if well:
                    self.state = "trial"
                    return

    def _current(self, opening: int) -> bool:
        return self.state == "open" and self.opened == opening and not self.ended.is_set()

    def _next_wait_s(self) -> float:
        """Doubled each time, also from one opening to the next; only an answer brings it back to the first."""
        with self.lock:
            wait_s, self.wait_s = self.wait_s, min(2 * self.wait_s, self.policy.most_s)
        return wait_s * random.uniform(0.8, 1.2)
