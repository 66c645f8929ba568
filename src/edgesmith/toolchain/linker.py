"""The linker script of a board: its memories exactly, vector table first, stack at the top of RAM.

A process has no memories of its own: it is linked at fixed addresses, and its stack ends where it needs no more.
"""

from collections.abc import Sequence

from edgesmith.core.target import Memory

PAGE_BYTES = 4096
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
  .stack (NOLOAD) : {{ _stack_limit = .; . = . + {stack_bytes}; {stack_end}}} > ram
  _estack = {stack_top};
  /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) *(.comment) }}
}}
"""


def linker_script(flash: Memory, ram: Memory, stack_bytes: int, exports: Sequence[str], process: bool = False) -> str:
    """A script that fails to link when code, constants, data and `stack_bytes` of stack exceed the memories.

    Args:
        exports: symbols kept although nothing refers to them.
        process: end the stack at the next page instead of at the end of RAM.
    """
    kept = "".join(f"EXTERN({name})\n" for name in exports)
    end = f". = ALIGN({PAGE_BYTES}); " if process else ""
    top = "ADDR(.stack) + SIZEOF(.stack)" if process else "ORIGIN(ram) + LENGTH(ram)"
    return SCRIPT.format(flash=flash, ram=ram, stack_bytes=stack_bytes, exports=kept, stack_end=end, stack_top=top)
