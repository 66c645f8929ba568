"""Every card tells the truth: its claims name tests and experiments that exist."""

import ast
import inspect
from pathlib import Path

import pytest

import edgesmith
from edgesmith.catalog import FAMILIES, methods

SOURCE = Path(edgesmith.__file__).parent
ROOT = Path(__file__).parent.parent
ALL = methods()
every_method = pytest.mark.parametrize(("family", "factory"), ALL, ids=[f"{f}.{m.card.name}" for f, m in ALL])


@pytest.fixture(scope="module")
def test_names():
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py")]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_names_are_unique():
    names = [factory.card.name for _, factory in ALL]
    assert sorted(names) == sorted(set(names))


@every_method
def test_a_card_says_what_the_method_does_and_where_it_comes_from(family, factory):
    card = factory.card
    assert card.does and card.claims, "a method without a claim has no reason to be here"
    assert card.source.authors and card.source.where and 1900 < card.source.year < 2100


@every_method
def test_a_method_lives_in_a_file_of_its_name(family, factory):
    module = inspect.getmodule(inspect.unwrap(factory)).__name__
    assert module.split(".")[-1] == card_file(factory) and module.startswith(f"edgesmith.{family}.")


def card_file(factory) -> str:
    return factory.card.name.replace("-", "_")


@every_method
def test_a_claim_names_a_test_or_an_experiment_that_exists(family, factory, test_names):
    for claim in factory.card.claims:
        assert not (claim.test and claim.experiment), f"{claim.text}: one or the other"
        assert claim.test is None or claim.test in test_names, f"{claim.text}: no test {claim.test}"
        assert claim.experiment is None or (ROOT / claim.experiment).is_file(), f"{claim.text}: no {claim.experiment}"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_method_is_left_out_of_its_family(family):
    """A file with a @method(...) whose factory is not in METHODS would never be tested."""
    decorated = set()
    for path in (SOURCE / family.replace(".", "/")).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("method(" in ast.unparse(d) for d in node.decorator_list):
                decorated.add(node.name)
    assert decorated == {factory.__name__ for name, factory in ALL if name == family}
