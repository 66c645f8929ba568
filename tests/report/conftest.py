"""A realistic report: a residual network fitted to a Blue Pill, 59 candidates, 24 ops."""

import json
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).parent / "sample.json"


@pytest.fixture
def sample() -> dict[str, Any]:
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


@pytest.fixture
def smallest(sample) -> dict[str, Any]:
    """Only what every report must have."""
    return {key: sample[key] for key in ("schema", "title", "created", "edgesmith", "target", "outcome")}
