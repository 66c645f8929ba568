"""A detector over bad Wi-Fi: plan the cut, serve the tail, ask over a shaped link, lose the server, go on.

With EDGESMITH_DATA set it is the detector of the zoo, else a small classifier stands in; all of it runs on one machine.
See docs/split-computing.md.
"""

import os
import tempfile
from pathlib import Path

from edgesmith import zoo
from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.serve.access import Access
from edgesmith.collaborate.serve.background import Background
from edgesmith.collaborate.serve.batches import one_by_one
from edgesmith.collaborate.serve.server import Server
from edgesmith.collaborate.serve.transport import Remote
from edgesmith.pipeline.offloading import Traffic, offload
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.pipeline.serving import load_served
from edgesmith.pipeline.split_document import Plan, write
from edgesmith.pipeline.splitting import Wish, options, setting
from edgesmith.targets import load

bed = zoo.load("scenes-detector" if os.environ.get("EDGESMITH_DATA") else "digits-resnet")
graph = programs(bed.module, bed.example_inputs, bed.task, "net", Numbers("int8")).compiled
bad_wifi = links.load("wifi-bad")

for board in ("raspberry-pi-4", "nucleo-l4r5zi"):
    made = setting(graph, bed.task, load(board), load("x86-64"))
    for name in ("wifi-bad", "wifi", "ethernet"):
        best = next(option for option in options(made, links.load(name), Wish()) if option.chosen)
        print(f"{board:15} over {name:9} {best.figures.latency_ms:8.2f} ms  {best.how}")

# A Pi answers such a net itself sooner than bad Wi-Fi brings it anywhere. The small board's best cut is run below.
cuts = [option for option in options(made, bad_wifi, Wish("bytes")) if option.place == "split"]
smallest = min(cuts, key=lambda option: option.figures.up_bytes)
chosen = type(smallest)(**{**vars(smallest), "chosen": True})
with tempfile.TemporaryDirectory() as folder, Background() as background:
    plan = Path(folder) / "plan"
    write(Plan(made, Wish(), [bad_wifi], [chosen]), plan)
    served = load_served(plan)
    server = Server(served.model, one_by_one(served.infer), Access())
    remote = Remote("127.0.0.1", background.run(server.start()).port)

    asked = offload(plan, bed.task, remote, Traffic(deadline_ms=250.0, requests=40), bad_wifi)
    median = asked.ledger.summary()["columns"]["total_ms"]["p50"]
    beyond = chosen.figures.latency_ms - chosen.figures.device_ms
    print(f"\n{chosen.how}: {beyond:.0f} ms planned beyond the device, {median:.0f} ms measured here", asked.quality)

    background.run(server.stop(0))
    asked = offload(plan, bed.task, remote, Traffic(deadline_ms=250.0, requests=40), bad_wifi)
    print("the server is gone:", asked.ledger.places(), f"{asked.ledger.summary()['in_time']} of 40 in time")
