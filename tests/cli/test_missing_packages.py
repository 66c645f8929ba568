"""Without an extra, a command says which one it needs; our own import faults are not hidden."""

import pytest

from edgesmith.cli import explained


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "fit"),
        ("torch_pruning", "fit"),
        ("sklearn.datasets", "fit"),
        ("elftools.elf", "firmware"),
        ("jinja2", "report"),
        ("simpy", "split"),
    ],
)
def test_the_extra_that_brings_a_module_is_named(module, extra):
    assert f'pip install "edgesmith[{extra}]"' in explained(ModuleNotFoundError(name=module))


def test_a_module_that_no_extra_brings_is_a_fault():
    with pytest.raises(ModuleNotFoundError):
        explained(ModuleNotFoundError(name="edgesmith.nothing"))
