"""Write the sections "Cortex-M" and "x86-64" of docs/speed.md from benchmarks/results; a test checks them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "speed.md"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
PEERS = {
    "onnxruntime_int8": "ONNX Runtime int8",
    "xnnpack_int8": "XNNPACK int8",
    "onnxruntime_float": "ONNX Runtime float32",
    "xnnpack_float": "XNNPACK float32",
}
BRACKETS = "in brackets the median over the turns of our time over theirs in the same turn"
THREADS = {"1": "one thread", "2": "two threads"}
CYCLES_PER_MAC = 0.5  # SMLAD: two a cycle, if nothing else were executed
CORES = {
    "cortex-m4": "M4",
    "cortex-m7": "M7",
    "cortex-m33": "M33",
    "cortex-m3": "M3",
    "cortex-m0+": "M0+",
}
LAYERS = (
    ("ds-cnn", "stem"),
    ("ds-cnn", "block 0 depthwise"),
    ("ds-cnn", "block 0 pointwise"),
    ("resnet8", "block 0 first"),
    ("mobilenet-v1-025", "stem"),
    ("mobilenet-v1-025", "block 6 depthwise"),
    ("mobilenet-v1-025", "block 6 pointwise"),
)
HEADS = [
    "net",
    "instructions per MAC",
    "CMSIS-NN",
    "ours over it",
    "estimated cycles per MAC",
    "best published cycles per MAC",
    "of the peak",
]
CORTEX_M = """\
## Cortex-M

Whole int8 nets on the emulated Cortex-M4 of the NUCLEO-L4R5ZI, each program held against numpy byte for byte
(`python benchmarks/whole_nets.py --only board`, [`whole_nets.json`](../benchmarks/results/whole_nets.json)). CMSIS-NN
was built with gcc -Ofast and counted on the same emulated core. Cycles are *estimated*, with the error that the target
states; the best published figures beside them are the project's own yardstick, measured on boards; which boards, and
where they were published, is not recorded (*unverified*). The peak is two multiply-accumulates a cycle.
"""
CORTEX_M_END = """
By instructions ours is ahead on every net; by our own estimate of cycles the best published programs are. Where the
instructions go: a SMLAD makes two channels at once from weights packed as a + 256 b, so a long dot product takes 0.75
to 0.8; short ones, first layers of three channels and depthwise layers spend as many again on gathering and
on scaling their sums. Cores without DSP instructions run plain C with the same packing.

