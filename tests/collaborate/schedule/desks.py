"""A desk without a clock of its own: what a strategy asked of it, and kinds with round figures."""

from dataclasses import dataclass, field

from edgesmith.collaborate.schedule.tasks import Kind, Task


@dataclass
class Paper:
    """Writes down what a strategy does; `pass_time` calls what falls due."""

    now_ms: float = 0.0
    edge_free_ms: float = 0.0
    sent: list[Task] = field(default_factory=list)
    dropped: list[Task] = field(default_factory=list)
    due: list = field(default_factory=list)

    def to_cloud(self, task):
        self.sent.append(task)

    def drop(self, task):
        self.dropped.append(task)

    def at(self, ms, call):
        self.due.append((ms, call))

    def pass_time(self, until_ms):
        for ms, call in sorted((pair for pair in self.due if pair[0] <= until_ms), key=lambda pair: pair[0]):
            self.now_ms = ms
            call()
        self.due = [pair for pair in self.due if pair[0] > until_ms]
        self.now_ms = self.edge_free_ms = until_ms


def kind(name="k", deadline=1000, edge=100, cloud=300, benefit=100, edge_cost=1, cloud_cost=20) -> Kind:
    return Kind(name, deadline, edge, cloud, benefit, edge_cost, cloud_cost, 10)


def tasks(*kinds: Kind, at_ms: float = 0.0) -> list[Task]:
    return [Task(index, each, at_ms, each.edge_ms, each.cloud_ms) for index, each in enumerate(kinds)]
