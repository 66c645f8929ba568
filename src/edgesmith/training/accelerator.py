"""Where tensors are worked on."""

from typing import Literal

import torch

from edgesmith.core.errors import BadInput, Missing

Accelerator = Literal["cpu", "cuda"]


def named(text: str) -> Accelerator:
    """The accelerator of that name; errors as in `device_of`."""
    device_of(text)  # type: ignore[arg-type]
    return text  # type: ignore[return-value]


def device_of(accelerator: Accelerator) -> torch.device:
    """The torch device of that name.

    Raises:
        BadInput: neither "cpu" nor "cuda".
        Missing: no CUDA device here.
    """
    if accelerator not in ("cpu", "cuda"):
        raise BadInput(f"accelerator is {accelerator!r}; need cpu or cuda.")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise Missing("torch sees no CUDA device here; need one for accelerator cuda. Use cpu.")
    return torch.device(accelerator)


def fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself; one that does not trains 8 times slower in it (our measurement)."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def device_under(module: torch.nn.Module) -> torch.device:
    """The device that a module's tensors lie on; the CPU for one without."""
    tensors = (*module.parameters(), *module.buffers())
    return tensors[0].device if tensors else torch.device("cpu")
