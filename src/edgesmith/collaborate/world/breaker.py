"""The circuit breaker in virtual time: the same states and waits as the client over sockets."""

import random
from collections.abc import Callable, Generator
from typing import Any, Literal

from simpy import Environment, Event

from edgesmith.collaborate.world.spec import Breaking

State = Literal["closed", "open", "trial", "trying"]
Probe = Callable[[float], Event]  # given seconds, an event: whether the server answered within them


class Breaker:
    """Says whether to ask. Closed: all may. Open: none, and a probe goes out ever less often. Trial: one may."""

    def __init__(self, env: Environment, breaking: Breaking, probe: Probe, seed: int) -> None:
        self.env, self.breaking, self.probe = env, breaking, probe
        self.random = random.Random(f"{seed} breaker")
        self.state: State = "closed"
        self.failed = self.opened = 0
        self.wait_s = breaking.first_s
        self.ended = False

    def admits(self) -> bool:
        """Whether this request may ask; who may says by `record` how it went."""
        if self.state == "trial":
            self.state = "trying"
            return True
        return self.state == "closed"

    def record(self, well: bool | None) -> None:
        """How an admitted request went; None where the server was not asked after all."""
        if well:
            self.state, self.failed, self.wait_s = "closed", 0, self.breaking.first_s
        elif well is None:
            self.state = "trial" if self.state == "trying" else self.state
        else:
            self._failed()

    def _failed(self) -> None:
        self.failed += 1
        if self.state == "open" or (self.state == "closed" and self.failed < self.breaking.failures):
            return
        self.state, self.opened = "open", self.opened + 1
        self.env.process(self._probing(self.opened))

    def _probing(self, opening: int) -> Generator[Event, Any, None]:
        while not self.ended:
            yield self.env.timeout(self._next_wait_s())
            if self._old(opening):
                return
            well = yield self.probe(self.breaking.probe_s)
            if self._old(opening):
                return
            if well:
                self.state = "trial"
                return

    def _old(self, opening: int) -> bool:
        return self.ended or self.state != "open" or self.opened != opening

    def _next_wait_s(self) -> float:
        """Doubled each time, also from one opening to the next; only an answer brings it back to the first."""
        wait_s, self.wait_s = self.wait_s, min(2 * self.wait_s, self.breaking.most_s)
        return wait_s * self.random.uniform(0.8, 1.2)
