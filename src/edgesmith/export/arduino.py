"""An Arduino library: library.properties, src/, an example sketch.

Source: the Arduino library specification. A library with a src folder has that alone among its include paths, so all
files lie in it side by side.
"""

from edgesmith.export.package import VERSION, Layout, Parts, checked, parts
from edgesmith.export.source import Source
from edgesmith.pipeline.verify import Relation

LAYOUT = Layout("src", "src", "src")
PROPERTIES = """\
name={library}
version={version}
author=edgesmith
maintainer=edgesmith
sentence=The model {name}, compiled to C.
paragraph=Needs an arena of {arena} bytes and a state of {state} bytes. No heap. Compiled for {title}.
category=Data Processing
url=
architectures=*
includes={name}.h
"""
SKETCH = """\
// One inference every second, on inputs of zeros: put your sensor's values into the buffers below.
#include <{name}.h>

static uint8_t arena[{macro}_ARENA_BYTES] __attribute__((aligned({macro}_ALIGNMENT)));
static uint8_t state[{macro}_STATE_BYTES + 1] __attribute__((aligned({macro}_ALIGNMENT)));
{inputs}

void setup() {{
  Serial.begin(115200);
  {name}_init(state);
}}

void loop() {{
  const {name}_in in = {{{given}}};
  {name}_out out;
  const unsigned long start = micros();
  const int wrong = {name}_run(&in, &out, state, arena);
  Serial.print(wrong ? "failed after " : "done in ");
  Serial.print(micros() - start);
  Serial.println(" us");
{outputs}
  delay(1000);
}}
"""
README = """\
# {library}
An Arduino library made by edgesmith: the model `{name}`, compiled for {title}.

{ports}

Put this folder into your sketchbook's `libraries` folder, restart the IDE, and open File > Examples > {library} >
Infer. All sizes are macros in `{name}.h`. The kernels are plain C and run on any core with enough memory.

Float models are checked without contraction (`-ffp-contract=off`): with your core's own flags their last digits may
differ. Integer models never do.
"""


def arduino(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The library's files, and whether what they build computes the same."""
    made = parts(source, LAYOUT)
    face = made.program.interface
    library = f"edgesmith_{made.name}"
    facts = {"library": library, "name": made.name, "macro": made.macro, "title": made.target.title}
    facts |= {"version": VERSION, "arena": str(face.arena_bytes), "state": str(face.state_bytes), "ports": made.ports}
    files = {
        **made.files,
        "library.properties": PROPERTIES.format(**facts),
        "examples/Infer/Infer.ino": sketch(made),
        "README.md": README.format(**facts),
    }
    return {f"{library}/{path}": text.encode() for path, text in files.items()}, checked(made, files)


def sketch(made: Parts) -> str:
    """The example: buffers for the inputs, the first values of each output on the serial port."""
    face = made.program.interface
    types = {port.identifier: C_TYPES[port.tensor.dtype] for port in (*face.inputs, *face.outputs)}
    inputs = "\n".join(
        f"static {types[p.identifier]} {p.identifier}[{p.tensor.size}];  // {p.tensor.dtype} {p.tensor.shape}"
        for p in face.inputs
    )
    given = ", ".join(port.identifier for port in face.inputs)
    outputs = "\n".join(
        f"  for (int i = 0; i < {min(port.tensor.size, 16)}; i++) Serial.println((float)out.{port.identifier}[i]);"
        for port in face.outputs
    )
    return SKETCH.format(name=made.name, macro=made.macro, inputs=inputs, given=given, outputs=outputs)


C_TYPES = {
    "float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t",
    "int32": "int32_t", "uint32": "uint32_t", "int64": "int64_t", "bool": "uint8_t",
}  # fmt: skip
