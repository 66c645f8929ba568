"""ExecuTorch out: a float .pte whose layers XNNPACK runs; checked in ExecuTorch's own runtime."""

import logging
import warnings
from typing import Any

import torch

from edgesmith.core.errors import Missing, Unsupported
from edgesmith.export.check import Outputs, floats_agree, our_floats
from edgesmith.export.source import Source
from edgesmith.lower import lift
from edgesmith.pipeline.verify import Relation


def executorch(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The float model, lowered through torch.export.

    Raises:
        Missing: the package is not installed.
        Unsupported: the model keeps states, or a part of it cannot be lowered.
    """
    try:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
    except ModuleNotFoundError as error:
        raise Missing('executorch: it is not installed. Run: pip install "edgesmith[executorch]".') from error
    if source.graph.states:
        raise Unsupported(f"executorch: {source.name} keeps states from run to run; need a model without.")
    graph = source.floats()
    examples = tuple(torch.from_numpy(array) for array in source.real(source.samples[0]).values())
    module = lift(graph).eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            logging.getLogger("executorch").setLevel(logging.ERROR)
            program = torch.export.export(module, examples, strict=False)
            lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    except Exception as error:  # the lowering raises dozens of types of its own
        raise Unsupported(f"executorch: {source.name} cannot be lowered ({str(error)[:300]}).") from error
    packed = bytes(lowered.buffer)
    theirs = _outputs(packed, source)
    return {f"{source.name}.pte": packed}, floats_agree("ExecuTorch", our_floats(source), theirs, source.origin)


def _outputs(program: bytes, source: Source) -> Outputs:
    from executorch.runtime import Runtime

    loaded: Any = Runtime.get().load_program(program)
    method = loaded.load_method("forward")
    found = []
    for sample in source.samples:
        arrays = [torch.from_numpy(array) for array in source.real(sample).values()]
        found.append([result.numpy().copy() for result in method.execute(arrays)])
    return found
