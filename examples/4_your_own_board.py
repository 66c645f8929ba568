"""A board of your own is a TOML file: this one is a Blue Pill with the larger flash chip."""

import tempfile
from pathlib import Path

from edgesmith import targets, zoo
from edgesmith.pipeline.compiling import profile_model

board = (Path(targets.__file__).parent / "boards" / "stm32f103.toml").read_text()
path = Path(tempfile.mkdtemp()) / "bluepill-128k.toml"
path.write_text(board.replace("size_bytes = 65_536", "size_bytes = 131_072"))
mine = targets.load(path)
bed = zoo.load("digits-cnn")
profile = profile_model(bed.module, bed.example_inputs, bed.task, mine, "digits")
print(f"{mine.name}: flash {profile.flash.value:,.0f} of {mine.flash_bytes:,} bytes, {profile.latency}")
