"""A Zephyr module: zephyr/module.yml, CMakeLists.txt, Kconfig.

Source: Zephyr's documentation, "Modules (External projects)"; module.yml names the folders of the other two.
"""

from edgesmith.export.package import FLAGS, Layout, checked, parts
from edgesmith.export.source import Source
from edgesmith.pipeline.verify import Relation

LAYOUT = Layout("include", "src", "src/kernels")
MODULE = """\
name: {library}
build:
  cmake: .
  kconfig: Kconfig
"""
KCONFIG = """\
config {option}
    bool "The model {name}, compiled by edgesmith"
    help
      One inference needs an arena of {arena} bytes and a state of {state} bytes, both owned by the caller. No heap.
"""
CMAKE = """\
if(CONFIG_{option})
  zephyr_include_directories(include)
  zephyr_library_named({library})
  zephyr_library_sources(
    {sources}
  )
  zephyr_library_include_directories(src/kernels)
  zephyr_library_compile_options({flags})
endif()
"""
README = """\
# {library}
A Zephyr module made by edgesmith: the model `{name}`, compiled for {title}.

{ports}

Add it to a build with `-DZEPHYR_EXTRA_MODULES=<this folder>` (or to your west manifest), set `CONFIG_{option}=y` in
`prj.conf`, and `#include <{name}.h>`. All sizes are macros in that header.
"""


def zephyr(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The module's files, and whether what they build computes the same."""
    made = parts(source, LAYOUT)
    face = made.program.interface
    library = f"edgesmith_{made.name}"
    facts = {"library": library, "name": made.name, "option": library.upper(), "title": made.target.title}
    facts |= {"arena": str(face.arena_bytes), "state": str(face.state_bytes), "ports": made.ports}
    facts |= {"sources": "\n    ".join(made.sources), "flags": " ".join(FLAGS)}
    files = {
        **made.files,
        "zephyr/module.yml": MODULE.format(**facts),
        "Kconfig": KCONFIG.format(**facts),
        "CMakeLists.txt": CMAKE.format(**facts),
        "README.md": README.format(**facts),
    }
    return {f"{library}/{path}": text.encode() for path, text in files.items()}, checked(made, files)
