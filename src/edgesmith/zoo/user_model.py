"""A model named on the command line: of the zoo, of a user's Python file, or an exported program."""

from pathlib import Path

import torch
from torch import Tensor, nn

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.formats import PerTensor
from edgesmith.data import python_file
from edgesmith.lower import channels_first_input, lift, load_pt2, lower_program
from edgesmith.lower.classical import Classical, is_estimator, read_xgboost
from edgesmith.lower.onnx import lower_onnx
from edgesmith.lower.tflite import lower_tflite, tflite_inputs
from edgesmith.zoo.classical import row_of_zeros
from edgesmith.zoo.entries import entry
from edgesmith.zoo.testbed import load_testbed


def load_user_model(spec: str, trust: bool) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The module, ready to run, and its example inputs; errors as in `zoo.load_model`."""
    if spec.endswith((".onnx", ".tflite")):
        return imported(Path(spec))
    if spec.endswith(".json"):
        return with_zeros(read_xgboost(Path(spec)))
    if spec.endswith(".pt2"):
        module, examples = checked_pair(exported(Path(spec), trust), spec)
    elif python_file.is_python_spec(spec):
        found = python_file.call(spec, trust)
        if is_estimator(found):
            return with_zeros(found)
        module, examples = checked_pair(found, spec)
        module.eval()
    else:
        bed = load_testbed(entry(spec), with_data=False)
        return bed.module, bed.example_inputs
    try:
        with torch.no_grad():
            module(*examples)
    except Exception as error:
        raise BadInput(f"{spec}: the model fails on its own example inputs ({error}). Fix the example.") from error
    return module, examples


def imported(path: Path) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A module that computes what an .onnx or .tflite file does, and example inputs of the types that the file has.

    A float .tflite takes its images channels first, as all modules do; a quantized one keeps the file's layout, for
    it is compiled as it is.

    Raises:
        BadInput, Missing, Unsupported: as `lower_onnx` and `lower_tflite` say.
    """
    graph = lower_onnx(path) if path.suffix == ".onnx" else lower_tflite(path)
    kinds = tflite_inputs(path) if path.suffix == ".tflite" else ["float32"] * len(graph.inputs)
    if not any(isinstance(tensor.format, PerTensor) for tensor in graph.tensors.values()):
        graph = channels_first_input(graph) if path.suffix == ".tflite" else graph
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    examples = tuple(torch.zeros(shape, dtype=getattr(torch, kind)) for shape, kind in zip(shapes, kinds, strict=True))
    return lift(graph), examples


def with_zeros(estimator: object) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A fitted model that is no torch module, in the place of one, and a row of zeros for it."""
    model = Classical(estimator)
    return model, row_of_zeros(model)  # type: ignore[return-value]


def exported(path: Path, trust: bool) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A module that computes what a program saved by torch.export does, any batch size, and its example inputs.

    Raises:
        BadInput: not trusted, or not such a program.
        Missing: no such file.
        Unsupported: an op without a lowering.
    """
    if not path.is_file():
        raise Missing(f"{path}: it is not a file. Check the path.")
    if not trust:
        raise BadInput(
            f"{path}: loading a .pt2 can run any command hidden in it. If you trust it, add --trust (trust=True)."
        )
    program = load_pt2(path, trust)
    if program.example_inputs is None:
        raise BadInput(f"{path}: it holds no example inputs, which give the shapes. Save it again with torch.export.")
    # An exported module refuses other batch sizes and training; the graph lifted back takes them.
    return lift(lower_program(program)), program.example_inputs[0]


def checked_pair(result: object, spec: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """What a user's function returned, as a module and a tuple of example tensors with a batch of 1.

    Raises:
        BadInput: it is something else, or a weight is not finite.
    """
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], nn.Module)):
        raise BadInput(
            f"{spec}: it returned {type(result).__name__}; need (torch.nn.Module, example_inputs), or a "
            "fitted scikit-learn, XGBoost or LightGBM model."
        )
    module, examples = result[0], result[1] if isinstance(result[1], tuple) else (result[1],)
    if not examples or not all(isinstance(example, Tensor) for example in examples):
        raise BadInput(f"{spec}: the example inputs are not tensors; need a tuple of them.")
    if any(example.ndim == 0 or example.shape[0] != 1 or example.numel() == 0 for example in examples):
        shapes = [tuple(example.shape) for example in examples]
        raise BadInput(f"{spec}: the example inputs have shapes {shapes}; need a batch of 1 and no size of zero.")
    for name, weight in module.state_dict().items():
        if weight.is_floating_point() and not bool(weight.isfinite().all()):
            raise BadInput(f"{spec}: {name} holds values that are not finite. Train again, or load other weights.")
    return module, examples
