"""How long each piece of a two-stream system takes on this machine, alone."""

import time
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.choosing import described
from edgesmith.collaborate.distributed.multimodal import System
from edgesmith.collaborate.distributed.pipeline import Costs
from edgesmith.collaborate.distributed.streams import WIDTH

RUNS = 60  # ours: the median of so many is stable to a tenth


@torch.no_grad()
def measured_costs(system: System, record: np.ndarray) -> Costs:
    """Medians over runs on one record (length,) raw, batch one, in torch as it is."""
    raw = torch.from_numpy(record[None]).float()
    unit, whole, join = {}, {}, {}
    for stream, sensor in enumerate(system.net.sensors):
        for size, branch in enumerate(system.net.sizes(stream)):
            for count in sensor.counts:
                units = sensor.units(raw, count)[0]
                unit[stream, size, count] = seconds(branch.encoder, units[:1])
                whole[stream, size, count] = seconds(branch.encoder, units)
            join[stream, size] = seconds(branch.join, torch.zeros(1, sensor.counts[0], WIDTH))
    pair = torch.zeros(1, WIDTH * len(system.net.sensors))
    seen = torch.cat([described(np.zeros(1), config, system.net.sensors) for config in system.configs])
    fusion = next(iter(system.fusions.values()))
    decisions = seconds(fusion, pair), seconds(system.predictor, seen), seconds(system.gate, pair)
    return Costs(unit, whole, join, *decisions)


def seconds(module: nn.Module, x: Tensor) -> float:
    """Median of RUNS inferences, after some that do not count."""
    module.eval()
    spans = []
    for index in range(RUNS + 5):
        begin = time.perf_counter()
        module(x)
        if index >= 5:
            spans.append(time.perf_counter() - begin)
    return median(spans)
