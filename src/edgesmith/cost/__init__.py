"""What a bound program will cost on its target, before anything is linked or run.

Arena, state block and constants are exact. Code is linked once per set of kernels and kept. Instructions come from
tables that were measured on emulated Cortex-M boards (kernels/costs), cycles from the target's model, the rest from
those; other targets are predicted by cycles per multiply-accumulate, roughly.
"""

from edgesmith.cost.memory import flash_bytes, static_ram_bytes
from edgesmith.cost.ops import OpCost, has_tables, op_costs
from edgesmith.cost.totals import totals

__all__ = ["OpCost", "flash_bytes", "has_tables", "op_costs", "static_ram_bytes", "totals"]
