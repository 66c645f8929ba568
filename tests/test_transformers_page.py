"""docs/transformers.md says what was measured (transformer_forms.json), and its pictures are drawn from that."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "transformers.md"


@pytest.fixture(scope="module")
def forms():
    """The benchmark as a module."""
    for folder in (ROOT / "benchmarks", ROOT / "benchmarks" / "claims"):
        sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("transformer_forms", ROOT / "benchmarks" / "transformer_forms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(forms):
    return json.loads(forms.RESULT.read_text())


def test_every_row_of_the_tables_is_the_measured_one(forms, data):
    lines = PAGE.read_text().splitlines()
    rows = [*forms.table(data), *forms.net_table(data)]
    assert rows == [line for line in lines if line in rows] and len(rows) == len(data["forms"]) + len(data["nets"])


def test_the_pictures_are_those_of_the_results(forms, data):
    for name, document in forms.charts(data).items():
        assert (forms.PICTURES / f"{name}.svg").read_text() == document, "run: benchmarks/transformer_forms.py --draw"


def test_what_the_page_says_in_words_is_so(data):
    """Tables are the fastest softmax and GELU, the integer programs have no float, i-vit needs no table."""
    cycles = {(row["function"], row["form"]): row["cycles_per_element"] for row in data["forms"]}
    for function in ("softmax", "gelu"):
        assert cycles[function, "table"] == min(v for (f, form), v in cycles.items() if f == function)
    assert cycles["layer_norm", "I-LayerNorm (I-ViT)"] < cycles["layer_norm", "exact"]
    assert cycles["softmax", "Shiftmax (I-ViT)"] > 1.9 * cycles["softmax", "table"]
    assert cycles["gelu", "ShiftGELU (I-ViT)"] > 20 * cycles["gelu", "table"]
    for row in data["nets"]:
        assert (row["float_instructions"] == 0) == (row["forms"] != "float32")
