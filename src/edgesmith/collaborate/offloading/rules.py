"""What a learned policy is held against: rules that choose a server by what can be seen of the servers now."""

import numpy as np

from edgesmith.collaborate.offloading.policy import Policy, weighed
from edgesmith.collaborate.offloading.servers import Episode, joules


def random_server(seed: int = 0) -> Policy:
    """Any server, all alike."""
    rng = np.random.default_rng(seed)
    return lambda episode, _: int(rng.integers(len(episode.servers)))


def round_robin(episode: Episode, _: float) -> int:
    """One after another."""
    return episode.made % len(episode.servers)


def fewest_tasks(episode: Episode, _: float) -> int:
    """The server with the fewest, for its speed."""
    counts = [len(server.left_bits()) for server in episode.servers]
    return int(np.argmin((np.array(counts) + 1) / episode.site.hz))


def least_work(episode: Episode, _: float) -> int:
    """The server that would first be done with all it has and the task, were all data there."""
    assert episode.task is not None
    left = np.array([sum(server.left_bits()) for server in episode.servers]) + episode.task.bits
    return int(np.argmin(left / episode.site.hz))


def fastest_link(episode: Episode, _: float) -> int:
    """The server to which the task is sent soonest."""
    assert episode.task is not None
    return int(np.argmax(episode.task.rates))


def fastest_server(episode: Episode, _: float) -> int:
    """The server of the most cycles a second."""
    return int(np.argmax(episode.site.hz))


def least_energy(episode: Episode, _: float) -> int:
    """The server that costs the fewest joules, sending and computing."""
    task = episode.task
    assert task is not None
    return int(np.argmin([joules(episode.site, task, server) for server in range(len(episode.servers))]))


def weighted_greedy(episode: Episode, preference: float) -> int:
    """The server of the least weighted cost now, as the rewards weigh it; it looks at no later task."""
    servers = range(len(episode.servers))
    return int(np.argmax([weighed(episode.cost(server), preference) for server in servers]))
