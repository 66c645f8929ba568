"""Run a firmware on an emulated Cortex-M: outputs, instructions by class, stack, faults."""

from edgesmith.emulate.emulator import Call, EmulationFault, Emulator

__all__ = ["Call", "EmulationFault", "Emulator"]
