"""Models out, in the formats of other runtimes and build systems, each checked before it is handed over."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput, VerificationFailed
from edgesmith.export.source import Source, from_artifact, from_model
from edgesmith.pipeline.verify import Relation

__all__ = ["FORMATS", "Exported", "Source", "export", "from_artifact", "from_model"]

# Name on the command line to the module and function that make it.
FORMATS: Mapping[str, tuple[str, str]] = {
    "onnx": ("onnx", "onnx_float"),
    "onnx-int8": ("onnx", "onnx_int8"),
    "executorch": ("executorch", "executorch"),
    "tflite": ("tflite", "tflite"),
    "arduino": ("arduino", "arduino"),
    "zephyr": ("zephyr", "zephyr"),
    "esp-idf": ("esp_idf", "esp_idf"),
}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: in the order they were made.
        relation: what was found when it was checked.
    """

    files: tuple[Path, ...]
    relation: Relation


def export(source: Source, to: str, out: Path) -> Exported:
    """Make a model in another format, check it, and write it.

    Args:
        source: from `from_artifact` or `from_model`.
        to: a key of FORMATS.
        out: the folder; files of the same names in it are replaced.

    Raises:
        BadInput: no such format, or the folder cannot be written.
        Unsupported: an op has no form there, or the format needs what the source has not.
        Missing: the format's package is not installed.
        VerificationFailed: its own runtime gives other outputs; nothing was written.
    """
    if to not in FORMATS:
        raise BadInput(f"export: there is no format {to!r}; need one of {', '.join(FORMATS)}.")
    module, function = FORMATS[to]
    files, relation = getattr(import_module(f"edgesmith.export.{module}"), function)(source)
    if relation.holds is not True:
        raise VerificationFailed(f"export: {source.name} as {to} drifts: {relation.detail}. Nothing was written.")
    for name, content in files.items():
        write_file(out / name, content)
    return Exported(tuple(out / name for name in files), relation)
