"""What a WebAssembly module comes with: JavaScript that loads it, and for images a page to try it on."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.compile.emit.text import identifier
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Tensor
from edgesmith.core.interface import Interface, Port

TEMPLATES = Path(__file__).parent
MAX_CLASSES = 100  # bars that a page can show
MAX_SAMPLE_BYTES = 1 << 18  # of all samples of a page together


def timing_source(face: Interface) -> str:
    """timing.c, for tools only: many inferences in one call, and a call to the host after each op."""
    return TIMING.format(name=identifier(face.name))


def script(face: Interface) -> str:
    """NAME.js: an ES module that loads NAME.wasm and runs it on typed arrays."""
    name = identifier(face.name)
    described = _in_script(describe(face), indent=2)
    example = ", ".join(f"{_key(port.tensor.name)}: {_variable(port)}" for port in face.inputs)
    return _filled("model.js", {"name": name, "example": example, "description": described})


def describe(face: Interface) -> dict[str, Any]:
    """What the script knows of the module."""
    return {
        "name": identifier(face.name),
        "wasm": f"{identifier(face.name)}.wasm",
        "arena_bytes": face.arena_bytes,
        "state_bytes": face.state_bytes,
        "inputs": [{**_port(port.tensor), "offset": port.offset} for port in face.inputs],
        "outputs": [_port(port.tensor) for port in face.outputs],
    }


def _port(tensor: Tensor) -> dict[str, Any]:
    facts = {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape), "size": tensor.size}
    if isinstance(tensor.format, PerTensor):
        facts |= {"scale": tensor.format.scale, "zero_point": tensor.format.zero_point}
    return facts


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _in_script(name)


def _variable(port: Port) -> str:
    return "pixels" if len(port.tensor.shape) == 4 else "values"


def is_classifier_of_images(face: Interface) -> bool:
    """Whether the page can show it: one grey or coloured image in, one row of classes out."""
    if len(face.inputs) != 1 or len(face.outputs) != 1 or face.state_bytes:
        return False
    shape, made = face.inputs[0].tensor.shape, face.outputs[0].tensor
    image = len(shape) == 4 and shape[3] in (1, 3) and min(shape[1:3]) >= 4
    return image and made.shape == (1, made.size) and 2 <= made.size <= MAX_CLASSES


def page(face: Interface, module: bytes, classes: Sequence[str], white: float, samples: Sequence[np.ndarray]) -> str:
    """NAME.html: draw or drop an image and see what the model says; one file that needs no server and no network.

    Args:
        module: the .wasm file, which the page carries along.
        classes: names in the order of the output; numbered where there are none.
        white: the raw value of full ink, for a stroke; the background is 0.
        samples: stored inputs to try.
    """
    title = identifier(face.name)
    shown: list[list[Any]] = []
    left = MAX_SAMPLE_BYTES
    for sample in samples:
        left -= sample.size
        if left >= 0:
            shown.append(sample.reshape(-1).tolist())
    facts = {
        "classes": list(classes) or [str(index) for index in range(face.outputs[0].tensor.size)],
        "white": white,
        "samples": shown,
        "module_bytes": len(module),
    }
    values = {
        "title": html.escape(title),
        "script": script(face),
        "facts": _in_script(facts),
        "module": base64.b64encode(module).decode(),
    }
    return _filled("page.html", values)


def _in_script(values: Any, indent: int | None = None) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(values, indent=indent).replace("<", "\\u003c")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """A template with each @@name@@ replaced."""
    text = (TEMPLATES / template).read_text("utf-8")
    for name, value in values.items():
        text = text.replace(f"@@{name}@@", value)
    return text


TIMING = """\
#include <stdint.h>

__attribute__((import_module("edgesmith"), import_name("traced"))) void edgesmith_traced(int32_t op);
extern void (*{name}_trace)(int32_t op);
int infer(void);
int infer_times(int times);
void edgesmith_tracing(void);

int infer_times(int times) {{
    int wrong = 0;
    while (times-- > 0) wrong |= infer();
    return wrong;
}}

void edgesmith_tracing(void) {{ {name}_trace = edgesmith_traced; }}
"""
