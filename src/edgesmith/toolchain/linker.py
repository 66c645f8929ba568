"""The linker script of a board: its memories exactly, vector table first, stack at the top of RAM."""

from collections.abc import Sequence

from edgesmith.core.target import Memory

SCRIPT = """\
MEMORY {{
  flash (rx) : ORIGIN = {flash.origin:#x}, LENGTH = {flash.size_bytes}
  ram (rwx) : ORIGIN = {ram.origin:#x}, LENGTH = {ram.size_bytes}
}}
ENTRY(Reset_Handler)
{exports}SECTIONS {{
  .vectors : {{ KEEP(*(.boot2)) KEEP(*(.vectors)) }} > flash
  .text : {{ *(.text .text.*) . = ALIGN(4); }} > flash
  .rodata : {{ . = ALIGN(16); *(.rodata .rodata.* .srodata .srodata.*) . = ALIGN(4); }} > flash
  .data : {{
    . = ALIGN(16); _sdata = .; *(.data .data.* .sdata .sdata.*) . = ALIGN(4); _edata = .;
  }} > ram AT > flash
  _sidata = LOADADDR(.data);
  .bss (NOLOAD) : {{
    . = ALIGN(16); _sbss = .; *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(8); _ebss = .;
  }} > ram
  .stack (NOLOAD) : {{ _stack_limit = .; . = . + {stack_bytes}; }} > ram
  _estack = ORIGIN(ram) + LENGTH(ram);
  /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) *(.comment) }}
}}
"""


def linker_script(flash: Memory, ram: Memory, stack_bytes: int, exports: Sequence[str]) -> str:
    """A script that fails to link when code, constants, data and `stack_bytes` of stack exceed the memories.

    Args:
        exports: symbols kept although nothing refers to them.
    """
    kept = "".join(f"EXTERN({name})\n" for name in exports)
    return SCRIPT.format(flash=flash, ram=ram, stack_bytes=stack_bytes, exports=kept)
