"""Check the cycle models against published MLPerf Tiny results, and fit their one free parameter.

    python benchmarks/cycle_model.py

What is fitted: `fetch_stall`, one number per board. What is not: cycles per class (Arm's tables) and `dual_issue`.

Cortex-M4. CMSIS-NN's instructions per multiply-accumulate, counted on the emulated M4 (gcc -Ofast), times the cycles
per instruction of its inner scheme (cycle_model.c, counted here), against the cycles published for TVM with CMSIS-NN on
the NUCLEO-L4R5ZI. Three nets: fitted on all, and each held out in turn. The builds differ (the published one is
Zephyr's), so the error holds both the model's and the build's.

Other cores. The same software was published for the L4R5ZI and for another board: the ratio of their cycles needs no
instruction counts. `fetch_stall` is fitted so that the model gives the published ratio; each net is held out in turn.

Autoencoder. CMSIS-NN's fully connected scheme, written in cycle_model.c and counted here, with the fitted stall: a
prediction from code, compared with each published software although their code differs from it.

Energy. Power of the L4R5ZI is the mean over eight published runs; its error is that of the worst of them.
"""

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stamp import commit

from edgesmith.core.atomic import write_file
from edgesmith.emulate import Emulator, cycles, instructions
from edgesmith.targets import load
from edgesmith.toolchain import compile_firmware

RESULTS = Path(__file__).parent / "results" / "cycle_model.json"
SCHEME = Path(__file__).with_suffix(".c")
EXPORTS = ("convolve", "autoencoder", "matrix", "vector", "biases", "multiplier")
PAIRS = 4  # pixels of the scheme that are run, by two
ROOT = "mlcommons/tiny_results_v1.0/closed"
MACS = {"resnet8": 12_501_632, "ds-cnn": 2_656_768, "mobilenet-v1-025": 7_489_664}
CMSIS_NN = {"resnet8": 2.15, "ds-cnn": 2.9, "mobilenet-v1-025": 3.73}  # instructions per multiply-accumulate

# Median inferences per second of performance/results.txt, or energy/results.txt for STMicroelectronics.
RATES: dict[str, dict[str, Any]] = {
    "OctoML NUCLEO_L4R5ZI": {
        "source": f"{ROOT}/OctoML/results/microtvm_cmsis_nn/NUCLEO_L4R5ZI", "clock_hz": 120e6,
        "resnet8": 2.567, "ds-cnn": 10.019, "mobilenet-v1-025": 3.320, "autoencoder": 116.212,
    },
    "OctoML NRF5340-DK": {
        "source": f"{ROOT}/OctoML/results/microtvm_cmsis_nn/NRF5340-DK", "clock_hz": 128e6,
        "resnet8": 3.163, "ds-cnn": 13.143, "mobilenet-v1-025": 4.310, "autoencoder": 159.579,
    },
    "ST NUCLEO_L4R5ZI": {
        "source": f"{ROOT}/STMicroelectronics/results/NUCLEO_L4R5ZI", "clock_hz": 120e6,
        "resnet8": 4.409, "ds-cnn": 13.314, "mobilenet-v1-025": 4.427, "autoencoder": 132.077,
    },
    "ST NUCLEO-H7A3ZI-Q": {
        "source": f"{ROOT}/STMicroelectronics/results/NUCLEO-H7A3ZI-Q", "clock_hz": 280e6,
        "resnet8": 18.443, "ds-cnn": 59.782, "mobilenet-v1-025": 19.749, "autoencoder": 548.697,
    },
    "Plumerai NUCLEO_L4R5ZI": {
        "source": f"{ROOT}/plumerai/results/NUCLEO_L4R5ZI", "clock_hz": 120e6,
        "resnet8": 5.775, "ds-cnn": 13.955, "mobilenet-v1-025": 4.795, "autoencoder": 179.448,
    },
    "Plumerai DISCO_F746NG": {
        "source": f"{ROOT}/plumerai/results/DISCO_F746NG", "clock_hz": 216e6,
        "resnet8": 15.440, "ds-cnn": 52.288, "mobilenet-v1-025": 17.535, "autoencoder": 435.741,
    },
}  # fmt: skip
# Our target: the published board, and the L4R5ZI run of the same software.
TWINS = {
    "nrf5340": ("OctoML NRF5340-DK", "OctoML NUCLEO_L4R5ZI"),
    "stm32h743": ("ST NUCLEO-H7A3ZI-Q", "ST NUCLEO_L4R5ZI"),
    "stm32f746": ("Plumerai DISCO_F746NG", "Plumerai NUCLEO_L4R5ZI"),
}
PUBLISHED_AS = {"nucleo-l4r5zi": "NUCLEO_L4R5ZI", "nrf5340": "NRF5340-DK", "stm32f746": "DISCO_F746NG"}
# Median energy per inference over the energy runs' time per inference, in milliwatts.
POWER_MW = {
    "OctoML resnet8": 51.93, "OctoML ds-cnn": 52.28, "OctoML mobilenet-v1-025": 51.98, "OctoML autoencoder": 51.50,
    "ST resnet8": 47.10, "ST ds-cnn": 44.89, "ST mobilenet-v1-025": 44.58, "ST autoencoder": 42.65,
}  # fmt: skip


def run_scheme(board: str, function: str, *arguments: int) -> dict[str, int]:
    """Class counts of a function of cycle_model.c on an emulated board."""
    target = load(board)
    with tempfile.TemporaryDirectory() as folder:
        firmware = compile_firmware([SCHEME], [], target, Path(folder) / "scheme.elf", exports=EXPORTS)
        with Emulator(firmware, target) as running:
            return running.call(function, *arguments).classes


