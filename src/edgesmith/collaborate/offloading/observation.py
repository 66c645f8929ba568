"""What an agent knows of a run, and what only the critic does, as numbers of about one."""

import numpy as np

from edgesmith.collaborate.offloading.cluster import Placement, Run

TASK = 7  # figures of an agent's next task
PLACE = 6  # figures of each of its places
HIDDEN = 3  # figures of each place that the agent does not know
TYPICAL_S = 1.0  # of a task on its device; only a scale


def seen_size(servers: int) -> int:
    """Figures that an agent knows."""
    return TASK + (servers + 1) * PLACE


def hidden_size(servers: int) -> int:
    """Figures that it does not."""
    return (servers + 1) * HIDDEN


def observe(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """What every agent sees, and what is hidden from it: the servers' queues.

    Of a server an agent knows the speed, power and rate, how long its own last task there waited, and what it has
    placed there itself. Times are in its mean time of a task on its device, energies alike.

    Returns:
        seen: (devices, seen_size) float32; zeros for devices that are done.
        hidden: (devices, hidden_size) float32, likewise.
    """
    servers, devices = len(run.world.servers), len(run.world.devices)
    seen = np.zeros((devices, seen_size(servers)), np.float32)
    hidden = np.zeros((devices, hidden_size(servers)), np.float32)
    for device in run.active:
        looks = [run.look(device, place) for place in range(servers + 1)]
        seen[device] = [*_task(run, device), *(each for look in looks for each in _known(run, device, look))]
        hidden[device] = [each for look in looks for each in _unknown(run, device, look)]
    return seen, hidden


def mean_task_s(run: Run, device: int) -> float:
    """The mean time of a device's tasks on it."""
    return run.world.local_s[device] / len(run.world.orders[device])


def ready_s(run: Run, device: int) -> float:
    """When all that the next task waits for has ended."""
    made, before = run.placed[device], run.world.devices[device].job.before[run.task(device)]
    return max((made[earlier].end_s for earlier in before), default=0.0)


def _task(run: Run, device: int) -> list[float]:
    """Size, output, way to the job's end, share left, tasks that wait, time so far, and the job's scale."""
    world, index, unit_s = run.world, run.task(device), mean_task_s(run, device)
    owner, count = world.devices[device], len(world.orders[device])
    task = owner.job.tasks[index]
    return [
        task.gcycles / owner.ghz / unit_s,
        task.out_mbit / max(owner.mbps) / unit_s,
        world.ranks_s[device][index] / world.local_s[device],
        1 - len(run.placed[device]) / count,
        len(owner.job.after[index]) / 2,
        run.latency_s[device] / world.local_s[device],
        unit_s / TYPICAL_S,
    ]


def _known(run: Run, device: int, look: Placement) -> list[float]:
    """Of a place: computing, the data's way, energy, the wait, own work there, and whether it is the device."""
    unit_s = mean_task_s(run, device)
    unit_j = unit_s * run.world.devices[device].watts
    own = [made for made in run.placed[device].values() if made.place == look.place]
    last = look if look.place == 0 else (own[-1] if own else None)
    return [
        (look.end_s - look.start_s) / unit_s,
        (look.arrive_s - ready_s(run, device)) / unit_s,
        look.energy_j / unit_j,
        (last.start_s - last.arrive_s) / unit_s if last else 0.0,
        sum(made.end_s - made.start_s for made in own) / unit_s,
        float(look.place == 0),
    ]


def _unknown(run: Run, device: int, look: Placement) -> list[float]:
    """Of a place: the wait now, what the end would add to the job's time, and all work there."""
    unit_s = mean_task_s(run, device)
    busy_s = run.busy_s[look.place - 1] if look.place else 0.0
    late_s = max(0.0, look.done_s - run.latency_s[device])
    return [(look.start_s - look.arrive_s) / unit_s, late_s / unit_s, busy_s / unit_s]
