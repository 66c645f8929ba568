"""What every test may ask for: seeded generators, and how often to repeat."""

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# One thread per worker: the tests run on all cores already, and sums keep one order.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("usual", deadline=None, derandomize=True, max_examples=30, print_blob=True)
settings.register_profile(
    "soak", deadline=None, max_examples=1000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the tests marked soak at length")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("soak" if config.getoption("--soak") else "usual")


@pytest.fixture
def repeats(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Choose a count: `repeats(30, 1000)` is 30, and 1000 under --soak."""
    soak = request.config.getoption("--soak")
    return lambda usual, at_length: at_length if soak else usual


@pytest.fixture
def rng():
    """A torch generator with a fixed seed."""
    import torch

    return torch.Generator().manual_seed(20261121)


@pytest.fixture
def nprng() -> np.random.Generator:
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(20261121)