Instructions per multiply-accumulate of single layers (`python benchmarks/kernels/cortex_m.py`):
"""
WIDTHS = ("8", "4", "2")
PACKED = """
Weights of four and two bits stay packed in flash ([numbers](numbers.md#packed-weights)) and give the bytes of the int8
op. Instructions per multiply-accumulate on the Cortex-M4, and bytes of the layer's weights:
"""
LEAD = """\
## x86-64

One library serves every x86-64: convolutions, linear and depthwise layers and what stands between them have a body for
AVX-512 VNNI, one for AVX2 and one for neither, and ask the processor when they first run. All are bit-equal to the
reference. The C offers `NAME_threads(n)` where it is built with `EDGESMITH_THREADS`, and `edgesmith run --threads`
uses it; outputs are the same whatever the number.

What makes it fast: windows are read where they lie in a padded strip of the image, which stays in the first cache;
activations become x + 128 in that copy, so that `vpdpbusd` takes them as they are, and -128 * sum(w) comes with the
packed weights; a depthwise layer interleaves four taps to a 32-bit lane; sums become outputs in 32-bit words (the
high-word form of [numbers](numbers.md)), four rows packed together.

The machine has two cores and was not idle; that hardly touches the fastest of five short calls, but interrupts calls
of several milliseconds: the last column compares the fastest call of all turns. A second thread seldom found a core
free: the figures of two threads show that waiting for one costs little, not what a free one gains.
"""


def page() -> str:
    """The whole page with its sections as the results have them."""
    text = PAGE.read_text("utf-8")
    for name, section in (("Cortex-M", cortex_m()), ("x86-64", x86())):
        text = replaced(text, name, section)
    return text.rstrip() + "\n"


def replaced(text: str, name: str, section: str) -> str:
    """The page with one of its sections made anew, behind all others if it is the first time."""
    pattern = re.compile(rf"^## {name}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    return pattern.sub(lambda _: section, text) if pattern.search(text) else f"{text.rstrip()}\n\n{section}"


def read(name: str) -> Any:
    """A file of benchmarks/results."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def cortex_m() -> str:
    """The section as Markdown, up to the next one."""
    nets = {name: net for name, net in read("whole_nets")["board"].items() if "best_published_cycles_per_mac" in net}
    whole = table(HEADS, [cortex_m_row(*each) for each in nets.items()])
    return CORTEX_M + whole + CORTEX_M_END + layers() + PACKED + packed() + "\n"


def cortex_m_row(name: str, net: Mapping[str, Any]) -> list[str]:
    """One net: counted, estimated, and the peers."""
    ours, peer = net["instructions_per_mac"], net["cmsis_nn_instructions_per_mac"]["peer"]
    cycles, best = net["estimated_cycles_per_mac"], net["best_published_cycles_per_mac"]
    share = f"{CYCLES_PER_MAC / cycles:.0%}"
    return [name, f"**{ours:.2f}**", f"{peer:.2f}", f"{ours / peer:.2f}", f"{cycles:.2f}", f"{best:.2f}", share]


def layers() -> str:
    """Instructions per multiply-accumulate of some layers on every emulated core."""
    boards = read("cortex_m_kernels")["boards"]
    rows = []
    for net, layer in LAYERS:
        found = [next(r for r in board[net]["layers"] if r["layer"] == layer)["per_mac"] for board in boards.values()]
        rows.append([net, layer, *(f"{value:.2f}" for value in found)])
    return table(["net", "layer", *(CORES[board["core"]] for board in boards.values())], rows)


def packed() -> str:
    """Instructions per multiply-accumulate and bytes of weights at each width, on the Cortex-M4."""
    board = next(board for board in read("cortex_m_kernels")["boards"].values() if board["core"] == "cortex-m4")
    rows = []
    for row in board["packed"]:
        counts, sizes = row["per_mac"], row["weight_bytes"]
        rows.append([row["layer"], *(f"{counts[b]:.2f}" for b in WIDTHS), *(f"{sizes[b]:,}" for b in WIDTHS)])
    net = board["packed_net"]
    flash = " / ".join(f"{net[b]['flash_bytes'] / 1024:.1f}" for b in WIDTHS)
    whole = " / ".join(f"{net[b]['per_mac']:.2f}" for b in WIDTHS)
    bits = " / ".join(WIDTHS)
    after = f"\nAll layers of {net['net']} at {bits} bits: {flash} KB of flash, kernels included, {whole} a MAC.\n"
    return table(["layer", *(f"{b} bits" for b in WIDTHS), *(f"bytes at {b}" for b in WIDTHS)], rows) + after


def x86() -> str:
    """The section as Markdown, up to the next one."""
    results = read("peers_x86")
    nets = results["nets"]
    parts = [LEAD]
    for count, words in THREADS.items():
        if measured := {name: net[count] for name, net in nets.items() if count in net}:
            parts += [f"\nMilliseconds an inference, {words}; {BRACKETS}:\n", times(measured)]
    parts += [
        f"\n{verdict(results)}\n",
        "\nHow much of what the machine can do at most, in the same run:\n",
        shares(nets),
    ]
    parts.append(
        f"\n`{results['command']}`, {results['machine']}, ONNX Runtime {results['onnxruntime']}, XNNPACK of ExecuTorch "
        f"{results['executorch']}; medians of {spread(nets)} turns that alternate, Python bindings "
        "included.\n"
    )
    return "".join(parts) + "\n"


def times(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a net."""

    def row(name: str, net: Mapping[str, Any]) -> list[str]:
        theirs = [f"{net[f'{who}_ms']:.3f} ({net['ratios'][who]:.2f})" for who in PEERS]
        fastest = " and ".join(f"{net['ratios_of_fastest'][who]:.2f}" for who in ("onnxruntime_int8", "xnnpack_int8"))
        return [name, f"**{net['ours_ms']:.3f}**", *theirs, fastest]

    return table(
        ["net", "ours, int8", *PEERS.values(), "fastest: over ONNX Runtime and XNNPACK int8"],
        [row(*each) for each in measured.items()],
    )


def verdict(results: Mapping[str, Any]) -> str:
    """Whether the criterion holds, and where a peer is faster."""
    said = f"Criterion: {results['criterion']}: it {'holds' if results['holds'] else 'does **not** hold'}."
    wins = [
        f"{PEERS[who]} on {name}, {THREADS[count]}"
        for name, counts in results["peer_wins"].items()
        for count, peers in counts.items()
        for who in peers
    ]
    return f"{said} {'Faster than ours: ' + '; '.join(wins) + '.' if wins else 'No peer was faster on any of them.'}"


def shares(nets: Mapping[str, Mapping[str, Any]]) -> str:
    """Multiply-accumulates and bytes a second against the limits measured beside them."""
    rows = []
    for name, counts in nets.items():
        for count, net in counts.items():
            peak, read = net["limits"]["peak_gmacs_per_s"], net["limits"]["read_gb_per_s"]
            shares_of = (f"{net['share_of_peak']:.0%} of {peak:.0f}", f"{net['share_of_read']:.0%} of {read:.0f}")
            rows.append([name, count, f"{net['macs'] / 1e6:.1f}", f"{net['moved_bytes'] / 1e6:.2f}", *shares_of])
    heads = ["net", "threads", "million MACs", "MB moved", "of peak int8 GMAC/s", "of read GB/s"]
    return table(heads, rows)


def spread(nets: Mapping[str, Mapping[str, Any]]) -> str:
    """How many turns."""
    counts = sorted({net["repeats"] for counts in nets.values() for net in counts.values()})
    return " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table behind an empty line."""
    lines = [f"| {' | '.join(cells)} |\n" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n" + "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
