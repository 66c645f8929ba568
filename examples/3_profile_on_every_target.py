"""What a net costs on every target, before any work on it."""

from edgesmith import targets, zoo
from edgesmith.pipeline.compiling import profile_model

bed = zoo.load("resnet8")
for name in targets.names():
    board = targets.load(name)
    profile = profile_model(bed.module, bed.example_inputs, bed.task, board, "resnet8", measure=False)
    print(f"{name:15} {profile.latency.value:10.2f} ms   {profile.ram.value / 1024:6.1f} KB RAM")
