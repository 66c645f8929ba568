"""Edge-MoE's forms of attention and activation: one pass for a softmax, ReLU and a small table for a GELU."""

from collections.abc import Callable

from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.graph import Graph
from edgesmith.core.ops.forms import Forms, with_forms

Pass = Callable[[Graph], Graph]
FORMS = Forms(softmax="single_pass", gelu="delta")


@method(
    Card(
        name="edge_moe",
        does="softmax whose sum follows its largest entry in one pass, GELU as ReLU minus a tabled distance",
        source=Source("Sarkar et al.", 2023, "arXiv:2305.18691"),
        claims=(
            Claim("one pass gives the sum that two give", test="test_one_pass_gives_the_sum_of_two"),
            Claim("GELU differs from ReLU by an even function", test="test_gelu_is_relu_minus_an_even_function"),
            Claim("accuracy is kept", experiment="benchmarks/claims/compile/edge_moe.py"),
            Claim(
                "a single-pass softmax is faster (on a Cortex-M4 it is slower: does not hold)",
                experiment="benchmarks/claims/compile/edge_moe.py",
            ),
            Claim("the GELU is accurate", experiment="benchmarks/claims/compile/edge_moe.py"),
            Claim(
                "the GELU is cheap (on a Cortex-M4 dearer than the float unit's: does not hold)",
                experiment="benchmarks/claims/compile/edge_moe.py",
            ),
        ),
        omits=(
            "the FPGA: the shared linear unit, streams and their bit widths, the energy measured on it",
            "attention reordered for many parallel units: on one core, matmul_s8 reads a block of keys or values once "
            "for all queries",
            "mixture of experts and its reordering of patches: a static graph has no experts to choose",
            "exponentials taken while the scores are multiplied with the values: probabilities are stored, in place",
        ),
    )
)
def edge_moe(forms: Forms = FORMS) -> Pass:
    """Ask for these forms in a float graph, before `integerize`; formats stay as they are.

    Args:
        forms: by default the paper's two; the layer norm stays exact.
    """

    def run(graph: Graph) -> Graph:
        return with_forms(graph, forms)

    return run