def scheme_cpi(board: str) -> float:
    """Cycles per instruction of the convolution's scheme, without fetch stalls."""
    target, counts = load(board), run_scheme(board, "convolve", PAIRS)
    return cycles(target, counts) / instructions(counts) - target.cycle_model.fetch_stall


def autoencoder(board: str, stall: float) -> dict[str, Any]:
    """The fully connected scheme, which took no part in any fit, against every published run on the board."""
    target, counts = load(board), run_scheme(board, "autoencoder")
    model = replace(target.cycle_model, fetch_stall=stall)
    predicted = cycles(replace(target, cycle_model=model), counts)
    runs = [run for run in RATES if run.split()[1] == PUBLISHED_AS[board]]
    return {
        "predicted_cycles": round(predicted),
        "instructions": round(instructions(counts)),
        "relative_to_published": {run: round(predicted / board_cycles(run, "autoencoder") - 1, 4) for run in runs},
    }


def middle(values: Sequence[float]) -> float:
    """The value whose largest relative distance to `values` is smallest: 2ab / (a + b) of the extremes."""
    low, high = min(values), max(values)
    return 2 * low * high / (low + high)


def held_out(values: Mapping[str, float]) -> dict[str, float]:
    """Relative error at each name when the middle is taken of the others."""
    return {
        name: round(middle([v for other, v in values.items() if other != name]) / value - 1, 4)
        for name, value in values.items()
    }


def board_cycles(run: str, net: str) -> float:
    """Published cycles of one inference."""
    return RATES[run]["clock_hz"] / RATES[run][net]


def cortex_m4() -> dict[str, Any]:
    """Cycles per CMSIS-NN instruction on the L4R5ZI, and the stall that explains them."""
    published = {net: board_cycles("OctoML NUCLEO_L4R5ZI", net) / (MACS[net] * CMSIS_NN[net]) for net in CMSIS_NN}
    scheme, errors = scheme_cpi("nucleo-l4r5zi"), held_out(published)
    return {
        "source": RATES["OctoML NUCLEO_L4R5ZI"]["source"],
        "published_cycles_per_instruction": {net: round(value, 3) for net, value in published.items()},
        "scheme_cycles_per_instruction": round(scheme, 3),
        "fitted": {"fetch_stall": round(middle(list(published.values())) - scheme, 3)},
        "errors_fitted_on_all": {
            net: round(middle(list(published.values())) / v - 1, 4) for net, v in published.items()
        },
        "errors_held_out": errors,
        "error": round(max(map(abs, errors.values())), 2),
        "goal": 0.15,
    }


def other_core(board: str, m4: Mapping[str, Any]) -> dict[str, Any]:
    """The stall that gives the published ratio to the M4, and the error of both steps together."""
    run, twin = TWINS[board]
    nets = [net for net in RATES[run] if net not in ("source", "clock_hz")]
    ratios = {net: board_cycles(run, net) / board_cycles(twin, net) for net in nets}
    scheme, errors = scheme_cpi(board), held_out(ratios)
    m4_cpi = m4["scheme_cycles_per_instruction"] + m4["fitted"]["fetch_stall"]
    worst = max(map(abs, errors.values()))
    return {
        "source": [RATES[run]["source"], RATES[twin]["source"]],
        "published_cycles_relative_to_m4": {net: round(value, 3) for net, value in ratios.items()},
        "scheme_cycles_per_instruction": round(scheme, 3),
        "fitted": {"fetch_stall": round(max(0.0, middle(list(ratios.values())) * m4_cpi - scheme), 3)},
        "ratio_errors_held_out": errors,
        "error": round((1 + worst) * (1 + m4["error"]) - 1, 2),
    }


def power() -> dict[str, Any]:
    """Mean active power of the L4R5ZI and the worst relative error of using it."""
    mean = sum(POWER_MW.values()) / len(POWER_MW)
    errors = {name: round(mean / value - 1, 4) for name, value in POWER_MW.items()}
    return {
        "source": f"{ROOT}/(OctoML/results/microtvm_cmsis_nn|STMicroelectronics/results)/NUCLEO_L4R5ZI/*/energy",
        "published_mw": POWER_MW,
        "fitted": {"active_mw": round(mean, 1)},
        "errors": errors,
        "error": round(max(map(abs, errors.values())), 2),
        "goal": 0.20,
    }


def agreement(found: Mapping[str, Any]) -> dict[str, bool]:
    """Whether the boards' files hold what was fitted here."""
    return {
        board: abs(load(board).cycle_model.fetch_stall - entry["fitted"]["fetch_stall"]) < 0.006
        and load(board).cycle_model.error == entry["error"]
        for board, entry in found.items()
    }


def main() -> None:
    """Fit, compare, write."""
    m4 = cortex_m4()
    boards = {"nucleo-l4r5zi": m4, **{board: other_core(board, m4) for board in TWINS}}
    for board in PUBLISHED_AS:
        boards[board]["autoencoder_never_fitted"] = autoencoder(board, boards[board]["fitted"]["fetch_stall"])
    document = {
        "method": (__doc__ or "").split("\n\n", 2)[2],
        "boards": boards,
        "power": power(),
        "target_files_agree": agreement(boards),
        "not_checked": "stm32f103 (M3) and rp2040 (M0+): no published run with known instruction counts was found",
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
    }
    write_file(RESULTS, (json.dumps(document, indent=1) + "\n").encode())
    for board, entry in boards.items():
        print(f"{board:16} fetch_stall {entry['fitted']['fetch_stall']:.3f}, error {entry['error']:.0%}")
    print(f"power {document['power']['fitted']['active_mw']} mW, error {document['power']['error']:.0%}")
    print("target files agree:", document["target_files_agree"])


if __name__ == "__main__":
    main()
