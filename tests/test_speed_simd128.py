"""The tables of docs/speed.md on AArch64 and WebAssembly say what the results files say."""

import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "speed.md").read_text("utf-8")
CORES = {"raspberry-pi-4": "Cortex-A72", "raspberry-pi-5": "Cortex-A76"}


def results(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def neon_rows() -> Iterator[str]:
    for net, found in results("neon")["nets"].items():
        for board, core in CORES.items():
            ours, plain = found[board]["ours"]["per_mac"], found[board]["plain_c"]["per_mac"]
            ratio, limit = plain / ours, found[board]["of_the_limit"]
            yield f"| {net} | {core} | {plain:.2f} | {ours:.3f} | {ratio:.1f} | {limit:.0%} |"


def wasm_rows() -> Iterator[str]:
    for net, found in results("wasm")["nets"].items():
        node, here = found["node"], found["wasmtime"]
        peer = f"{node['ours_ms']:.2f} | {node['onnxruntime_web_ms']:.2f} | {1 / node['ratio']:.1f}"
        yield f"| {net} | {peer} | {here['plain_c_to_ours']:.0f} | {here['ours_to_native']:.1f} |"


def test_the_table_of_aarch64_is_that_of_the_results():
    missing = [row for row in neon_rows() if row not in PAGE]
    assert not missing, missing


def test_the_table_of_webassembly_is_that_of_the_results():
    missing = [row for row in wasm_rows() if row not in PAGE]
    assert not missing, missing


def test_what_the_page_says_of_the_criteria_is_what_was_found():
    said = {"neon": "at most a third of plain C's instructions", "wasm": "at most ONNX Runtime Web's time"}
    for name, words in said.items():
        verdict = "holds" if results(name)["holds"] else "does not hold"
        assert f"{words} on every net {verdict}" in PAGE.replace("\n", " "), name
