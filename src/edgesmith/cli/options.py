"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run the code of a .py or .pt2 file you give.")]
TargetName = Annotated[str, typer.Option("--target", help="A board's name (see: edgesmith targets) or a .toml file.")]
ModelSpec = Annotated[str, typer.Argument(help="A zoo name, file.py:function, or a .pt2 file.")]
Data = Annotated[str | None, typer.Option("--data", help="A data set's name, .npz, .csv, folder, or file.py:function.")]
Folder = Annotated[Path, typer.Argument(help="A folder made by edgesmith compile or fit.")]
