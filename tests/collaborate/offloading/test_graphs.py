"""Jobs: ranks by hand, shapes of what is drawn, rows of a trace, and what is refused."""

import random

import pytest

from collaborate.offloading.small import DIAMOND
from edgesmith.collaborate.offloading.graphs import Job, Shape, Task, draw_job, from_trace
from edgesmith.core.errors import BadInput


def test_ranks_are_the_longest_ways_to_the_end() -> None:
    """By hand at 2 GHz and 2 Mbit/s: last 1; 1 and 2 with 1 s of sending 2 + 1 + 1 and 3 + 1 + 1; first 1 + 4 + 5."""
    assert DIAMOND.ranks_s(ghz=2.0, mbps=2.0) == (10.0, 4.0, 5.0, 1.0)


def test_after_is_the_reverse_of_before() -> None:
    assert DIAMOND.after == ((1, 2), (3,), (3,), ())


def test_drawn_jobs_have_their_size_and_one_end() -> None:
    shape = Shape(least=3, most=9)
    jobs = [draw_job(random.Random(seed), shape) for seed in range(300)]
    assert {len(job.tasks) for job in jobs} == set(range(3, 10))
    for job in jobs:
        assert [later for later in job.after if not later] == [()], "one task that none waits for"
        assert all((task.in_mbit > 0) == (not before) for task, before in zip(job.tasks, job.before, strict=True))
    chains = [all(len(before) <= 1 for before in job.before) and len(job.before[-1]) == 1 for job in jobs]
    assert any(chains) and not all(chains)


def test_the_same_seed_draws_the_same_job() -> None:
    first, second, other = (draw_job(random.Random(seed), Shape()) for seed in (4, 4, 5))
    assert first == second != other


# Job A is the example of the trace's own description (trace_2018.md): M1, M2_1, M3_1, R4_2, M5_3_4.
TRACE = """M1,2,A,1,Terminated,10,20,100,0.5
M2_1,1,A,1,Terminated,20,24,50,0.5
M3_1,1,A,1,Terminated,20,30,200,0.5
R4_2,1,A,1,Terminated,24,25,100,0.5
M5_3_4,1,A,1,Terminated,30,40,100,0.5
task_Nzg3,1,B,1,Terminated,0,5,100,0.5
M1,1,C,1,Running,5,,100,0.5
M2_1,1,D,1,Terminated,5,6,100,0.5
M2_2,1,E,1,Terminated,5,6,100,0.5"""


def test_rows_of_the_trace_become_jobs() -> None:
    """B is no graph, C has no end, D waits for a task that is not there, E for itself."""
    jobs = from_trace((line.split(",") for line in TRACE.splitlines()), mbit=3.0, ghz=2.0)
    assert list(jobs) == ["A"]
    assert jobs["A"].before == ((), (0,), (0,), (1,), (2, 3))
    assert [task.gcycles for task in jobs["A"].tasks] == [40.0, 4.0, 40.0, 2.0, 20.0]
    assert [task.in_mbit for task in jobs["A"].tasks] == [3.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Job((), ()),
        lambda: Job((Task(1.0),), ()),
        lambda: Job((Task(0.0),), ((),)),
        lambda: Job((Task(float("nan")),), ((),)),
        lambda: Job((Task(1.0, in_mbit=-1.0),), ((),)),
        lambda: Job((Task(1.0), Task(1.0)), ((1,), ())),
        lambda: Job((Task(1.0),), ((0,),)),
        lambda: Job((Task(1.0), Task(1.0)), ((), (0, 0))),
        lambda: Shape(least=0),
        lambda: Shape(mbit=-1.0),
        lambda: from_trace([["M1", "1", "A"]], mbit=1.0),
        lambda: from_trace([["M1", "1", "A", "1", "Terminated", "soon", "6", "100", "0.5"]], mbit=1.0),
    ],
)
def test_what_is_no_job_is_refused(make) -> None:
    with pytest.raises(BadInput, match="need"):
        make()
