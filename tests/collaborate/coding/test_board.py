import numpy as np
import pytest

from collaborate.coding.drawing import laplace
from edgesmith import targets
from edgesmith.collaborate.coding import fit
from edgesmith.collaborate.coding.board import measure, source
from edgesmith.collaborate.coding.native import FOLDER, SOURCES
from edgesmith.core.errors import BadInput
from edgesmith.toolchain import check_warnings


@pytest.mark.parametrize("way", ["encode", "decode"])
@pytest.mark.parametrize("name", ["nucleo-l4r5zi", "raspberry-pi-4"])
def test_a_board_gives_the_same_bytes_and_values(nprng, name, way):
    """`measure` itself compares; values outside the tables and several channels among them."""
    values = laplace(nprng, 100, 3)
    code = fit(values[:20], 2)
    assert any(table.high < 127 for table in code.tables)
    cost = measure(code, values, targets.load(name), way)
    assert cost.values == 300 and cost.stream_bytes == len(code.encode(values))
    assert cost.table_bytes == code.board_bytes
    assert 10 * 300 < cost.instructions < 300 * 300
    assert 500 < cost.code_bytes < 4096
    assert cost.stack_bytes < 256


def test_an_empty_payload_is_an_empty_stream_on_a_board():
    code = fit(np.arange(10))
    cost = measure(code, np.zeros(0, np.int8), targets.load("nucleo-l4r5zi"), "encode")
    assert cost.stream_bytes == 0


def test_only_int8_is_measured():
    with pytest.raises(BadInput, match="int8"):
        measure(fit(np.arange(10)), np.zeros(4, np.int32), targets.load("nucleo-l4r5zi"), "encode")


def test_the_tables_c_has_no_warnings(tmp_path, nprng):
    path = tmp_path / "tables.c"
    path.write_text(source(fit(laplace(nprng, 200, 20), 3), "sent"))
    for compiler in ("zig", "gcc"):
        check_warnings([path, *SOURCES], [FOLDER], (), compiler)
    for name in ("nucleo-l4r5zi", "raspberry-pi-4"):
        check_warnings([path, *SOURCES], [FOLDER], targets.load(name).compiler_flags)
