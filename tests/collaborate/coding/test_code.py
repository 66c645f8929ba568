import copy
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collaborate.coding.drawing import WAYS, codes, laplace
from edgesmith.collaborate.coding import Code, Table, coders, fit
from edgesmith.collaborate.coding.coders import fastest
from edgesmith.core.errors import BadInput, EdgesmithError, Missing

CODE = Code(4, (0, 1), (Table(-1, (8, 4, 4)), Table(0, (15, 1))))


@given(codes())
def test_a_code_comes_back_from_its_json(code):
    assert Code.loads(code.dumps()) == code


def test_the_json_is_stated():
    assert CODE.to_json() == {
        "form": "edgesmith.code",
        "version": 1,
        "bits": 4,
        "which": [0, 1],
        "tables": [{"low": -1, "frequencies": [8, 4, 4]}, {"low": 0, "frequencies": [15, 1]}],
    }


junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["form", "version", "bits", "which", "tables"]), junk)
def test_damaged_json_is_refused(field, value):
    data = CODE.to_json()
    if data[field] != value:
        with pytest.raises(BadInput):
            Code.from_json({**data, field: value})


@given(st.sampled_from(["low", "frequencies"]), junk)
def test_damaged_tables_are_refused(field, value):
    data = copy.deepcopy(CODE.to_json())
    data["tables"][0][field] = value
    try:
        assert Code.from_json(data).tables[1] == CODE.tables[1]  # another low may be as good
    except BadInput:
        return
    assert field == "low" and type(value) is int


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "{}", "null", CODE.dumps() + "x", "NaN"])
def test_what_is_no_json_of_a_code_is_refused(text):
    with pytest.raises(BadInput):
        Code.loads(text)


@pytest.mark.parametrize(
    "bits, which, tables, match",
    [
        (4, (0,), (Table(0, (8, 7)),), "sum 15"),
        (4, (0,), (Table(0, (16, 0)),), "at least 1"),
        (4, (0,), (Table(0, (16,)),), "at least two"),
        (4, (1,), (Table(0, (15, 1)),), "table 1"),
        (4, (-1,), (Table(0, (15, 1)),), "need 0 .. 0"),
        (4, (), (Table(0, (15, 1)),), "0 channels"),
        (16, (0,), (Table(0, (1 << 15, 1 << 15)),), "bits is 16"),
        (4, (0,), (Table(1 << 21, (15, 1)),), "need values in"),
    ],
)
def test_a_code_that_cannot_work_is_refused(bits, which, tables, match):
    with pytest.raises(BadInput, match=match):
        Code(bits, which, tables)


@pytest.mark.parametrize(
    "array, match",
    [
        (np.zeros((3, 2)), "float64"),
        (np.zeros((2, 3), np.int8), "2 channels"),
        (np.int8(3), "2 channels"),
        (np.array([[1 << 21, 0]]), "22 bits"),
        (np.array([[np.iinfo(np.uint64).max, 0]], np.uint64), "22 bits"),
    ],
)
def test_what_is_no_payload_is_refused(array, match):
    with pytest.raises(BadInput, match=match):
        CODE.encode(array)


@pytest.mark.parametrize("shape", [(2, 3), (-1, 2), (1 << 40, 2), (1 << 62, 1 << 62, 2), ()])
def test_shapes_that_do_not_fit_are_refused_before_anything_is_allocated(shape):
    with pytest.raises(BadInput, match="shape"):
        CODE.decode(b"", shape)


@pytest.mark.parametrize("way", WAYS)
def test_values_beyond_the_wanted_dtype_are_refused(way):
    stream = CODE.encode(np.array([[300, 0]]))
    assert CODE.decode(stream, (1, 2), "int16", way).tolist() == [[300, 0]]
    with pytest.raises(BadInput):
        CODE.decode(stream, (1, 2), "int8", way)


@pytest.mark.parametrize("way", WAYS)
def test_any_layout_and_integer_type_is_coded_by_its_values(nprng, way):
    values = laplace(nprng, 40, 6).reshape(4, 10, 6)
    code = fit(values, 6)
    expected = code.encode(values, "python")
    for array in (values.astype(np.int64), np.asfortranarray(values), values[::-1][::-1]):
        assert code.encode(array, way) == expected
    assert code.decode(expected, values.shape, by=way).shape == (4, 10, 6)


def test_one_table_codes_any_shape(nprng):
    values = laplace(nprng, 8, 4)
    code = fit(values)
    assert code.channels == 1
    assert code.encode(values) == code.encode(values.ravel()) == code.encode(values.reshape(2, 4, 4))
    assert code.decode(code.encode(values[0, 0]), ()) == values[0, 0]


def test_the_tables_bytes_on_a_board_are_counted():
    """16 of the struct, a byte a channel, 12 a table and 2 for each start: 3 + 1 and 2 + 1."""
    assert CODE.board_bytes == 16 + 2 + 2 * 12 + 2 * (4 + 3)


def test_without_a_compiler_the_library_codes_and_without_both_python(monkeypatch):
    def absent():
        raise Missing("no compiler")

    from edgesmith.collaborate.coding import native

    monkeypatch.setattr(native, "library", absent)
    monkeypatch.setattr(coders, "fastest", fastest.__wrapped__)  # it remembers what it found
    assert coders.fastest() == "constriction"
    assert type(Code(4, (0,), CODE.tables)._fastest).__name__ == "Constriction"
    monkeypatch.setattr(coders.importlib.util, "find_spec", lambda name: None)
    assert coders.fastest() == "python"


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(EdgesmithError, match=r"edgesmith\[split\]"):
        CODE.encode(np.zeros((1, 2), int), "constriction")


def test_neither_side_needs_torch():
    """In a process of its own: a server decodes where torch is not installed."""
    program = (
        "import sys, numpy as np; sys.modules['torch'] = None; from edgesmith.collaborate.coding import fit\n"
        "x = np.arange(12).reshape(4, 3); c = fit(x)\n"
        "assert all((c.decode(c.encode(x, w), x.shape, 'int32', w) == x).all() for w in ('constriction', 'python'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
