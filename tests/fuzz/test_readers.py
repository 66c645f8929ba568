"""Everything else that reads what others wrote: any input is read or refused with a reason."""

import contextlib
import io
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from edgesmith import targets
from edgesmith.core import formats
from edgesmith.core.budget import UNITS, Budget, parse_quantity
from edgesmith.core.errors import BadInput, EdgesmithError
from edgesmith.core.reading import Reading
from edgesmith.pipeline.execute import read_inputs, save_outputs
from edgesmith.report import schema
from edgesmith.targets.schema import parse

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**310)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("per_tensor", "per_channel", "int8", "measured", "ms", "0.5", "max"))
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
REPORT = json.loads((Path(__file__).parents[1] / "report" / "sample.json").read_text(encoding="utf-8"))
BOARD = (Path(targets.__file__).parent / "boards" / "stm32f103.toml").read_text(encoding="utf-8")
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def mostly(**fields):
    """An object with these fields, each right or anything, now and then one missing or too many."""
    return st.fixed_dictionaries(
        {}, optional={name: st.just(value) | JSON for name, value in fields.items()} | {"x": JSON}
    )


@given(mostly(value=1.5, unit="ms", kind="measured", how="x", spread=None))
def test_a_reading_is_finite_and_shows_itself(data):
    try:
        reading = Reading.from_json(data)
    except BadInput:
        return
    assert math.isfinite(reading.value)
    assert reading.unit in str(reading)
    assert Reading.from_json(reading.to_json()) == reading


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**400)])
def test_a_reading_that_is_no_number_is_refused(value):
    with pytest.raises(BadInput, match="not a finite number"):
        Reading.from_json({"value": value, "unit": "ms", "kind": "measured", "how": "x", "spread": None})


@given(mostly(format="per_tensor", scale=0.5, zero_point=3, dtype="int8", scales=[0.5, 1], axis=0) | JSON)
def test_a_format_has_finite_scales(data):
    try:
        format_ = formats.from_json(data)
    except BadInput:
        return
    assert formats.from_json(json.loads(json.dumps(format_.to_json()))) == format_


@given(
    st.text(max_size=20) | st.from_regex(r"[0-9.]{1,400}[A-Za-z%µ]{0,3}", fullmatch=True),
    st.sampled_from(sorted(UNITS)),
)
def test_a_limit_is_above_zero_and_finite(text, unit):
    with contextlib.suppress(BadInput):
        assert 0 < parse_quantity(text, unit) < math.inf


@given(st.sampled_from(("0B", "0.1B", "9" * 400 + "B", "64KB", "1e3KB", "-1KB", "nan", "inf", "")))
def test_a_budget_of_bytes_is_whole_and_above_zero(text):
    try:
        budget = Budget.parse(flash=text)
    except BadInput:
        return
    assert isinstance(budget.flash_bytes, int)
    assert budget.flash_bytes >= 1


def changed(data, tree):
    """The report with one field somewhere set to something else."""
    place = tree
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 4)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JSON)


@in_one_folder
@given(st.data())
def test_a_report_is_checked_before_it_is_shown(tmp_path, data):
    tree = json.loads(json.dumps(REPORT))
    changed(data, tree)
    (tmp_path / "report.json").write_text(json.dumps(tree), encoding="utf-8")
    with contextlib.suppress(BadInput):
        schema.load(tmp_path / "report.json")


@in_one_folder
@given(st.binary(max_size=300))
def test_bytes_are_no_report(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(BadInput):
        schema.load(tmp_path / "report.json")


TOML_VALUES = ("0", "-1", "1e400", "nan", "inf", '"x"', "[]", "{}", "true", "9" * 400, "[[[]]]", "'\\'")


@given(st.data())
def test_a_board_file_with_another_line_is_read_or_refused(data):
    lines = BOARD.splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    key = lines[place].split("=")[0]
    value = data.draw(
        st.sampled_from(("0", "-1", "1e400", "nan", "inf", '"x"', "[]", "{}", "true", "9" * 400, "[[[]]]", "'\\'"))
    )
    lines[place] = data.draw(st.sampled_from((f"{key} = {value}", value, "", lines[place] * 2, f"[{value}]")))
    with contextlib.suppress(EdgesmithError):
        parse("board", "\n".join(lines))


@given(st.text(max_size=60) | st.just("a = " + "[" * 5000))
def test_text_is_no_board(text):
    with pytest.raises(EdgesmithError):
        parse("board", text)


ARRAYS = {"x": np.arange(6, dtype=np.int8).reshape(2, 3), "file": np.ones(2), "a/b": np.float32(3).reshape(())}


def test_outputs_of_any_name_are_read_back(tmp_path):
    save_outputs(tmp_path / "y.npz", ARRAYS)
    back = read_inputs(tmp_path / "y.npz")
    assert back.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back[name], array)


def test_a_single_array_is_read_without_a_name(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(ARRAYS["x"]))
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.npy")[""], ARRAYS["x"])


@in_one_folder
@given(st.sampled_from((".npy", ".npz")), st.integers(0, 400), st.binary(min_size=1, max_size=6), st.booleans())
def test_a_damaged_array_file_is_read_or_refused(tmp_path, kind, place, noise, cut):
    buffer = io.BytesIO()
    np.save(buffer, ARRAYS["x"]) if kind == ".npy" else np.savez(buffer, x=ARRAYS["x"])
    content = bytearray(buffer.getvalue())
    content[place : place + len(noise)] = noise
    (tmp_path / "x").write_bytes(content[:place] if cut else content)
    try:
        for array in read_inputs(tmp_path / "x").values():
            assert array.nbytes < 1000
    except BadInput:
        pass


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


CLAIMS = (
    "(1000000000000,)",
    "(4294967296, 4294967296, 4294967296)",
    "(-1,)",
    "(" + "9" * 100 + ",)",
    "(2" + ",1" * 60 + ")",
)


@pytest.mark.parametrize("shape", CLAIMS, ids=lambda s: s[:12])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path, kind, shape):
    (tmp_path / "x").write_bytes(header(shape) + bytes(8))
    if kind == "npz":
        with zipfile.ZipFile(tmp_path / "z", "w") as archive:
            archive.write(tmp_path / "x", "x.npy")
        (tmp_path / "z").replace(tmp_path / "x")
    with pytest.raises(BadInput):
        read_inputs(tmp_path / "x")


@pytest.mark.parametrize("descr", ["'|O'", "[('a', '<f4')]", "'<c8'", "'<M8[s]'", "__import__('os')", "'|V8'"])
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, descr):
    (tmp_path / "x.npy").write_bytes(header("(1,)", descr) + bytes(8))
    with pytest.raises(BadInput):
        read_inputs(tmp_path / "x.npy")


BOMB = """
import resource, sys
from pathlib import Path
from edgesmith.core.errors import BadInput
from edgesmith.pipeline.execute import read_inputs
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    read_inputs(Path(sys.argv[1]))
except BadInput as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory through setrlimit")
def test_a_zip_bomb_is_refused_within_bounded_memory(tmp_path):
    """Two members of 600 MB of zeros in about a megabyte; together above what is read."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "ab":
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(header("(157286400,)"))
                for _ in range(600):
                    member.write(bytes(1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path / "bomb.npz")], capture_output=True, text=True, check=True
    )
    assert "unpacks to more than" in done.stdout
