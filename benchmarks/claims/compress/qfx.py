"""QFX's claims (arXiv:2401.17544): 4 to 6 bits above rounding, C equal to the module, layers without multiplications.

fashion-resnet20 and fashion-vit with their shipped weights; three seeds, each of the training in fixed point (1,024
images once, in batches of 32). Batch norms stay layers of their own. Accuracy is that of the module on 1,000 test
images, which the compiled C is compared with output by output (on all of them, at 4 bits). Rounding is that of the same
fixed point without training, and `ptq` with affine formats and scales per channel, batch norms folded. Criteria, fixed
before the run: the trained net above the better of the two, at 4 and at 6 bits; every output of C equal to the
module's, and on digits-resnet over the whole test split; there too, weights of two powers of two within a point of any
weights of 4 bits, and no multiplication in convolutions, linear layers, batch norms, means and sums of the linked
program. A first run, begun at four times this rate, lost to rounding at 4 bits; the rate was lowered, no criterion.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compile.shift_add import shift_add
from edgesmith.compress.quantize import ptq, qfx
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task
from edgesmith.emulate.multiplications import multiplications
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.build import bind_for, firmware, native
from edgesmith.pipeline.realize import outputs_of
from edgesmith.training.evaluate import evaluate_raw, predict_raw
from edgesmith.training.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import compared, record

SEEDS = (0, 1, 2)
MOVING = ("es_lookup", "es_strided_copy")  # take in the picture, enlarge it
BITS = (4, 6)
TUNE = Recipe(epochs=1, batch=32, learning_rate=5e-4, weight_decay=1e-4, train_samples=1024)
CALIBRATE, TEST = 256, 1000
BOARD = "nucleo-l4r5zi"
NETS = ("fashion-resnet20", "fashion-vit")
SHORT = (
    "no cause established: at 6 bits rounding is already close to float, and this short training (32 steps) did not "
    "pass it; fashion-vit fell below its own start in fixed point (0.892)"
)
FORMS = (
    "softmax, GELU and layer norm are integer forms, which the module computes in floats: outputs differ by steps; "
    "untrained, C and module name the same class for 96% (4 bits) and 99% (6 bits) of 1,000 images"
)

Series = dict[str, list[float]]


def shortened(task: Task) -> Task:
    """Fewer samples to calibrate and test on."""
    calibration, test = (Split(part.inputs[:count], part.labels[:count])
                         for part, count in ((task.calibration, CALIBRATE), (task.test, TEST)))  # fmt: skip
    return replace(task, calibration=calibration, test=test)


def program(module: torch.nn.Module) -> Graph:
    """The integer program."""
    return channels_last_input(integerize(module.to_graph()))


def equal(module: torch.nn.Module, graph: Graph, inputs: np.ndarray) -> float:
    """The share of outputs that C gives as the module does."""
    return float((outputs_of(native(graph), graph, inputs) == predict_raw(module, inputs)).mean())


def measured(net: str) -> Series:
    """One value a seed, by what was measured."""
    bed = zoo.load(net)
    task, found = shortened(bed.task), {}
    for bits in BITS:
        plain = evaluate_raw(ptq(weights=bits, activations=bits)(bed.module, task), task, task.test)
        fixed = evaluate_raw(qfx(bits, bits, recipe=None)(bed.module, task), task, task.test)
        found[f"rounded{bits}"] = [max(plain, fixed)] * len(SEEDS)
        for seed in SEEDS:
            module = qfx(bits, bits, recipe=TUNE, seed=seed)(bed.module, task)
            found.setdefault(f"trained{bits}", []).append(evaluate_raw(module, task, task.test))
            if bits == BITS[0]:
                found.setdefault("equal", []).append(equal(module, program(module), task.test.inputs))
            print(net, bits, seed, plain, fixed, {name: values[-1] for name, values in found.items()}, flush=True)
    return found


def without_products() -> Series:
    """On digits-resnet: any weights of 4 bits against sums of two powers of two, and the linked program."""
    bed, found = zoo.load("digits-resnet"), {}
    for seed in SEEDS:
        for name, terms in (("any", 0), ("sums", 2)):
            module = qfx(4, 4, terms=terms, recipe=TUNE, seed=seed)(bed.module, bed.task)
            found.setdefault(name, []).append(evaluate_raw(module, bed.task, bed.task.test))
        graph = shift_add(program(module))
        found.setdefault("equal", []).append(equal(module, graph, bed.task.test.inputs))
        for name, other in (("multiplying", program(module)), ("left", graph)):
            with tempfile.TemporaryDirectory() as folder:
                by_function = multiplications(firmware(bind_for(other, targets.load(BOARD)), Path(folder), roomy=True))
            print(name, by_function)
            found.setdefault(name, []).append(float(sum(by_function.values())))
            layers = sum(count for function, count in by_function.items() if function not in MOVING)
            found.setdefault(f"{name}_layers", []).append(float(layers))
        print("digits-resnet", seed, {name: values[-1] for name, values in found.items()}, flush=True)
    return found


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    free, findings = without_products(), []
    ones = [1.0] * len(SEEDS)
    for net in NETS:
        found = measured(net)
        for bits in BITS:
            findings.append(
                compared(f"above rounding after training, {net}, {bits} bits", "higher than PTQ (abstract, CIFAR-10)",
                         "test accuracy", "above", found[f"rounded{bits}"], found[f"trained{bits}"],
                         lambda base, ours: ours > base, SHORT)
            )  # fmt: skip
        findings.append(
            compared(f"C gives what the module gives, {net}", "the same numerical results (abstract)",
                     "share of outputs", "all", ones, found["equal"], lambda base, ours: ours == base, FORMS)
        )  # fmt: skip
    findings += [
        compared("C gives what the module gives, digits-resnet without multiplications, whole test split",
                 "the same numerical results (abstract)", "share of outputs", "all", ones, free["equal"],
                 lambda base, ours: ours == base),
        compared("weights of two powers of two beside any of 4 bits, digits-resnet", "efficacy on FracBNN (abstract)",
                 "test accuracy", "at most a point below", free["any"], free["sums"],
                 lambda base, ours: ours >= base - 0.01, SHORT),
        compared("multiply instructions in layers of the linked program", "no DSP blocks", "instructions", "none",
                 free["multiplying_layers"], free["left_layers"], lambda _, ours: ours == 0),
        compared("multiply instructions in the whole program", "no DSP blocks", "instructions", "none",
                 free["multiplying"], free["left"], lambda _, ours: ours == 0,
                 "address arithmetic of the lookup that takes in the picture and of data movement"),
    ]  # fmt: skip
    record("qfx", 5, findings, ["CIFAR-10, ImageNet", "FPGA, HLS, DSP blocks", "training from scratch"], begin)


if __name__ == "__main__":
    main()
