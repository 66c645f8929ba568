"""Draw the arena over time before patching, with patches and with line buffers, from real plans: docs/patches/*.svg.

python docs/patch_pictures.py
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from whole_nets import byte_task, program_graph

from edgesmith import targets, zoo
from edgesmith.compile.patch import parse
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.profile import memory_table
from edgesmith.report.timeline import timeline

FOLDER = Path(__file__).parent / "patches"
NET, BOARD = "resnet8", "nucleo-l4r5zi"
SCHEDULES = {"unpatched": "off", "patches": "3x2@stacks.1.add_1", "lines": "lines:6@stacks.1.add_1"}
STYLE = """<style>
svg { font: 12px sans-serif; background: #fff; }
.grid { stroke: #ddd; } .peak { stroke: #777; stroke-dasharray: 4 4; }
text { fill: #333; } .tick { fill: #777; } .strong { fill: #111; font-weight: bold; }
rect { fill: #cfe0f5; stroke: #5b8bc9; stroke-width: 0.5; }
</style>"""


def picture(schedule: str) -> str:
    """The arena of the net under a schedule."""
    bed = zoo.load(NET)
    graph = program_graph(bed, byte_task(bed), "minmax")
    changed = graph if schedule == "off" else parse(schedule, graph).apply(graph)
    memory = memory_table(bind_for(changed, targets.load(BOARD)).program)
    sys.stderr.write(f"{NET} {schedule}: {memory['arena_bytes']:,} bytes, {len(memory['ops'])} ops\n")
    head, body = str(timeline(memory)).split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{STYLE}{body}\n'


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, schedule in SCHEDULES.items():
        (FOLDER / f"{name}.svg").write_text(picture(schedule), "utf-8")
