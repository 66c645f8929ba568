"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

MODEL_FILES = (".onnx", ".tflite")  # of other frameworks; data alone, so they need no trust

ModelSpec = Annotated[
    str,
    typer.Argument(
        help="A net of the zoo, file.py:function, or a .onnx, .tflite, .pt2 or XGBoost .json file.", show_default=False
    ),
]
Folder = Annotated[
    Path,
    typer.Argument(help="A folder made by edgesmith compile, or best/ of edgesmith fit; or a .onnx or .tflite file."),
]
TargetName = Annotated[
    str, typer.Option("--target", metavar="NAME", help="A board (see: edgesmith targets) or a .toml file of yours.")
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="A data set's name, .npz, .csv, a folder, or file.py:function."),
]
Precision = Annotated[str, typer.Option(metavar="TYPE", help="int8 (a classical model: fixed point) or float32.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run the code of the .py or .pt2 file you give.")]
Jobs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Candidates side by side. Default: one a core.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]
Port = Annotated[
    str | None, typer.Option("--port", metavar="PORT", help="A board's serial port, such as /dev/ttyUSB0 or COM3.")
]
Repeats = Annotated[int, typer.Option(min=1, metavar="N", help="Runs of a timing on a board.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Patch = Annotated[
    str,
    typer.Option(
        metavar="SCHEDULE",
        help="auto, off, or a schedule of the first layers: 4x4@LAYER (patches), lines:28@LAYER (line buffers).",
    ),
]
MaxRam = Annotated[
    str | None, typer.Option("--max-ram", metavar="SIZE", help='Such as "20KB". Default: the board\'s own.')
]
