"""Where built and trained things are kept between runs."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's: $EDGESMITH_CACHE, else $XDG_CACHE_HOME/edgesmith, else ~/.cache/edgesmith; Windows has its own."""
    if chosen := os.environ.get("EDGESMITH_CACHE"):
        return Path(chosen)
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"]) / "edgesmith" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgesmith"
