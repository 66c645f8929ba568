"""Mixed bits against a target's limits: the prediction decides, not the sum of the weights."""

import itertools
import json
from types import SimpleNamespace

import pytest

from edgesmith import Budget, targets, zoo
from edgesmith.compress.quantize.placement import INT8, Widths, first_and_last
from edgesmith.compress.quantize.sensitivity import WIDTHS
from edgesmith.core.errors import DoesNotFit
from edgesmith.fit.predict import draft_graph
from edgesmith.fit.sensitive import suffering, with_bits
from edgesmith.fit.space import first
from edgesmith.fit.trial import Job, compress, float_graph
from edgesmith.fit.widths import draft_widths, float_graph_of, mix

CODE = {8: 3000, 4: 2000, 2: 1000}  # of the kernels of a width, linked when one layer uses it


class Board:
    """Predicts flash as packed weights and the code of the widths in use; a narrower layer takes longer."""

    def __init__(self, module, task, flash, latency=1e9):
        self.graph = float_graph_of(module, task)
        self.budget = Budget(flash_bytes=flash, latency_ms=latency)
        self.target = SimpleNamespace(clock_hz=1000.0)

    def predict(self, module, precision, widths):
        layers = [op for op in self.graph.ops if op.kind in ("conv2d", "linear")]
        bits = {op.name: widths.of_weight(op.inputs[1]) for op in layers}
        size = {op.name: self.graph.tensors[op.inputs[1]].size for op in layers}
        ops = [
            SimpleNamespace(
                layer=name, constant_bytes=size[name] * bits[name] / 8, cycles=size[name] * (9 - bits[name])
            )
            for name in bits
        ]
        flash = sum(op.constant_bytes for op in ops) + sum(CODE[width] for width in set(bits.values()))
        latency = sum(op.cycles for op in ops)
        ratios = {"flash_bytes": flash / self.budget.flash_bytes, "latency_ms": latency / self.budget.latency_ms}
        made = SimpleNamespace(value=flash), SimpleNamespace(value=latency)
        return SimpleNamespace(ops=ops, flash=made[0], latency=made[1], ratios=lambda budget: ratios)


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


def whole(bed):
    return Board(bed.module, bed.task, 1).predict(bed.module, "int8", INT8).flash.value


def test_a_mix_holds_the_limit_with_the_code_of_its_kernels(bed, tmp_path):
    limit = 0.62 * whole(bed)
    board = Board(bed.module, bed.task, limit)
    widths = mix(board, bed.module, bed.task, 1.0, tmp_path / "kept")
    found = board.predict(bed.module, "int8", widths)
    assert found.flash.value <= limit
    rows = json.loads((tmp_path / "kept").read_text())["rows"]
    harm = {(name, row["bits"]): row["kl"] for name, each in rows.items() for row in each}

    def total(own):
        return sum(harm[name, bits] for name, bits in own.items())

    every = [dict(zip(rows, bits, strict=True)) for bits in itertools.product(WIDTHS, repeat=len(rows))]
    fitting = [own for own in every if board.predict(bed.module, "int8", Widths(8, 8, own)).flash.value <= limit]
    assert total(widths.own) == pytest.approx(min(map(total, fitting)))


def test_where_all_eight_bits_fit_a_mix_is_all_eight_bits(bed, tmp_path):
    board = Board(bed.module, bed.task, 2 * whole(bed))
    assert set(mix(board, bed.module, bed.task, 1.0, tmp_path / "kept").own.values()) == {8}


def test_a_limit_on_latency_keeps_layers_wide(bed, tmp_path):
    slow = Board(bed.module, bed.task, 2 * whole(bed), latency=1.0)
    with pytest.raises(DoesNotFit):
        mix(slow, bed.module, bed.task, 1.0, tmp_path / "kept")


def test_uniform_bits_leave_the_first_and_the_last_layer_at_eight(bed):
    widths = draft_widths(bed.module, bed.task, "4")
    assert widths.weights == 4 and widths.own == first_and_last(float_graph_of(bed.module, bed.task))
    assert draft_widths(bed.module, bed.task, "8") == INT8
    assert draft_widths(bed.module, bed.task, "mixed").own == {}


def test_a_draft_carries_the_bits_that_its_program_will_have(bed):
    graph = draft_graph(bed.module, bed.task, "cnn", "int8", draft_widths(bed.module, bed.task, "4"))
    weights = [graph.tensors[op.inputs[1]].format.bits for op in graph.ops if op.kind in ("conv2d_s8", "linear_s8")]
    assert weights[0] == weights[-1] == 8 and set(weights[1:-1]) == {4}


def test_the_report_names_bits_and_what_suffers(bed, tmp_path):
    job = Job(bed.module, bed.task, SimpleNamespace(name="cnn", target=targets.load("stm32f103")), None, 0)
    widths = draft_widths(bed.module, bed.task, "4")
    source = compress(job, first(1)[1], bed.module, widths, tmp_path)
    found = suffering(source, bed.task)
    shares = {
        kind: sum(row["share"] for row in found["rows"] if row["kind"] == kind) for kind in ("weight", "activation")
    }
    assert shares["weight"] == pytest.approx(1) and shares["activation"] == pytest.approx(1)
    assert {row["stored_bits"] for row in found["rows"] if row["kind"] == "weight"} == {4, 8}
    assert all(row["reasons"] for row in found["rows"] if row["sensitive"])
    names = [op.name for op in source.ops]
    rows = with_bits({"rows": [{"name": name} for name in names]}, source)["rows"]
    assert {row["bits"] for row in rows} >= {4, 8}
    plain = {"rows": [{"name": name} for name in names]}
    assert with_bits(plain, float_graph(job)) == plain
