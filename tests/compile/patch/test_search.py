"""The schedule that is chosen: least work among those that fit, nothing where nothing is needed."""

from compile.patch.stages import image_net
from edgesmith.compile.emit.model import bind
from edgesmith.compile.patch.search import candidates, promising, search
from edgesmith.core import ops
from edgesmith.core.graph import Graph

GRAPH = image_net(10)


def arena(graph: Graph) -> int:
    return bind(graph, ("reference",)).plan.arena_bytes


def chosen(limit: int):
    return search(GRAPH, lambda graph: arena(graph) / limit, limit)


def work(graph: Graph) -> int:
    return sum(ops.macs(graph, op) for op in graph.ops)


def test_what_fits_as_it_is_stays_so():
    choice = chosen(arena(GRAPH))
    assert choice.schedule is None and choice.graph is GRAPH and choice.meets


def test_the_choice_fits_at_the_least_work_of_all_that_fit():
    """Against the real plan of every candidate that would cost less work."""
    limit = int(0.85 * arena(GRAPH))
    choice = chosen(limit)
    assert arena(choice.graph) <= limit and choice.meets
    assert work(choice.graph) - work(GRAPH) == choice.extra_macs
    cheaper = [c for c in candidates(GRAPH, limit) if c.extra_macs < choice.extra_macs]
    assert all(arena(c.schedule.apply(GRAPH)) > limit for c in cheaper)


def test_where_nothing_fits_the_nearest_is_given_and_says_so():
    choice = chosen(100)
    assert not choice.meets and arena(choice.graph) < arena(GRAPH)


def test_memory_is_reckoned_near_the_plan():
    """A guide that the plan corrects: it does not see every overlap of buffers, and errs to the safe side."""
    limit = arena(GRAPH)
    for candidate in candidates(GRAPH, limit)[::9]:
        assert 0.9 < candidate.bytes / arena(candidate.schedule.apply(GRAPH)) < 2, candidate


def test_what_is_planned_in_earnest_grows_in_work_only_where_memory_shrinks():
    large = image_net(32)  # of a small one everything is planned
    found = promising(candidates(large, arena(large)), arena(large))
    assert found[0].extra_macs <= found[1].extra_macs and found[0].bytes > found[1].bytes
