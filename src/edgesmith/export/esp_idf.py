"""An ESP-IDF component: CMakeLists.txt with idf_component_register, idf_component.yml.

Source: the ESP-IDF programming guide, "Build System", and the component manager's manifest reference.
"""

from edgesmith.export.package import FLAGS, VERSION, Layout, checked, parts
from edgesmith.export.source import Source
from edgesmith.pipeline.verify import Relation

LAYOUT = Layout("include", "src", "src/kernels")
CMAKE = """\
idf_component_register(
  SRCS
    {sources}
  INCLUDE_DIRS include
  PRIV_INCLUDE_DIRS src/kernels
)
target_compile_options(${{COMPONENT_LIB}} PRIVATE {flags})
"""
MANIFEST = """\
version: "{version}"
description: "The model {name}, compiled by edgesmith: arena {arena} bytes, state {state} bytes, no heap"
dependencies:
  idf: ">=5.0"
"""
README = """\
# {library}
An ESP-IDF component made by edgesmith: the model `{name}`, compiled for {title}.

{ports}

Put this folder into your project's `components` folder and `#include "{name}.h"`. All sizes are macros in that header.
"""


def esp_idf(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The component's files, and whether what they build computes the same."""
    made = parts(source, LAYOUT)
    face = made.program.interface
    library = f"edgesmith_{made.name}"
    facts = {"library": library, "name": made.name, "version": VERSION, "title": made.target.title}
    facts |= {"arena": str(face.arena_bytes), "state": str(face.state_bytes), "ports": made.ports}
    facts |= {"sources": "\n    ".join(made.sources), "flags": " ".join(FLAGS)}
    files = {
        **made.files,
        "CMakeLists.txt": CMAKE.format(**facts),
        "idf_component.yml": MANIFEST.format(**facts),
        "README.md": README.format(**facts),
    }
    return {f"{library}/{path}": text.encode() for path, text in files.items()}, checked(made, files)
