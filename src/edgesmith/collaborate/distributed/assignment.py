"""Which sub-model goes to which device, and how small each must be (arXiv:2410.11650, model assignment)."""

from collections.abc import Callable, Sequence

from edgesmith.collaborate.distributed.plan import Device
from edgesmith.core.errors import DoesNotFit

Need = tuple[int, int]  # bytes of weights, multiply-accumulates of a request


def assign(needs: Sequence[Need], devices: Sequence[Device]) -> list[int] | None:
    """Greedy: the sub-model of most work first, to the device with most work left to give that has the memory.

    Returns:
        The index of each sub-model's device; None where one finds no place.

    >>> assign([(10, 5), (10, 9)], [Device("a", 10, 6), Device("b", 20, 9)])
    [0, 1]
    """
    memory, work = [d.memory_bytes for d in devices], [d.macs for d in devices]
    found = [0] * len(needs)
    for part in sorted(range(len(needs)), key=lambda index: -needs[index][1]):
        nbytes, macs = needs[part]
        fitting = [at for at in range(len(devices)) if memory[at] >= nbytes and work[at] >= macs]
        if not fitting:
            return None
        chosen = max(fitting, key=lambda at: work[at])
        memory[chosen] -= nbytes
        work[chosen] -= macs
        found[part] = chosen
    return found


def fitted(parts: int, steps: int, need: Callable[[int], Need], devices: Sequence[Device]) -> list[tuple[int, int]]:
    """How many steps of its full width each sub-model keeps, and its device.

    All begin whole; while they do not fit, the largest of them loses a step.

    Args:
        need: of a sub-model that keeps so many of `steps`.

    Returns:
        (steps kept, index of the device) of each sub-model.

    Raises:
        DoesNotFit: not even sub-models of one step.
    """
    kept = [steps] * parts
    while (found := assign([need(steps_kept) for steps_kept in kept], devices)) is None:
        largest = max(range(parts), key=lambda index: (kept[index], -index))
        if kept[largest] == 1:
            nbytes, macs = need(1)
            raise DoesNotFit(
                f"ed_vit: {parts} sub-models of {nbytes:,} bytes and {macs:,} multiply-accumulates, the smallest there "
                f"are, do not fit {len(devices)} devices. Give more memory or work, or ask for fewer sub-models."
            )
        kept[largest] -= 1
    return list(zip(kept, found, strict=True))
