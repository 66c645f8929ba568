"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

MODEL_FILES = (".onnx", ".tflite")  # of other frameworks; data alone, so they need no trust

MODEL = (
    "A net of the zoo, file.py:function, a folder of edgesmith compress, or a .onnx, .tflite, .pt2 or "
    "XGBoost .json file"
)
ARTIFACT = "A folder made by edgesmith compile, or best/ of edgesmith fit"
TARGET = "A board (see: edgesmith targets) or a .toml file of yours."

ModelSpec = Annotated[str, typer.Argument(help=f"{MODEL}.", show_default=False)]
ModelOrArtifact = Annotated[
    str, typer.Argument(help=f"{MODEL}; with --port, the folder of an artifact.", show_default=False)
]
Folder = Annotated[Path, typer.Argument(help=f"{ARTIFACT}; or a .onnx or .tflite file.")]
ArtifactFolder = Annotated[Path, typer.Argument(help=f"{ARTIFACT}.")]
TargetName = Annotated[str, typer.Option("--target", metavar="NAME", help=TARGET)]
TargetUnlessPort = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help=f"{TARGET} Not needed with --port.")
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
Repeats = Annotated[int, typer.Option(min=1, metavar="N", help="Timed runs on the board, with --port.")]
Accelerator = Annotated[
    str,
    typer.Option("--accelerator", metavar="DEVICE", help="What trains and solves: cpu or cuda."),
]
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
