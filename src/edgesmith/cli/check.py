"""Commands that check: verify an artifact, and the installation."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from edgesmith.cli.options import MODEL_FILES, Data, Folder, Json, Port, Trust
from edgesmith.cli.output import as_json, table, working
from edgesmith.core.errors import VerificationFailed

# Package to the extra that brings it and what it is for.
PARTS = {
    "numpy": ("", "arrays"),
    "safetensors": ("", "weights on disk"),
    "torch": ("fit", "models, training"),
    "scikit-learn": ("fit", "the digits data"),
    "optuna": ("fit", "search"),
    "scipy": ("fit", "calibration"),
    "torch-pruning": ("fit", "structured pruning"),
    "xgboost-cpu": ("classical", "XGBoost models"),
    "lightgbm": ("classical", "LightGBM models"),
    "ziglang": ("firmware", "C compiler for every target"),
    "unicorn": ("firmware", "emulated boards"),
    "pyelftools": ("firmware", "reading linked programs"),
    "capstone": ("firmware", "instruction classes"),
    "wasmtime": ("wasm", "running WebAssembly"),
    "pyserial": ("board", "real boards over a serial port"),
    "stm32loader": ("board", "flashing STM32 over a serial port"),
    "plotly": ("report", "charts of the report"),
    "jinja2": ("report", "the report's page"),
    "onnx": ("onnx", "ONNX models in and out"),
    "onnxruntime": ("onnx", "checking them in their own runtime"),
    "constriction": ("split", "coding what a split net sends"),
    "simpy": ("split", "virtual time"),
    "ai-edge-litert": ("tflite", "checking TensorFlow Lite models, writing them"),
}


# Module to the extra that brings it, where the package has another name.
EXTRA_OF = {
    **{package.replace("-", "_"): extra for package, (extra, _) in PARTS.items() if extra},
    "sklearn": "fit",
    "xgboost": "classical",
    "PIL": "fit",
    "elftools": "firmware",
    "ai_edge_litert": "tflite",
    "google": "onnx",
    "serial": "board",
}


def verify(
    folder: Folder,
    data: Data = None,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Inputs to compare on.")] = 16,
    trust: Trust = False,
    port: Port = None,
    json: Json = False,
) -> None:
    """Hold Python, C here and C on the target against each other; with --port, on a board of yours as well."""
    from edgesmith.pipeline.execute import certify_artifact

    with working("holding the implementations against each other"):
        if folder.suffix in MODEL_FILES:
            from edgesmith.pipeline.imported import verify_model

            relations = verify_model(folder, samples)
        elif port is None:
            relations = certify_artifact(folder, data, samples, trust)
        else:
            from edgesmith.pipeline.onboard import certify_on_board

            relations, _ = certify_on_board(folder, port, data, samples, trust)
    if json:
        as_json([relation.to_json() for relation in relations])
    else:
        marks = {True: "holds", False: "BROKEN", None: "not checked"}
        table(["relation", "", "detail"], [[r.name, marks[r.holds], r.detail] for r in relations])
    broken = [relation for relation in relations if relation.holds is False]
    if broken:
        raise VerificationFailed("; ".join(f"{relation.name}: {relation.detail}" for relation in broken))


def doctor(json: Json = False) -> None:
    """Show what is missing and the command that adds it."""
    from edgesmith.board.tools import INSTALL, find

    found = [(package, *facts, _version(package)) for package, facts in PARTS.items()]
    programs = [(tool, how, find(tool)) for tool, how in INSTALL.items() if tool not in PARTS]
    if json:
        keys = ("package", "extra", "for", "version")
        tools = [(tool, "", "flashing boards", path) for tool, _, path in programs]
        return as_json([dict(zip(keys, row, strict=True)) for row in (*found, *tools)])
    rows = [
        [package, purpose, installed or "missing", "" if installed else f'pip install "edgesmith[{extra}]"']
        for package, extra, purpose, installed in found
    ]
    rows += [
        [tool, "flashing boards; one suffices", path or "missing", "" if path else how] for tool, how, path in programs
    ]
    table(["package", "for", "version", "to add it"], rows)
    return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
