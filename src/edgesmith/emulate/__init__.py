"""Run a program on an emulated core: outputs, instructions by class, stack, faults, modelled cycles."""

from edgesmith.emulate.cost import cycles, energy, instructions, latency, predict
from edgesmith.emulate.emulator import Call, EmulationFault, Emulator

__all__ = ["Call", "EmulationFault", "Emulator", "cycles", "energy", "instructions", "latency", "predict"]
