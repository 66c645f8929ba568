"""XNNPACK through ExecuTorch's Python runtime: float32, and int8 as its own quantizer makes it."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesmith.core.task import Task

Caller = Callable[[], Any]


def callers(module: nn.Module, task: Task, threads: int) -> dict[str, Caller]:
    """One inference each of "xnnpack_int8" and "xnnpack_float" on the first validation input."""
    from executorch.extension.pybindings import portable_lib

    portable_lib._unsafe_reset_threadpool(threads)
    x = _tensor(task, task.validation.inputs[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        programs = {
            "xnnpack_int8": _program(torch.export.export(_quantized(module, task, x), (x,))),
            "xnnpack_float": _program(torch.export.export(module.eval(), (x,))),
        }
    return {name: _caller(program, x) for name, program in programs.items()}


def _tensor(task: Task, inputs: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(task.normalize(inputs).astype(np.float32))


def _quantized(module: nn.Module, task: Task, x: torch.Tensor) -> nn.Module:
    """Per channel, static, calibrated on the same inputs as the others."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(module.eval(), (x,)).module(), quantizer)
    for row in task.calibration.inputs:
        prepared(_tensor(task, row[None]))
    return convert_pt2e(prepared)


def _program(exported: torch.export.ExportedProgram) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    return lowered.to_executorch().buffer


def _caller(program: bytes, x: torch.Tensor) -> Caller:
    from executorch.runtime import Runtime

    loaded = Runtime.get().load_program(program)
    method = loaded.load_method("forward")

    def call(held: object = loaded) -> np.ndarray:  # the method reads the program
        return method.execute([x])[0].numpy()

    return call
