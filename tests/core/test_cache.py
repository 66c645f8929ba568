"""Where things are kept: the user's choice, then the system's rule."""

import sys

import pytest

from edgesmith.core.cache import cache_folder


def test_the_users_choice_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("EDGESMITH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="XDG is a rule of other systems")
def test_then_the_xdg_rule(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESMITH_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgesmith"
